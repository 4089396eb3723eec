// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Reading and writing small files of the guest.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Longer than any file that Kapsule makes in a guest, in bytes.
const MAX_OURS: u64 = 1024 * 1024;

/// Reads a regular file of at most `limit` bytes. Anything else (a FIFO, a device, a directory)
/// is an error and is not waited for.
pub(crate) fn read_limited(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    let read = file.take(limit + 1).read_to_end(&mut bytes)?;
    if u64::try_from(read).unwrap_or(u64::MAX) > limit {
        return Err(io::Error::other(format!("longer than {limit} bytes")));
    }
    Ok(bytes)
}

/// A path of the guest below `root`, which is `/` but in tests.
pub(crate) fn inside(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// Whether there is a socket itself, and not a link to one.
pub(crate) fn is_own_socket(path: &Path) -> bool {
    let metadata = path.symlink_metadata();
    metadata.is_ok_and(|it| it.file_type().is_socket())
}

/// Whether a file is one of Kapsule's, which begin with a mark.
pub(crate) fn is_ours(path: &Path, mark: &str) -> bool {
    read_limited(path, MAX_OURS).is_ok_and(|text| text.starts_with(mark.as_bytes()))
}

/// Removes a file if it is one of Kapsule's.
pub(crate) fn remove_ours(path: &Path, mark: &str) -> io::Result<()> {
    match read_limited(path, MAX_OURS) {
        Ok(text) if text.starts_with(mark.as_bytes()) => std::fs::remove_file(path),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Replaces a file in one step, keeping its mode and owner; a new one gets `mode`. A symbolic link
/// is followed, so that the link stays; but not one that leads into another mount, which may be
/// the host's: that one is replaced itself. Does nothing if the content is there already. What is no
/// file, such as `/dev/null` behind a masked unit, is an error.
pub(crate) fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let path = &match std::fs::canonicalize(path) {
        Ok(real)
            if path.is_symlink()
                && real.is_file()
                && mount_of_parent(&real)? != mount_of_parent(path)? =>
        {
            std::fs::remove_file(path)?;
            path.to_owned()
        }
        Ok(real) => real,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error),
    };
    let old = match std::fs::symlink_metadata(path) {
        Ok(old) if old.is_file() => Some(old),
        // A dangling link, or something that is no file: make way.
        Ok(old) if old.is_symlink() => {
            std::fs::remove_file(path)?;
            None
        }
        Ok(_) => return Err(io::Error::other("not a regular file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    if let Some(old) = &old
        && old.len() == content.len() as u64
        && std::fs::read(path)? == content
    {
        return Ok(());
    }
    let new = beside(path)?;
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written =
        write_new(&new, content, old.as_ref(), mode).and_then(|()| std::fs::rename(&new, path));
    if written.is_err() {
        // The old file is still whole, which is what counts.
        let _ = std::fs::remove_file(&new);
    }
    written
}

/// The mount that holds a file's folder.
fn mount_of_parent(path: &Path) -> io::Result<u64> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    let flags = rustix::fs::AtFlags::empty();
    let wanted = rustix::fs::StatxFlags::MNT_ID;
    Ok(rustix::fs::statx(rustix::fs::CWD, parent, flags, wanted)?.stx_mnt_id)
}

fn write_new(
    new: &Path,
    content: &[u8],
    old: Option<&std::fs::Metadata>,
    mode: u32,
) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(new)?;
    file.write_all(content)?;
    if let Some(old) = old {
        std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()))?;
    }
    let mode = old.map_or(mode, |old| old.mode() & 0o7777);
    file.set_permissions(Permissions::from_mode(mode))?;
    File::sync_all(&file)
}

fn beside(path: &Path) -> io::Result<PathBuf> {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => {
            let mut hidden = std::ffi::OsString::from(".");
            hidden.push(name);
            hidden.push(".kapsule");
            Ok(parent.join(hidden))
        }
        _ => Err(io::Error::from(io::ErrorKind::InvalidInput)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_with_its_mode_and_a_link_stays() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("real");
        let link = dir.path().join("link");
        std::fs::write(&real, "old").unwrap();
        std::fs::set_permissions(&real, Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("real", &link).unwrap();

        replace(&link, b"new", 0o600).unwrap();
        assert_eq!(std::fs::read(&real).unwrap(), b"new");
        assert_eq!(real.metadata().unwrap().mode() & 0o7777, 0o640);
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_link_into_another_mount_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        // A memory file system on every Linux, and never that of a temporary folder's parent.
        let elsewhere = tempfile::tempdir_in("/dev/shm").unwrap();
        let target = elsewhere.path().join("file");
        std::fs::write(&target, "untouched").unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&target, &link).unwrap();
        replace(&link, b"new", 0o644).unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"untouched");
        assert!(!link.is_symlink());
        assert_eq!(std::fs::read(&link).unwrap(), b"new");
    }

    #[test]
    fn the_same_content_is_not_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        replace(&path, b"x", 0o644).unwrap();
        let before = path.metadata().unwrap().ino();
        replace(&path, b"x", 0o644).unwrap();
        assert_eq!(path.metadata().unwrap().ino(), before);
        replace(&path, b"y", 0o644).unwrap();
        assert_ne!(path.metadata().unwrap().ino(), before);
    }

    #[test]
    fn what_is_no_file_is_neither_read_nor_replaced() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read_limited(dir.path(), 10).is_err());
        assert!(replace(dir.path(), b"x", 0o644).is_err());
        assert!(read_limited(Path::new("/dev/zero"), 10).is_err());
        let long = dir.path().join("long");
        std::fs::write(&long, "12345678901").unwrap();
        assert!(read_limited(&long, 10).is_err());
        assert_eq!(read_limited(&long, 11).unwrap().len(), 11);
    }
}
