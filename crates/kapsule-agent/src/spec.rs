// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What the daemon has written down for this container: whose it is, and what it is given.

use std::io;

use kapsule_proto::paths;
use kapsule_proto::spec::{GuestSpec, Owner, SPEC_VERSION};

use crate::files;

/// Longer paths of shared folders than anybody has are in it, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// Reads it.
///
/// # Errors
/// When it is not there, of a later version, or names an owner who cannot be an account.
pub(crate) fn read() -> io::Result<GuestSpec> {
    let json = files::read_limited(paths::SPEC.as_ref(), MAX_FILE)?;
    let spec: GuestSpec = serde_json::from_slice(&json).map_err(io::Error::other)?;
    if spec.version > SPEC_VERSION {
        return Err(io::Error::other(format!(
            "version {} is newer than this agent",
            spec.version
        )));
    }
    if !is_possible(&spec.owner) {
        return Err(io::Error::other("the owner cannot be an account"));
    }
    Ok(spec)
}

/// Whether the names and paths can stand in account files at all.
fn is_possible(owner: &Owner) -> bool {
    let plain = |text: &str, also_bad: &[char]| {
        !text
            .chars()
            .any(|c| c.is_control() || c == ':' || also_bad.contains(&c))
    };
    let name = |name: &str| {
        (1..=255).contains(&name.len())
            && !name.starts_with(['-', '+', '#', '.', '~'])
            && plain(name, &[',', '/', ' '])
    };
    name(&owner.name)
        && name(&owner.group)
        && owner.home.starts_with('/')
        && plain(&owner.home, &[])
        && plain(&owner.shell, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alice() -> Owner {
        Owner {
            uid: 1000,
            gid: 1000,
            name: "alice".into(),
            group: "alice".into(),
            gecos: "Alice: A\n".into(),
            home: "/home/alice".into(),
            home_mounted: true,
            shell: "/bin/zsh".into(),
        }
    }

    #[test]
    fn impossible_owners_are_refused() {
        assert!(is_possible(&alice()));
        for bad in [
            Owner {
                name: String::new(),
                ..alice()
            },
            Owner {
                name: "a:b".into(),
                ..alice()
            },
            Owner {
                name: "a\nb".into(),
                ..alice()
            },
            Owner {
                name: "../a".into(),
                ..alice()
            },
            Owner {
                name: "-a".into(),
                ..alice()
            },
            Owner {
                group: "a,b".into(),
                ..alice()
            },
            Owner {
                home: "home".into(),
                ..alice()
            },
            Owner {
                home: "/home:x".into(),
                ..alice()
            },
            Owner {
                shell: "/bin/\n".into(),
                ..alice()
            },
        ] {
            assert!(!is_possible(&bad), "{bad:?}");
        }
    }
}
