// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Folders that the user could not open, and that an administrator agreed to share.
//!
//! The service is root without root's rights over files: it gets through a folder that is closed to
//! it as that folder's owner. No symlink is followed, so that the folder is the one that the
//! administrator was told of.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use kapsule_proto::folder::FolderId;
use rustix::fs::{Mode, OFlags, openat};
use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::{Folder, PATIENCE, io_reason};
use crate::error::{Error, Result};
use crate::threads;

/// Finds a folder whoever may open it. `uid` is who asked, and whose threads are counted.
pub(super) async fn look(uid: u32, path: &Path) -> Result<Folder> {
    let wanted = path.to_owned();
    let found = threads::run(uid, PATIENCE, "looking at a folder to share", move || {
        walk(&wanted).and_then(|folder| Ok(FolderId::of(folder)?))
    })
    .await?;
    match found {
        Ok(id) => Ok(Folder {
            source: path.to_owned(),
            path: path.to_owned(),
            id,
            beyond_rights: true,
        }),
        Err(error) => Err(Error::invalid(format!(
            "cannot share {} with the container: {}. Give a folder that exists, by a path without symlinks",
            path.display(),
            io_reason(&error)
        ))),
    }
}

/// Opens a folder step by step. The thread ends after this: it has given up its groups.
fn walk(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut folder = rustix::fs::open("/", flags, Mode::empty())?;
    for part in path.components() {
        let Component::Normal(name) = part else {
            continue;
        };
        folder = match openat(&folder, name, flags, Mode::empty()) {
            Err(rustix::io::Errno::ACCESS) => {
                let owner = rustix::fs::fstat(&folder)?;
                become_for_files(owner.st_uid, owner.st_gid)?;
                let opened = openat(&folder, name, flags, Mode::empty());
                become_for_files(0, 0)?;
                opened?
            }
            opened => opened?,
        };
    }
    Ok(folder)
}

/// Changes whose rights the calling thread has over files; as in [`crate::as_user`], only the
/// effective ids.
fn become_for_files(uid: u32, gid: u32) -> io::Result<()> {
    // Back to root first: only root may become somebody.
    set_thread_res_uid(None, Uid::ROOT, None)?;
    set_thread_groups(&[])?;
    set_thread_res_gid(None, Gid::from_raw(gid), None)?;
    set_thread_res_uid(None, Uid::from_raw(uid), None)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;

    #[test]
    fn gets_through_closed_folders_and_not_through_symlinks() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: needs root");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let closed = dir.path().join("closed");
        let inner = closed.join("inner");
        std::fs::create_dir_all(&inner).unwrap();
        for path in [&inner, &closed] {
            chown(path, Some(65534), Some(65534)).unwrap();
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o700)).unwrap();
        }
        symlink(&closed, dir.path().join("link")).unwrap();
        let real = dir.path().canonicalize().unwrap();
        let walked = |path: std::path::PathBuf| {
            // A thread of its own, as in the daemon.
            std::thread::spawn(move || walk(&path).and_then(|it| Ok(FolderId::of(it)?)))
                .join()
                .unwrap()
        };
        let expected = FolderId::of(std::fs::File::open(&inner).unwrap()).unwrap();
        assert_eq!(walked(real.join("closed/inner")).unwrap(), expected);
        assert!(walked(real.join("link/inner")).is_err());
        assert!(walked(real.join("closed/missing")).is_err());
    }
}
