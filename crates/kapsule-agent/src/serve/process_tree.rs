// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The process tree of a session, and ending it when its terminal goes away.
//!
//! What belongs to a tab and what has been detached from it on purpose is decided as `ssh` and
//! terminals do, with one addition for those that neither go nor say that they want to stay:
//!
//! - When the program of a session ends by itself, what it left in the background goes on.
//! - When the terminal (or the client) goes away, every process of the session gets `SIGHUP`, and
//!   what still runs [`GRACE`] later is killed: closing a tab ends the whole tree of that tab.
//! - Detached are those that `setsid` put into a session of their own (tmux, `podman run -d`,
//!   daemons, a `script` or `sudo` with a terminal of its own, which is hung up in turn), and
//!   those that ignore `SIGHUP` (`nohup`). They are left alone in both cases.

use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::cgroup::Cgroup;

/// How long processes have from `SIGHUP` to the end.
pub(crate) const GRACE: Duration = Duration::from_secs(2);

/// How often killing looks for processes that were forked meanwhile.
const ROUNDS: usize = 16;

/// What the kernel tells about a process (proc_pid_stat(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    zombie: bool,
    session: i32,
    foreground_group: i32,
}

/// Sends a signal to what is in the foreground of the terminal whose session `leader` leads.
pub(crate) fn signal_foreground(leader: Pid, signal: Signal) {
    let group = stat_of(leader).and_then(|stat| Pid::from_raw(stat.foreground_group.max(0)));
    // An empty group, or one of which nothing may be signalled: nobody to tell.
    let _ = rustix::process::kill_process_group(group.unwrap_or(leader), signal);
}

/// Sends a signal to the process group of `leader`.
pub(crate) fn signal_group(leader: Pid, signal: Signal) {
    let _ = rustix::process::kill_process_group(leader, signal);
}

/// Tells every process of the session that its terminal has gone.
pub(crate) fn hang_up(leader: Pid, cgroup: Option<&Cgroup>) {
    for signal in [Signal::HUP, Signal::CONT] {
        for process in all_processes(cgroup) {
            signal_member(process, leader, signal);
        }
    }
}

/// Whether anything of the session still runs that [`kill`] would end.
pub(crate) fn is_alive(leader: Pid, cgroup: Option<&Cgroup>) -> bool {
    all_processes(cgroup)
        .into_iter()
        .any(|process| is_member(process, leader) && !ignores_hang_up(process))
}

/// Whether this process runs and is to be left alone.
pub(crate) fn is_detached(process: Pid) -> bool {
    stat_of(process).is_some_and(|stat| !stat.zombie) && ignores_hang_up(process)
}

/// Ends every process of the session that is not detached.
pub(crate) fn kill(leader: Pid, cgroup: Option<&Cgroup>) {
    for _ in 0..ROUNDS {
        let processes = all_processes(cgroup);
        let (ours, others): (Vec<_>, Vec<_>) = processes
            .into_iter()
            .filter(|process| stat_of(*process).is_some_and(|stat| !stat.zombie))
            .partition(|process| is_member(*process, leader) && !ignores_hang_up(*process));
        if ours.is_empty() {
            return;
        }
        // Nobody to spare: the kernel's way leaves no time to fork, and reaches root's too.
        if others.is_empty() && cgroup.is_some_and(|cgroup| cgroup.kill().is_ok()) {
            return;
        }
        for process in ours {
            signal_member(process, leader, Signal::KILL);
        }
    }
}

/// Sends a signal to a process if it is of the session. The process is held while it is looked
/// at, so that its number cannot have become another's.
fn signal_member(process: Pid, leader: Pid, signal: Signal) {
    if let Ok(pidfd) = pidfd_open(process, PidfdFlags::empty())
        && is_member(process, leader)
    {
        let _ = pidfd_send_signal(&pidfd, signal);
    }
}

fn is_member(process: Pid, leader: Pid) -> bool {
    stat_of(process)
        .is_some_and(|stat| !stat.zombie && stat.session == leader.as_raw_nonzero().get())
}

/// Those that may be of the session: all in its control group, or else all that there are.
fn all_processes(cgroup: Option<&Cgroup>) -> Vec<Pid> {
    if let Some(cgroup) = cgroup {
        return cgroup.processes();
    }
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(Pid::from_raw)
        .collect()
}

fn stat_of(process: Pid) -> Option<Stat> {
    let path = format!("/proc/{}/stat", process.as_raw_nonzero());
    parse_stat(&std::fs::read(path).ok()?)
}

fn parse_stat(stat: &[u8]) -> Option<Stat> {
    // The name is in parentheses and may contain anything, also parentheses.
    let after_name = stat.iter().rposition(|byte| *byte == b')')? + 1;
    let rest = std::str::from_utf8(&stat[after_name..]).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let mut numbers = fields.map(str::parse::<i32>);
    let (_parent, _group) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    let session = numbers.next()?.ok()?;
    let _terminal = numbers.next()?.ok()?;
    let foreground_group = numbers.next()?.ok()?;
    Some(Stat {
        zombie: matches!(state, "Z" | "X"),
        session,
        foreground_group,
    })
}

fn ignores_hang_up(process: Pid) -> bool {
    let path = format!("/proc/{}/status", process.as_raw_nonzero());
    std::fs::read(path).is_ok_and(|status| parse_ignores_hang_up(&status))
}

fn parse_ignores_hang_up(status: &[u8]) -> bool {
    crate::account_file::lines(status)
        .find_map(|line| line.strip_prefix(b"SigIgn:"))
        .and_then(|field| std::str::from_utf8(field).ok())
        .and_then(|field| u64::from_str_radix(field.trim(), 16).ok())
        // Bit n - 1 stands for signal n, and SIGHUP is 1.
        .is_some_and(|mask| mask & 1 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_whatever_the_name() {
        let stat = b"77 (a) Z 1 (b)) S 1 70 60 34816 55 4194304 1 2";
        assert_eq!(
            parse_stat(stat),
            Some(Stat {
                zombie: false,
                session: 60,
                foreground_group: 55
            })
        );
        assert!(parse_stat(b"1 (x) Z 0 0 0 0 -1").unwrap().zombie);
        for bad in [
            &b""[..],
            b"1 (x",
            b"1 (x) S",
            b"1 (x) S 1 2 q 4 5",
            b"\xff) \xff",
        ] {
            assert_eq!(parse_stat(bad), None);
        }
    }

    #[test]
    fn nohup_is_recognised() {
        assert!(parse_ignores_hang_up(
            b"Name:\tx\nSigIgn:\t0000000000001001\n"
        ));
        assert!(!parse_ignores_hang_up(b"SigIgn:\t0000000000001000\n"));
        assert!(!parse_ignores_hang_up(b""));
    }
}
