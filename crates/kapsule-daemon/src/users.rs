// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Users of the host, as its name services know them.

use std::ffi::CString;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use nix::unistd::{Gid, Group, Uid, getgrouplist};

use crate::error::{Error, ErrorKind, Result};
use crate::threads;

/// How long the name services may take. LDAP over a bad line is slow; a desktop waits no longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longest user name, home or shell that is believed, in bytes.
const MAX_FIELD: usize = 1024;

/// A user of the host. The texts are checked: they hold no control characters, no `:` and no
/// line breaks, and the paths are absolute and without `..`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    /// User id.
    pub(crate) uid: u32,
    /// Primary group id.
    pub(crate) gid: u32,
    /// Login name.
    pub(crate) name: String,
    /// Name of the primary group; the id as text when it has none.
    pub(crate) group: String,
    /// All groups, the primary one among them.
    pub(crate) groups: Vec<u32>,
    /// Full name and the like; characters that do not belong there are left out.
    pub(crate) gecos: String,
    /// Home folder.
    pub(crate) home: PathBuf,
    /// Login shell.
    pub(crate) shell: PathBuf,
}

#[cfg(test)]
impl User {
    /// A user to test pure functions with; not one of this machine.
    pub(crate) fn for_tests(uid: u32, gid: u32) -> Self {
        Self {
            uid,
            gid,
            name: "alice".to_owned(),
            group: "alice".to_owned(),
            groups: vec![gid],
            gecos: String::new(),
            home: PathBuf::from("/home/alice"),
            shell: PathBuf::from("/bin/bash"),
        }
    }
}

/// Looks a user up. Does not block; takes at most ten seconds.
///
/// # Errors
/// `NotFound` when there is no such user, `Failed` when the name services do not answer or tell
/// what cannot be right.
pub(crate) async fn lookup(uid: u32) -> Result<User> {
    threads::run(uid, PATIENCE, "looking up the user's account", move || {
        look_up(uid)
    })
    .await?
}

/// The id of a user, who is given by login name or number. One that is given as a number need not
/// have an account: containers stay when accounts go. Does not block; takes at most ten seconds.
///
/// # Errors
/// `NotFound` when there is no such user, `LimitExceeded` or `Failed` when the name services do not
/// answer.
pub(crate) async fn uid_of(user: &str) -> Result<u32> {
    let unknown = || {
        Error::new(
            ErrorKind::NotFound,
            format!("there is no user {user:?} on this system"),
        )
    };
    if !is_account_name(user) {
        return Err(unknown());
    }
    let name = user.to_owned();
    let account = threads::run(0, PATIENCE, "looking up the user's account", move || {
        nix::unistd::User::from_name(&name)
    })
    .await?
    .map_err(|error| Error::failed(format!("user {user:?} cannot be looked up: {error}")))?;
    match account {
        Some(account) => Ok(account.uid.as_raw()),
        None => user.parse().map_err(|_| unknown()),
    }
}

fn look_up(uid: u32) -> Result<User> {
    let unanswered = |error: nix::Error| {
        Error::failed(format!(
            "the account of user {uid} cannot be looked up: {error}"
        ))
    };
    let entry = nix::unistd::User::from_uid(Uid::from_raw(uid))
        .map_err(unanswered)?
        .ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("there is no user with the id {uid} on this system"),
            )
        })?;
    let name = CString::new(entry.name.as_str())
        .map_err(|_| Error::failed(format!("the name of user {uid} holds a zero byte")))?;
    let groups = getgrouplist(&name, entry.gid).map_err(unanswered)?;
    let group = Group::from_gid(entry.gid)
        .map_err(unanswered)?
        .map(|group| group.name)
        .filter(|name| is_account_name(name))
        .unwrap_or_else(|| entry.gid.to_string());
    let user = User {
        uid,
        gid: entry.gid.as_raw(),
        name: entry.name,
        group,
        groups: groups.into_iter().map(Gid::as_raw).collect(),
        gecos: entry
            .gecos
            .to_string_lossy()
            .chars()
            .filter(|c| !c.is_control() && *c != ':')
            .take(MAX_FIELD)
            .collect(),
        home: entry.dir,
        shell: if entry.shell.as_os_str().is_empty() {
            // What passwd(5) says an empty field means.
            PathBuf::from("/bin/sh")
        } else {
            entry.shell
        },
    };
    user.check()?;
    Ok(user)
}

impl User {
    /// Whether the texts are what they can be: they end up in files of the container.
    fn check(&self) -> Result<()> {
        let wrong = |what: &str| {
            Err(Error::failed(format!(
                "the {what} of user {} is not usable; see `getent passwd {}`",
                self.uid, self.uid
            )))
        };
        if !is_account_name(&self.name) {
            return wrong("name");
        }
        if !is_plain_path(&self.home) {
            return wrong("home folder");
        }
        if !is_plain_path(&self.shell) {
            return wrong("login shell");
        }
        Ok(())
    }
}

/// Whether a text can be a user's or group's name. Directory services have dots, `@`, blanks and
/// umlauts in them; what would break out of a line, a path or a command line is refused.
fn is_account_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_FIELD
        && name != "."
        && name != ".."
        && !name.starts_with('-')
        && !name
            .chars()
            .any(|c| c.is_control() || ":/,\"\\".contains(c))
}

fn is_plain_path(path: &Path) -> bool {
    let plain_text = path.to_str().is_some_and(|text| {
        text.len() <= MAX_FIELD && !text.chars().any(|c| c.is_control() || c == ':')
    });
    plain_text && path.is_absolute() && !path.components().any(|part| part == Component::ParentDir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn knows_root() {
        let root = lookup(0).await.unwrap();
        assert_eq!((root.uid, root.gid, root.name.as_str()), (0, 0, "root"));
        assert!(root.home.is_absolute() && root.groups.contains(&0));
    }

    #[tokio::test]
    async fn tells_who_is_not_there() {
        let error = lookup(3_999_999_999).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
    }

    #[tokio::test]
    async fn users_have_names_or_numbers() {
        assert_eq!(uid_of("root").await.unwrap(), 0);
        assert_eq!(uid_of("3999999999").await.unwrap(), 3_999_999_999);
        for nobody in ["no-such-user-here", "", "-1", "a\0b", "4294967296"] {
            let error = uid_of(nobody).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::NotFound, "{nobody:?}");
        }
    }

    #[test]
    fn refuses_texts_that_would_break_out() {
        for bad in ["", "-a", "a:b", "a/b", "..", "a\nb", "a,b", "a\"b"] {
            assert!(!is_account_name(bad), "{bad:?}");
        }
        for good in ["alice", "alice.b", "DOM+alice", "alice@example.org", "Zoë"] {
            assert!(is_account_name(good), "{good:?}");
        }
        for bad in ["", "home/a", "/home/../a", "/home/a:b", "/home/a\nb"] {
            assert!(!is_plain_path(Path::new(bad)), "{bad:?}");
        }
        assert!(is_plain_path(Path::new("/home/alice b")));
    }
}
