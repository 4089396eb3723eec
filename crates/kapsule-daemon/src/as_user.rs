// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Work with a user's own rights: what they could not read or make themselves, the daemon does
//! not read or make for them.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

pub(crate) use kapsule_core::settings::files::open_regular;
use rustix::fs::{Mode, OFlags};
use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::error::{Error, Result};
use crate::threads;
use crate::users::User;

/// Runs `work` on a fresh thread that has the user's file access rights, and no capability of
/// root in effect. Waits for it at most `patience`, so that a hung network home stalls nobody;
/// the thread then stays behind until its call returns. `doing` names the work in error texts.
///
/// # Errors
/// As [`threads::run`], and `Failed` when the rights cannot be given up.
pub(crate) async fn run<T: Send + 'static>(
    user: &User,
    patience: Duration,
    doing: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let identity = Identity::of(user);
    let uid = user.uid;
    threads::run(uid, patience, doing, move || {
        identity.assume().map(|()| work()).map_err(|error| {
            Error::failed(format!(
                "{doing}: cannot take the rights of user {uid}: {error}"
            ))
        })
    })
    .await?
}

struct Identity {
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
}

impl Identity {
    fn of(user: &User) -> Self {
        Self {
            uid: Uid::from_raw(user.uid),
            gid: Gid::from_raw(user.gid),
            groups: user.groups.iter().copied().map(Gid::from_raw).collect(),
        }
    }

    /// Takes the identity on, in the calling thread only. Only the effective ids change: they
    /// decide about files (the file system ids follow them) and, on leaving 0, clear the
    /// effective capabilities. The real and saved ids stay root's, as a process may send signals
    /// to a thread that has its real or saved user id, and a signal ends the whole daemon.
    fn assume(&self) -> io::Result<()> {
        let already = rustix::process::geteuid() == self.uid && self.uid != Uid::ROOT;
        if already {
            // Not root to begin with (in tests): there is nothing to give up.
            return Ok(());
        }
        set_thread_groups(&self.groups)?;
        set_thread_res_gid(None, self.gid, None)?;
        set_thread_res_uid(None, self.uid, None)?;
        Ok(())
    }
}

/// Opens a directory, to hold on to it or to list it.
///
/// # Errors
/// Those of open(2).
pub(crate) fn open_directory(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

/// Makes a directory and what is missing above it, with mode 0755 whatever the umask is, which is the
/// daemon's and not the user's.
///
/// # Errors
/// Those of mkdir(2) and chmod(2); `AlreadyExists` when something else than a directory has the name.
pub(crate) fn make_directories(path: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = path.ancestors().take_while(|it| !it.exists()).collect();
    for directory in missing.into_iter().rev() {
        match std::fs::create_dir(directory) {
            Ok(()) => std::fs::set_permissions(directory, Permissions::from_mode(0o755))?,
            // Somebody else was quicker.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    match path.is_dir() {
        true => Ok(()),
        false => Err(io::ErrorKind::AlreadyExists.into()),
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs::FileType;

    use super::*;
    use crate::users;

    const SOON: Duration = Duration::from_secs(5);

    #[test]
    fn opens_only_regular_files_of_bounded_size() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "12345").unwrap();
        assert!(open_regular(&file, 5).is_ok());
        assert!(open_regular(&file, 4).is_err());
        assert!(open_regular(dir.path(), 5).is_err());
        let fifo = dir.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert!(
            open_regular(&fifo, 5).is_err(),
            "and does not wait for a writer"
        );
        assert!(open_directory(dir.path()).is_ok());
        assert!(open_directory(&file).is_err());
    }

    #[test]
    fn directories_are_made_with_a_mode_of_their_own() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b");
        make_directories(&path).unwrap();
        make_directories(&path).unwrap();
        for made in [&path, path.parent().unwrap()] {
            let mode = std::fs::metadata(made).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o755, "{}", made.display());
        }
        let file = root.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(make_directories(&file).is_err());
        assert!(make_directories(&file.join("below")).is_err());
    }

    #[tokio::test]
    async fn has_the_users_rights_and_not_roots() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: needs root");
            return;
        }
        let nobody = users::lookup(65534).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        let secret = dir.path().join("secret");
        std::fs::write(&secret, "x").unwrap();
        std::fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();

        let path = secret.clone();
        let kind = run(&nobody, SOON, "reading", move || {
            open_regular(&path, 10).map_err(|error| error.kind()).err()
        });
        assert_eq!(kind.await.unwrap(), Some(io::ErrorKind::PermissionDenied));
        let path = dir.path().join("new");
        let made = run(&nobody, SOON, "making", move || {
            make_directories(&path).is_ok()
        });
        assert!(!made.await.unwrap());
        // The rest of the process is root still.
        assert!(open_regular(&secret, 10).is_ok());
    }
}
