// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Who can run commands in the host.

use std::path::PathBuf;

use anyhow::{Result, bail};

use super::state::State;

/// Someone with a session in the host.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) name: &'static str,
    uid: u32,
}

/// root, who is served by the system's systemd, and the users with managers of their own.
pub(crate) const SESSIONS: &[User] = &[
    User {
        name: "root",
        uid: 0,
    },
    User {
        name: "alice",
        uid: 1000,
    },
    User {
        name: "bob",
        uid: 1001,
    },
];

impl User {
    pub(crate) fn uid(&self) -> u32 {
        self.uid
    }

    pub(crate) fn named(name: &str) -> Result<&'static Self> {
        let Some(user) = SESSIONS.iter().find(|user| user.name == name) else {
            bail!("the host has no session of `{name}`: choose root, alice or bob");
        };
        Ok(user)
    }

    /// The socket of the units in `xtask/host/files`, as seen from the machine.
    pub(crate) fn exec_socket(&self, state: &State) -> PathBuf {
        let path = match self.uid {
            0 => "run/kapsule-exec".to_owned(),
            uid => format!("run/user/{uid}/kapsule-exec"),
        };
        state.root().join(path)
    }
}
