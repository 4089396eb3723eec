// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Which login session a program belongs to, by its control group, as polkit tells sessions apart.
//!
//! This is no identity. A number of a process can be another's a moment later, and all programs of
//! a user can get into all their sessions. It only says which of polkit's answers to the *same
//! user* can be used again.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use zbus::fdo::ConnectionCredentials;

/// Largest table of control groups that is read, in bytes.
const MAX: u64 = 16 * 1024;

/// The session of a connection's program; empty when it cannot be told.
pub(crate) fn of(credentials: &ConnectionCredentials) -> Arc<str> {
    let session = credentials
        .process_id()
        .and_then(control_groups)
        // One that has ended in between may not be the one that was read about.
        .filter(|_| credentials.process_fd().is_none_or(lives))
        .and_then(|table| in_table(&table).map(Arc::from));
    session.unwrap_or_default()
}

fn control_groups(pid: u32) -> Option<String> {
    let mut table = String::new();
    let file = File::open(format!("/proc/{pid}/cgroup")).ok()?;
    file.take(MAX).read_to_string(&mut table).ok()?;
    Some(table)
}

fn lives(process: &impl AsFd) -> bool {
    let at_once = Timespec::default();
    let mut ended = [PollFd::new(process, PollFlags::IN)];
    matches!(poll(&mut ended, Some(&at_once)), Ok(0))
}

/// What a table as in `/proc/PID/cgroup` says: a session's scope, or the user's manager, or else
/// the whole path, which names the service.
fn in_table(table: &str) -> Option<&str> {
    // The unified hierarchy and systemd's own: where there are both, one of them is not used.
    let paths = table.lines().filter_map(|line| {
        let unified = line.strip_prefix("0::");
        unified.or_else(|| line.split_once(":name=systemd:").map(|(_, path)| path))
    });
    let path = paths.max_by_key(|path| path.len())?;
    let session = path.split('/').find(|unit| {
        (unit.starts_with("session-") && unit.ends_with(".scope"))
            || (unit.starts_with("user@") && unit.ends_with(".service"))
    });
    Some(session.unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_sessions_apart() {
        for (table, session) in [
            (
                "0::/user.slice/user-1000.slice/session-3.scope\n",
                "session-3.scope",
            ),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-konsole.scope\n",
                "user@1000.service",
            ),
            (
                "0::/system.slice/backup.service\n",
                "/system.slice/backup.service",
            ),
            (
                "9:memory:/x\n1:name=systemd:/user.slice/user-1.slice/session-c2.scope\n0::/\n",
                "session-c2.scope",
            ),
            (
                "9:name=systemd:/\n8:pids:/\n0::/user.slice/user-1.slice/session-7.scope\n",
                "session-7.scope",
            ),
        ] {
            assert_eq!(in_table(table), Some(session));
        }
        assert_eq!(in_table(""), None);
        assert_eq!(in_table("nonsense"), None);
    }

    #[test]
    fn reads_that_of_a_process() {
        assert!(control_groups(std::process::id()).is_some());
        assert_eq!(control_groups(u32::MAX), None);
    }
}
