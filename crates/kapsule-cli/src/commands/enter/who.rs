// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! As whom a container is entered. There are two: oneself, and the container's root.

use rustix::process::getuid;

use crate::error::CommandError;
use crate::ui;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Who {
    #[default]
    Owner,
    Root,
}

impl Who {
    /// Reads `--user`.
    pub(super) fn named(name: Option<&str>) -> Result<Self, CommandError> {
        let Some(name) = name else {
            return Ok(Self::Owner);
        };
        Self::of(name, getuid().is_root(), &own_names())
    }

    fn of(name: &str, is_root: bool, own_names: &[String]) -> Result<Self, CommandError> {
        if own_names.iter().any(|own| own == name) || (is_root && name == "root") {
            return Ok(Self::Owner);
        }
        if name == "root" {
            return Ok(Self::Root);
        }
        let name = ui::escape(name);
        let own = own_names.first().map_or("yourself", String::as_str);
        Err(CommandError::usage(format!(
            "a container is entered as its owner ({own}) or as root, not as '{name}'"
        ))
        .hint(format!(
            "root can become anybody: kapsule enter NAME --user root -- su - {name}"
        )))
    }
}

/// What this user is called: by the system's own table, or by the login.
fn own_names() -> Vec<String> {
    let login = ["LOGNAME", "USER"].map(|variable| std::env::var(variable).ok());
    let passwd = super::host_shell::passwd_entry();
    let passwd = passwd.and_then(|entry| entry.name.to_str().map(str::to_owned));
    passwd
        .into_iter()
        .chain(login.into_iter().flatten())
        // Who is somebody else's name for root is not root.
        .filter(|name| name != "root" && !name.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_oneself_or_root_and_nobody_else() {
        let alice = ["alice".to_owned()];
        assert_eq!(Who::named(None).unwrap(), Who::Owner);
        assert_eq!(Who::of("alice", false, &alice).unwrap(), Who::Owner);
        assert_eq!(Who::of("root", false, &alice).unwrap(), Who::Root);
        assert_eq!(Who::of("root", true, &[]).unwrap(), Who::Owner);
        for other in ["bob", "", "Root", "0", "1000"] {
            let error = Who::of(other, false, &alice).unwrap_err().to_string();
            assert!(error.contains("alice") && error.contains("root"), "{error}");
        }
    }
}
