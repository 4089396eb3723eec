// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The time zone: `/etc/localtime` (localtime(5)), and `/etc/timezone` where the guest has one.

use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use kapsule_proto::host::TimeZone;

use crate::files::{self, inside};

const LOCAL_TIME: &str = "/etc/localtime";
/// Debian's, for programs that want the name.
const NAME: &str = "/etc/timezone";
const DATABASE: &str = "usr/share/zoneinfo";

/// Makes it the container's.
pub(super) fn set(root: &Path, zone: &TimeZone) -> io::Result<()> {
    if !TimeZone::is_plain(&zone.name) {
        return Err(io::Error::other("not the name of a time zone"));
    }
    let path = inside(root, LOCAL_TIME);
    let relative = format!("../{DATABASE}/{}", zone.name);
    if inside(root, DATABASE).join(&zone.name).is_file() {
        let absolute = format!("/{DATABASE}/{}", zone.name);
        let is_there = std::fs::read_link(&path)
            .is_ok_and(|to| to == Path::new(&relative) || to == Path::new(&absolute));
        if !is_there {
            let new = inside(root, "/etc/.localtime.kapsule");
            match std::fs::remove_file(&new) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            symlink(&relative, &new)?;
            std::fs::rename(&new, &path)?;
        }
    } else if !zone.rules.is_empty() {
        // A link would lead to nothing, or out of /etc.
        if path.is_symlink() {
            std::fs::remove_file(&path)?;
        }
        files::replace(&path, &zone.rules, 0o644)?;
    }
    let name = inside(root, NAME);
    if name.is_file() {
        files::replace(&name, format!("{}\n", zone.name).as_bytes(), 0o644)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> TimeZone {
        TimeZone {
            name: name.into(),
            rules: b"TZif2 rules".to_vec(),
        }
    }

    #[test]
    fn a_guest_with_the_database_gets_a_link() {
        let root = tempfile::tempdir().unwrap();
        let database = root.path().join(DATABASE).join("Europe");
        std::fs::create_dir_all(&database).unwrap();
        std::fs::create_dir_all(root.path().join("etc")).unwrap();
        std::fs::write(database.join("Berlin"), "").unwrap();
        std::fs::write(root.path().join("etc/localtime"), "old").unwrap();
        std::fs::write(root.path().join("etc/timezone"), "Etc/UTC\n").unwrap();
        for _ in 0..2 {
            set(root.path(), &zone("Europe/Berlin")).unwrap();
            assert_eq!(
                std::fs::read_link(root.path().join("etc/localtime")).unwrap(),
                Path::new("../usr/share/zoneinfo/Europe/Berlin")
            );
        }
        let name = std::fs::read(root.path().join("etc/timezone")).unwrap();
        assert_eq!(name, b"Europe/Berlin\n");
    }

    #[test]
    fn one_without_gets_the_rules() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("etc")).unwrap();
        let path = root.path().join("etc/localtime");
        symlink("/usr/share/zoneinfo/Etc/UTC", &path).unwrap();
        set(root.path(), &zone("Europe/Berlin")).unwrap();
        assert!(!path.is_symlink());
        assert_eq!(std::fs::read(&path).unwrap(), b"TZif2 rules");
        assert!(!root.path().join("etc/timezone").exists());
        assert!(set(root.path(), &zone("../../etc/passwd")).is_err());
    }
}
