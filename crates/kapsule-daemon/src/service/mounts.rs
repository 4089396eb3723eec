// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Custom mounts: which host folders a user may see inside their containers.
//!
//! A folder is opened as the user, and what is mounted later is compared with that: not the path,
//! which somebody may have made to lead elsewhere meanwhile, but the folder itself. The comparing is
//! done inside, by the agent, before anything of the guest runs: that way it is done whoever starts
//! the container, and the daemon needs no right to look into one.

mod beyond;

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use kapsule_core::options::Options;
use kapsule_proto::folder::FolderId;
use kapsule_proto::spec::Share;

use super::{Consent, devices, metadata};
use crate::as_user;
use crate::error::{Error, Result};
use crate::users::User;

/// Places inside that are the guest's own: a folder mounted over or below them would take its
/// system away, or give it another's.
const RESERVED: &[&str] = &[
    "/.kapsule",
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib32",
    "/lib64",
    "/proc",
    "/run",
    "/sbin",
    "/sys",
    "/usr",
];
/// As [`RESERVED`], but folders below them are fine.
const RESERVED_ITSELF: &[&str] = &[
    "/", "/home", "/media", "/mnt", "/opt", "/root", "/srv", "/tmp", "/var",
];

/// Most folders that one container shows: each takes a mount on the host while it starts.
const MAX_MOUNTS: usize = 64;

/// How long looking at one folder may take: it may be on a network that hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a path of a mount came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The caller wrote it: the folder must be there.
    Caller,
    /// The image asks for it: a folder in the home is made when it is missing.
    Image,
}

/// A folder of the host that a container shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Folder {
    /// Path on the host, without symlinks when it was looked at.
    pub(crate) source: PathBuf,
    /// Path inside.
    pub(crate) path: PathBuf,
    /// Which one it is. The agent refuses to boot with another one.
    pub(crate) id: FolderId,
    /// The user could not open it, and an administrator agreed.
    pub(crate) beyond_rights: bool,
}

impl Folder {
    fn share(&self) -> Share {
        Share {
            path: self.path.to_string_lossy().into_owned(),
            folder: self.id.clone(),
        }
    }
}

/// Turns custom mounts, as written, into folders on the host that the user can read, checked with
/// the user's rights.
///
/// # Errors
/// The first path that cannot be mounted, with the reason.
pub(crate) async fn check(
    user: &User,
    mounts: &[String],
    origin: Origin,
    consent: Consent,
) -> Result<Vec<Folder>> {
    if mounts.len() > MAX_MOUNTS {
        return Err(Error::invalid(format!(
            "{} folders are to be shared with the container, and {MAX_MOUNTS} are the most. Share a folder above them",
            mounts.len()
        )));
    }
    let mut checked: Vec<Folder> = Vec::with_capacity(mounts.len());
    for text in mounts {
        let path = expand(text, &user.home)?;
        let folder = match look(user, &path, origin).await? {
            Ok(folder) => folder,
            Err(error) if is_denied(&error) && consent == Consent::Given => {
                beyond::look(user.uid, &path).await?
            }
            Err(error) => return Err(not_to_share(user, &path, &error)),
        };
        check_place(&folder.source)?;
        check_place(&folder.path)?;
        if !checked.iter().any(|other| other.path == folder.path) {
            checked.push(folder);
        }
    }
    Ok(checked)
}

/// Those of the caller's mounts that are there, and that the user could not open: an administrator
/// has to agree to them.
///
/// # Errors
/// Where a path cannot be one, or looking takes too long.
pub(crate) async fn beyond_rights(user: &User, mounts: &[String]) -> Result<Vec<PathBuf>> {
    let mut denied = Vec::new();
    for text in mounts.iter().take(MAX_MOUNTS) {
        let path = expand(text, &user.home)?;
        if let Err(error) = look(user, &path, Origin::Caller).await?
            && is_denied(&error)
        {
            check_place(&path)?;
            denied.push(path);
        }
    }
    Ok(denied)
}

/// Opens a folder as the user.
async fn look(user: &User, path: &Path, origin: Origin) -> Result<io::Result<Folder>> {
    let make = origin == Origin::Image && path.starts_with(&user.home);
    let (home, path) = (user.home.clone(), path.to_owned());
    as_user::run(user, PATIENCE, "looking at a folder to share", move || {
        if make {
            as_user::make_directories(&path)?;
        }
        let source = std::fs::canonicalize(&path)?;
        // Opening it is the check that the user may read it, and tells which one it is. The path
        // may lead elsewhere by the time that Incus uses it.
        let id = FolderId::of(as_user::open_directory(&source)?)?;
        // The home is where the user's account says, also where that is a symlink on the host.
        let below_home = std::fs::canonicalize(&home)
            .ok()
            .and_then(|real| Some(home.join(source.strip_prefix(real).ok()?)));
        Ok(Folder {
            path: below_home.unwrap_or_else(|| source.clone()),
            source,
            id,
            beyond_rights: false,
        })
    })
    .await
}

fn is_denied(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

fn not_to_share(user: &User, path: &Path, error: &io::Error) -> Error {
    Error::invalid(format!(
        "cannot share {} with the container: {}. Give a folder that exists and that {} can read",
        path.display(),
        io_reason(error),
        user.name
    ))
}

/// What the agent is to compare at each boot: the folders of a new container.
pub(crate) async fn shares(
    user: &User,
    options: &Options,
    folders: &[Folder],
) -> Result<Vec<Share>> {
    let mut shares: Vec<Share> = folders.iter().map(Folder::share).collect();
    shares.extend(home(user, options).await?);
    Ok(shares)
}

/// What the agent is to compare at the next boot of an existing container: each folder is opened once
/// more as the user.
///
/// # Errors
/// When the user cannot open one any more.
pub(crate) async fn shares_again(user: &User, instance: &incus::Instance) -> Result<Vec<Share>> {
    let consented = metadata::consented_mounts(&instance.config);
    let mut shares = Vec::new();
    for (_, device) in devices::custom_mounts(&instance.devices) {
        let (Some(source), Some(path)) = (device.get("source"), device.get("path")) else {
            continue;
        };
        let folder = match look(user, Path::new(source), Origin::Caller).await? {
            Ok(folder) => folder.id,
            Err(error) => match consented.get(source) {
                Some(folder) if is_denied(&error) => folder.clone(),
                _ => return Err(not_to_share(user, Path::new(source), &error)),
            },
        };
        shares.push(Share {
            path: path.clone(),
            folder,
        });
    }
    shares.extend(home(user, &metadata::options(&instance.config)).await?);
    Ok(shares)
}

/// The home, where somebody else than root could exchange it. Elsewhere it is what it is, also while
/// it is locked and something else stands in its place.
async fn home(user: &User, options: &Options) -> Result<Option<Share>> {
    if !options.mount_home || is_roots_to_exchange(&user.home) {
        return Ok(None);
    }
    match look(user, &user.home, Origin::Caller).await? {
        Ok(mut folder) => {
            folder.path.clone_from(&user.home);
            Ok(Some(folder.share()))
        }
        Err(error) => Err(not_to_share(user, &user.home, &error)),
    }
}

/// Whether only root can make a path lead elsewhere: all that is on the way is root's.
fn is_roots_to_exchange(path: &Path) -> bool {
    const OTHERS_WRITE: u32 = 0o022;
    const STICKY: u32 = 0o1000;
    let is_roots = |folder: &Path| {
        std::fs::symlink_metadata(folder).is_ok_and(|about| {
            let closed = about.is_symlink() || about.mode() & OTHERS_WRITE == 0;
            about.uid() == 0 && (closed || about.mode() & STICKY != 0)
        })
    };
    let all_are = |path: &Path| path.ancestors().skip(1).all(is_roots);
    // Twice: a symlink on the way has a way of its own.
    all_are(path) && std::fs::canonicalize(path).is_ok_and(|real| all_are(&real))
}

fn io_reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such folder".to_owned(),
        io::ErrorKind::NotADirectory => "it is not a folder".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

fn expand(text: &str, home: &Path) -> Result<PathBuf> {
    let path = match text.strip_prefix('~') {
        Some("" | "/") => home.to_owned(),
        Some(rest) if rest.starts_with('/') => home.join(rest.trim_start_matches('/')),
        Some(_) => {
            return Err(Error::invalid(format!(
                "{text:?}: only ~/ (your own home) can be used in a mount"
            )));
        }
        None => PathBuf::from(text),
    };
    if text.chars().any(char::is_control) {
        return Err(Error::invalid(format!(
            "{text:?} cannot be mounted: it holds control characters"
        )));
    }
    let plain = path
        .components()
        .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    if !path.is_absolute() || !plain {
        return Err(Error::invalid(format!(
            "{text:?} cannot be mounted: give an absolute path without '..'"
        )));
    }
    Ok(path)
}

fn check_place(path: &Path) -> Result<()> {
    let reserved = RESERVED.iter().any(|place| path.starts_with(place))
        || RESERVED_ITSELF.iter().any(|place| path == Path::new(place));
    if reserved {
        return Err(Error::invalid(format!(
            "{} cannot be mounted: the container has that folder itself. \
             The host's is visible below /.kapsule/host when the option host_rootfs is on",
            path.display()
        )));
    }
    if path
        .to_str()
        .is_none_or(|text| text.chars().any(char::is_control))
    {
        return Err(Error::invalid(format!(
            "{path:?} cannot be mounted: its name is not plain text"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expands_the_home_and_refuses_tricks() {
        let home = Path::new("/home/alice");
        assert_eq!(expand("~/kde", home).unwrap(), Path::new("/home/alice/kde"));
        assert_eq!(expand("~", home).unwrap(), home);
        assert_eq!(expand("/srv/x", home).unwrap(), Path::new("/srv/x"));
        for bad in [
            "",
            "x",
            "./x",
            "~bob/x",
            "~/../bob",
            "/srv/../etc",
            "/srv/\u{7}",
        ] {
            assert!(expand(bad, home).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn keeps_the_guests_own_folders() {
        for bad in [
            "/",
            "/etc",
            "/etc/ssl",
            "/usr/share",
            "/proc/1",
            "/.kapsule/run",
            "/home",
            "/run/user/1000",
        ] {
            assert!(check_place(Path::new(bad)).is_err(), "{bad}");
        }
        for good in [
            "/home/alice/kde",
            "/srv/data",
            "/mnt/disk",
            "/etcetera",
            "/media/stick",
        ] {
            assert!(check_place(Path::new(good)).is_ok(), "{good}");
        }
    }
}
