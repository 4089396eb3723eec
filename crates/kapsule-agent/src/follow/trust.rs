// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Certificates of authorities that the host's administrator added: put where the guest's
//! administrator would put them, and made known with the guest's own tool.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::files::{self, inside};

/// What our files are called.
const PREFIX: &str = "kapsule-host-";

/// How a family of distributions does it.
struct Way {
    tool: &'static str,
    arguments: &'static [&'static str],
    folder: &'static str,
    suffix: &'static str,
}

/// The first of which tool and folder are there.
const WAYS: &[Way] = &[
    // openSUSE has Debian's tool with another folder.
    Way {
        tool: "/usr/sbin/update-ca-certificates",
        arguments: &[],
        folder: "/etc/pki/trust/anchors",
        suffix: ".pem",
    },
    // Debian, Alpine.
    Way {
        tool: "/usr/sbin/update-ca-certificates",
        arguments: &[],
        folder: "/usr/local/share/ca-certificates",
        suffix: ".crt",
    },
    // Fedora.
    Way {
        tool: "/usr/bin/update-ca-trust",
        arguments: &["extract"],
        folder: "/etc/pki/ca-trust/source/anchors",
        suffix: ".pem",
    },
    // Arch.
    Way {
        tool: "/usr/bin/update-ca-trust",
        arguments: &[],
        folder: "/etc/ca-certificates/trust-source/anchors",
        suffix: ".pem",
    },
];

/// Makes exactly these the host's in the container. A guest without a tool for them trusts nobody.
pub(super) fn set(root: &Path, certificates: &[String]) -> io::Result<()> {
    let Some(way) = WAYS
        .iter()
        .find(|way| inside(root, way.tool).is_file() && inside(root, way.folder).is_dir())
    else {
        return Ok(());
    };
    let wanted: BTreeMap<String, &String> = certificates
        .iter()
        .filter(|certificate| is_certificate(certificate))
        .map(|certificate| (file_name(certificate, way.suffix), certificate))
        .collect();
    let folder = inside(root, way.folder);
    let old: Vec<PathBuf> = std::fs::read_dir(&folder)?
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            name.to_str().is_some_and(|name| name.starts_with(PREFIX))
        })
        .map(|entry| entry.path())
        .collect();
    let mut changed = false;
    for path in &old {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if !wanted.contains_key(name) {
            std::fs::remove_file(path)?;
            changed = true;
        }
    }
    for (name, certificate) in &wanted {
        let path = folder.join(name);
        if !old.contains(&path) {
            files::replace(&path, certificate.as_bytes(), 0o644)?;
            changed = true;
        }
    }
    if changed {
        let done = Command::new(way.tool)
            .args(way.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        if !done.success() {
            return Err(io::Error::other(format!("{} ended with {done}", way.tool)));
        }
    }
    Ok(())
}

fn is_certificate(text: &str) -> bool {
    text.contains("-----BEGIN CERTIFICATE-----")
        || text.contains("-----BEGIN TRUSTED CERTIFICATE-----")
}

/// The same for the same certificate. FNV-1a: whoever can write here is root and needs no collision.
fn file_name(certificate: &str, suffix: &str) -> String {
    let hash = certificate
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
    format!("{PREFIX}{hash:016x}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_without_tools_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        set(root.path(), &["-----BEGIN CERTIFICATE-----".to_owned()]).unwrap();
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn names_are_of_the_content() {
        assert_eq!(file_name("a", ".crt"), file_name("a", ".crt"));
        assert_ne!(file_name("a", ".crt"), file_name("b", ".crt"));
        assert!(!is_certificate("-----BEGIN PRIVATE KEY-----"));
    }
}
