// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The owner's home, where it is not the host's.

use std::fs::{DirBuilder, FileType, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown, lchown};
use std::path::Path;

use kapsule_proto::spec::Owner;

use crate::files;

/// Deeper than any skeleton; a loop of mounts would be as deep as it likes.
const MAX_DEPTH: usize = 16;

/// Makes the home from the skeleton if there is none. Nothing else runs in the guest yet, so
/// nobody can interfere.
pub(crate) fn make(root: &Path, owner: &Owner) -> io::Result<()> {
    let home = files::inside(root, &owner.home);
    if owner.home_mounted || home.symlink_metadata().is_ok() {
        return Ok(());
    }
    if let Some(parent) = home.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(parent)?;
    }
    DirBuilder::new().mode(0o700).create(&home)?;
    let copied = match files::inside(root, "/etc/skel") {
        skel if skel.is_dir() => copy(&skel, &home, owner, 0),
        _ => Ok(()),
    };
    // Also if something could not be copied: a home with less in it is better than none.
    chown(&home, Some(owner.uid), Some(owner.gid)).and(copied)
}

fn copy(from: &Path, to: &Path, owner: &Owner, depth: usize) -> io::Result<()> {
    if depth > MAX_DEPTH {
        return Err(io::Error::other("the skeleton is too deep"));
    }
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        copy_entry(&source, &target, entry.file_type()?, owner, depth)?;
        lchown(&target, Some(owner.uid), Some(owner.gid))?;
    }
    Ok(())
}

fn copy_entry(
    source: &Path,
    target: &Path,
    kind: FileType,
    owner: &Owner,
    depth: usize,
) -> io::Result<()> {
    if kind.is_symlink() {
        std::os::unix::fs::symlink(std::fs::read_link(source)?, target)
    } else if kind.is_dir() {
        DirBuilder::new().mode(0o700).create(target)?;
        copy(source, target, owner, depth + 1)?;
        let mode = source.metadata()?.mode() & 0o7777;
        std::fs::set_permissions(target, Permissions::from_mode(mode))
    } else if kind.is_file() {
        std::fs::copy(source, target).map(drop)
    } else {
        // Sockets, FIFOs and devices have no place in a home that is new.
        Err(io::Error::other(format!("{} is no file", source.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(mounted: bool) -> Owner {
        Owner {
            // Tests need not run as root, and anybody may give a file to himself.
            uid: rustix::process::getuid().as_raw(),
            gid: rustix::process::getgid().as_raw(),
            name: "alice".into(),
            group: "alice".into(),
            gecos: String::new(),
            home: "/home/deep/alice".into(),
            home_mounted: mounted,
            shell: "/bin/sh".into(),
        }
    }

    #[test]
    fn a_home_is_made_from_the_skeleton_once() {
        let root = tempfile::tempdir().unwrap();
        let skel = root.path().join("etc/skel");
        std::fs::create_dir_all(skel.join(".config/a")).unwrap();
        std::fs::write(skel.join(".config/a/b"), "x").unwrap();
        std::os::unix::fs::symlink("/nowhere", skel.join("link")).unwrap();

        make(root.path(), &owner(false)).unwrap();
        let home = root.path().join("home/deep/alice");
        assert_eq!(home.metadata().unwrap().mode() & 0o777, 0o700);
        assert_eq!(std::fs::read(home.join(".config/a/b")).unwrap(), b"x");
        assert!(home.join("link").is_symlink());

        std::fs::write(home.join(".config/a/b"), "mine").unwrap();
        make(root.path(), &owner(false)).unwrap();
        assert_eq!(std::fs::read(home.join(".config/a/b")).unwrap(), b"mine");
    }

    #[test]
    fn a_mounted_home_and_a_missing_skeleton() {
        let root = tempfile::tempdir().unwrap();
        make(root.path(), &owner(true)).unwrap();
        assert!(!root.path().join("home").exists());
        make(root.path(), &owner(false)).unwrap();
        assert!(root.path().join("home/deep/alice").is_dir());
    }
}
