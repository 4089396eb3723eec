// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Where the configuration files are, and reading them: for the daemon and the command line alike,
//! with the rights that the calling thread has.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};

use super::{Fragment, MAX_FILE};

/// The folders of the administrator and of the distribution, the higher in rank first.
pub const SYSTEM: [&str; 2] = ["/etc/kapsule", "/usr/lib/kapsule"];

/// A user's file, below the home.
pub const OF_USER: &str = ".config/kapsule/kapsule.conf";

/// The administrator's drop-in that `kapsule config set --system` writes.
pub const WRITTEN: &str = "/etc/kapsule/kapsule.conf.d/90-kapsule-config.conf";

/// Most drop-in files that are read from one folder.
const MAX_DROP_INS: usize = 100;

/// The files of a folder, the highest in rank first, whether or not they are there.
///
/// # Errors
/// When the folder of drop-ins is there and cannot be listed; the folder's own file still counts.
pub fn in_folder(folder: &Path) -> (Vec<PathBuf>, io::Result<()>) {
    let (mut files, listed) = match drop_ins(&folder.join("kapsule.conf.d")) {
        Ok(files) => (files, Ok(())),
        Err(error) => (Vec::new(), Err(error)),
    };
    files.push(folder.join("kapsule.conf"));
    (files, listed)
}

/// The `*.conf` files in a folder, the last name first.
fn drop_ins(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "conf")
        })
        .collect();
    files.sort_unstable_by(|a, b| b.cmp(a));
    files.truncate(MAX_DROP_INS);
    Ok(files)
}

/// What one file says; nothing when there is none.
///
/// # Errors
/// Why it cannot be used, for the log or the user.
pub fn read(path: &Path) -> Result<Option<Fragment>, String> {
    match read_text(path) {
        Ok(None) => Ok(None),
        Ok(Some(text)) => Fragment::parse(&text)
            .map(Some)
            .map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// The text of a file; nothing when there is none. Never waits for another process, whatever is in
/// the place of the file.
///
/// # Errors
/// Those of reading; `InvalidInput` for what is not a regular file of at most [`MAX_FILE`] bytes of text.
pub fn read_text(path: &Path) -> io::Result<Option<String>> {
    let file = match open_regular(path, MAX_FILE) {
        Ok(file) => file,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    // It may have grown since it was measured.
    file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(too_large(MAX_FILE));
    }
    String::from_utf8(bytes)
        .map(Some)
        .map_err(|_| invalid("not UTF-8 text".to_owned()))
}

/// Opens a regular file of at most `max_size` bytes for reading. Never waits for another process
/// and never becomes the owner of a terminal, whatever the path leads to.
///
/// # Errors
/// Those of open(2); `InvalidInput` for what is not a regular file or too large.
pub fn open_regular(path: &Path, max_size: u64) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = rustix::fs::open(path, flags, Mode::empty())?;
    let about = rustix::fs::fstat(&file)?;
    if !FileType::from_raw_mode(about.st_mode).is_file() {
        return Err(invalid("not a regular file".to_owned()));
    }
    if u64::try_from(about.st_size).unwrap_or(u64::MAX) > max_size {
        return Err(too_large(max_size));
    }
    Ok(File::from(file))
}

fn too_large(max_size: u64) -> io::Error {
    invalid(format!("larger than {max_size} bytes"))
}

fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Replaces a file by this text, at once and for good: whoever reads it, also after a power cut,
/// finds the old text or the new one. A link is followed; the mode stays, and is 0644 for a new file.
///
/// # Errors
/// Those of writing; then the old text is still there.
pub fn replace(path: &Path, text: &str) -> io::Result<()> {
    use std::io::Write as _;

    let path = match path.canonicalize() {
        Ok(real) => real,
        Err(error) if is_absent(&error) => path.to_owned(),
        Err(error) => return Err(error),
    };
    let folder = path
        .parent()
        .ok_or_else(|| invalid("not the path of a file".to_owned()))?;
    std::fs::create_dir_all(folder)?;
    let mode = match std::fs::metadata(&path) {
        Ok(about) => Mode::from_raw_mode(std::os::unix::fs::PermissionsExt::mode(
            &about.permissions(),
        )),
        Err(_) => Mode::from_raw_mode(0o644),
    };
    let new = folder.join(format!(".kapsule.conf.{}", std::process::id()));
    // One that an earlier try has left behind.
    let _ = std::fs::remove_file(&new);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let written = (|| {
        let mut file = File::from(rustix::fs::open(&new, flags, Mode::from_raw_mode(0o600))?);
        file.write_all(text.as_bytes())?;
        rustix::fs::fchmod(&file, mode)?;
        file.sync_all()?;
        std::fs::rename(&new, &path)
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&new);
        return written;
    }
    // The name, too, is to outlast a power cut. Where a folder cannot be synced, it does so later.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_replaced_file_is_whole_and_keeps_its_mode_and_its_link() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/kapsule.conf");
        replace(&path, "one").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(&path), 0o644);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        replace(&link, "two").unwrap();
        assert_eq!(read_text(&path).unwrap().as_deref(), Some("two"));
        assert_eq!(mode(&path), 0o600);
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(
            std::fs::read_dir(path.parent().unwrap()).unwrap().count(),
            1
        );
    }

    #[test]
    fn only_plain_files_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kapsule.conf");
        assert_eq!(read(&path), Ok(None));
        let with = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            read(&path)
        };
        assert!(with(b"[storage]\npool = x\n").unwrap().is_some());
        assert!(with(b"[broken\n").is_err());
        assert!(with(b"[storage]\npool = \xff\n").is_err());
        assert!(with(&[b'#'; 70_000]).is_err());
        assert!(read(dir.path()).is_err());
        std::fs::remove_file(&path).unwrap();
        let fifo = Mode::RUSR | Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &path, FileType::Fifo, fifo, 0).unwrap();
        assert!(read(&path).is_err(), "and does not wait for a writer");
    }
}
