// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Proxies, for what systemd starts in the guest; sessions bring their own from the host. Managers
//! read it when they start, so that a change holds for services from the next boot on.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use crate::files::{self, inside, remove_ours};

const MARK: &str = "# Written by Kapsule: the host's proxies.\n";
const FILES: &[&str] = &[
    "/etc/systemd/system.conf.d/50-kapsule-proxies.conf",
    "/etc/systemd/user.conf.d/50-kapsule-proxies.conf",
];
/// In small letters and in capitals (`curl` and others read only one of them).
const NAMES: &[&str] = &[
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "all_proxy",
    "no_proxy",
];

/// Makes them the container's, or takes them away when there are none.
pub(super) fn set(root: &Path, proxies: &BTreeMap<String, String>) -> io::Result<()> {
    let settings: Vec<String> = proxies
        .iter()
        .filter(|(name, value)| is_proxy(name, value))
        .map(|(name, value)| {
            let value = value
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('%', "%%");
            format!("\"{name}={value}\"")
        })
        .collect();
    for path in FILES {
        let path = inside(root, path);
        if settings.is_empty() {
            remove_ours(&path, MARK)?;
            continue;
        }
        if !inside(root, "/etc/systemd").is_dir() {
            continue;
        }
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let text = format!(
            "{MARK}[Manager]\nDefaultEnvironment={}\n",
            settings.join(" ")
        );
        files::replace(&path, text.as_bytes(), 0o644)?;
    }
    Ok(())
}

fn is_proxy(name: &str, value: &str) -> bool {
    NAMES.contains(&name.to_ascii_lowercase().as_str())
        && value.len() <= 4096
        && !value.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_come_and_go() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("etc/systemd")).unwrap();
        let mut proxies = BTreeMap::from([
            ("http_proxy".to_owned(), "http://a\"b%c:3128".to_owned()),
            ("NO_PROXY".to_owned(), "localhost".to_owned()),
            ("no_proxy".to_owned(), "x\nExecStart=/bad".to_owned()),
            ("PATH".to_owned(), "/tmp".to_owned()),
        ]);
        set(root.path(), &proxies).unwrap();
        let path = inside(root.path(), FILES[0]);
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            format!(
                "{MARK}[Manager]\nDefaultEnvironment=\"NO_PROXY=localhost\" \"http_proxy=http://a\\\"b%%c:3128\"\n"
            )
        );
        proxies.clear();
        set(root.path(), &proxies).unwrap();
        assert!(!path.exists());
        // Somebody else's stays.
        std::fs::write(&path, "[Manager]\n").unwrap();
        set(root.path(), &proxies).unwrap();
        assert!(path.exists());
    }
}
