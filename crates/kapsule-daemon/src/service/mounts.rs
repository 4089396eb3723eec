// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Custom mounts: which host folders a user may see inside their containers.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

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

/// Turns custom mounts, as written, into folders on the host that the user can read, checked with
/// the user's rights.
///
/// # Errors
/// The first path that cannot be mounted, with the reason.
pub(crate) async fn check(user: &User, mounts: &[String], origin: Origin) -> Result<Vec<PathBuf>> {
    let mut checked = Vec::with_capacity(mounts.len());
    for text in mounts {
        let path = expand(text, &user.home)?;
        let make = origin == Origin::Image && path.starts_with(&user.home);
        let wanted = path.clone();
        let found = as_user::run(user, PATIENCE, "looking at a folder to mount", move || {
            if make {
                as_user::make_directories(&wanted)?;
            }
            // Opening it is the check that the user may read it; the resolved path is what Incus
            // will mount, so that no symlink is left in it.
            as_user::open_directory(&wanted)?;
            std::fs::canonicalize(&wanted)
        })
        .await?;
        let resolved = found.map_err(|error| {
            Error::invalid(format!(
                "cannot share {} with the container: {}. Give a folder that exists and that {} can read",
                path.display(),
                io_reason(&error),
                user.name
            ))
        })?;
        check_place(&resolved)?;
        if !checked.contains(&resolved) {
            checked.push(resolved);
        }
    }
    Ok(checked)
}

fn io_reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such folder".to_owned(),
        std::io::ErrorKind::NotADirectory => "it is not a folder".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
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
