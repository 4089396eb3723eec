// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What a running host consists of, written down so that a later call finds and ends exactly that.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::place::Place;

/// A process, told apart from a later one with the same number by its start time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    /// Clock ticks since the machine booted: field 22 of `/proc/<pid>/stat`, see proc_pid_stat(5).
    start: u64,
}

impl Process {
    /// The process that has this number now.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in field 2 may hold anything, also parentheses and blanks; what follows may not.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?;
        if state == "Z" {
            return None;
        }
        Some(Self {
            pid,
            start: fields.nth(18)?.parse().ok()?,
        })
    }

    pub(crate) fn alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }
}

/// A booted host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct State {
    /// The `systemd-nspawn` that holds it.
    pub(crate) nspawn: Process,
    /// The host's process 1, by its number on the machine.
    pub(crate) leader: Process,
}

impl State {
    /// The running host, or `None` when there is none, also when the machine was restarted meanwhile.
    pub(crate) fn load(place: &Place) -> Option<Self> {
        let text = fs::read(place.state_file()).ok()?;
        let state: Self = serde_json::from_slice(&text).ok()?;
        (state.nspawn.alive() && state.leader.alive()).then_some(state)
    }

    /// Like [`State::load`], where the host is needed.
    pub(crate) fn need(place: &Place) -> Result<Self> {
        Self::load(place).context("the host is not running; start it with `cargo xtask host up`")
    }

    pub(crate) fn save(&self, place: &Place) -> Result<()> {
        fs::write(place.state_file(), serde_json::to_vec_pretty(self)?)
            .with_context(|| format!("cannot write {}", place.state_file().display()))
    }

    /// The host's files as its own process 1 sees them.
    pub(crate) fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.leader.pid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_process_is_alive_and_a_reused_number_is_not() {
        let own = Process::of(std::process::id().try_into().unwrap()).unwrap();
        assert!(own.alive());
        assert!(
            !Process {
                start: own.start + 1,
                ..own
            }
            .alive()
        );
    }
}
