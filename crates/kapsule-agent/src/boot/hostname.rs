// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The container's name inside.

use std::io;
use std::path::Path;

use crate::account_file::Table;
use crate::files;

/// Ends the line of `/etc/hosts` that is ours.
const MARK: &[u8] = b"# kapsule";
const MAX_HOSTS: u64 = 16 * 1024 * 1024;

/// Sets `/etc/hostname`, by which terminals know the container too, and lets the name resolve.
pub(crate) fn set(root: &Path, name: &str) -> io::Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    if name.is_empty() || name.len() > 63 || !name.chars().all(plain) {
        return Err(io::Error::other(format!("{name:?} is no host name")));
    }
    let path = files::inside(root, "/etc/hostname");
    files::replace(&path, format!("{name}\n").as_bytes(), 0o644)?;

    let path = files::inside(root, "/etc/hosts");
    let hosts = match files::read_limited(&path, MAX_HOSTS) {
        Ok(hosts) => hosts,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            b"127.0.0.1\tlocalhost\n::1\tlocalhost\n".to_vec()
        }
        Err(error) => return Err(error),
    };
    files::replace(&path, &with_name(&hosts, name.as_bytes()), 0o644)
}

fn with_name(hosts: &[u8], name: &[u8]) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = hosts.split(|byte| *byte == b'\n').collect();
    if lines.last().is_some_and(|last| last.is_empty()) {
        lines.pop();
    }
    lines.retain(|line| !line.ends_with(MARK));
    let knows = |line: &&[u8]| {
        let code = line.split(|byte| *byte == b'#').next().unwrap_or_default();
        let mut words = code
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty());
        words.next().is_some() && words.any(|word| word == name)
    };
    let ours = [b"127.0.1.1\t", name, b"\t", MARK].concat();
    if !lines.iter().any(knows) {
        lines.push(&ours);
    }
    let mut text = lines.join(&b'\n');
    text.push(b'\n');
    Table::parse(&text).render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_resolves_and_an_old_one_goes() {
        for (before, after) in [
            ("", "127.0.1.1\tdev\t# kapsule\n"),
            (
                "127.0.0.1 localhost\n127.0.1.1\told\t# kapsule\n::1 ip6",
                "127.0.0.1 localhost\n::1 ip6\n127.0.1.1\tdev\t# kapsule\n",
            ),
            (
                "127.0.1.1 dev.lan dev # mine\n",
                "127.0.1.1 dev.lan dev # mine\n",
            ),
            (
                "# 1.2.3.4 dev\n",
                "# 1.2.3.4 dev\n127.0.1.1\tdev\t# kapsule\n",
            ),
            (
                "1.2.3.4 devel\n",
                "1.2.3.4 devel\n127.0.1.1\tdev\t# kapsule\n",
            ),
        ] {
            let once = with_name(before.as_bytes(), b"dev");
            assert_eq!(String::from_utf8_lossy(&once), after);
            assert_eq!(with_name(&once, b"dev"), once);
        }
    }

    #[test]
    fn names_that_are_none_change_nothing() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("etc")).unwrap();
        for bad in ["", "a b", "a\nb", "../x", &"x".repeat(64)] {
            assert!(set(root.path(), bad).is_err());
        }
        assert_eq!(
            std::fs::read_dir(root.path().join("etc")).unwrap().count(),
            0
        );
        set(root.path(), "dev").unwrap();
        assert_eq!(
            std::fs::read(root.path().join("etc/hostname")).unwrap(),
            b"dev\n"
        );
    }
}
