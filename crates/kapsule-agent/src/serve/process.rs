// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The first process of a session: what it is connected to, its beginning and its end.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use kapsule_proto::session::{Exit, StdioSet};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Signal, WaitId, WaitIdOptions, waitid};

use super::cgroup::Cgroup;
use super::command::Command;
use super::poller::Token;
use super::shared::Shared;
use crate::spawn::{self, Blueprint, Child};

/// What its standard streams are.
#[derive(Debug)]
pub(super) struct Streams<'a> {
    /// Those that the client attached.
    pub(super) wanted: StdioSet,
    /// In ascending order.
    pub(super) attached: &'a [OwnedFd],
    /// What the others are, in place of `/dev/null`.
    pub(super) terminal: Option<&'a OwnedFd>,
}

/// Makes it, and waits for what becomes of it under the session's number. Returns it and where it
/// reports.
///
/// # Errors
/// When the system has no room for it.
pub(super) fn make(
    session: u64,
    command: &Command,
    streams: &Streams<'_>,
    cgroup: Option<&Cgroup>,
    shared: &Shared,
) -> std::io::Result<(Child, OwnedFd)> {
    let null;
    let default: BorrowedFd<'_> = match streams.terminal {
        Some(terminal) => terminal.as_fd(),
        None => {
            let flags = OFlags::RDWR | OFlags::CLOEXEC;
            null = rustix::fs::open("/dev/null", flags, Mode::empty())?;
            null.as_fd()
        }
    };
    let mut attached = streams.attached.iter();
    let mut stream = |is_attached: bool| match is_attached {
        true => attached.next().map_or(default, AsFd::as_fd),
        false => default,
    };
    let stdio = [
        stream(streams.wanted.stdin),
        stream(streams.wanted.stdout),
        stream(streams.wanted.stderr),
    ];
    let (child, report) = spawn::spawn(&Blueprint {
        programs: &command.programs,
        argv: &command.argv,
        env: &command.env,
        cwd: &command.cwd,
        home: &command.home,
        stdio,
        terminal: streams.terminal.map(AsFd::as_fd),
        cgroup: cgroup.map(AsFd::as_fd),
        open_files: shared.open_files,
    })?;
    let waited_for = shared
        .poller
        .add(&child.pidfd, Token::Process(session))
        .and_then(|()| shared.poller.add(&report, Token::Report(session)));
    if let Err(error) = waited_for {
        // Nobody would notice its end, so it has to come now.
        let _ = rustix::process::pidfd_send_signal(&child.pidfd, Signal::KILL);
        reap(&child);
        return Err(error);
    }
    Ok((child, report))
}

/// Waits for a process that has ended or is about to.
pub(super) fn reap(child: &Child) -> Exit {
    loop {
        match waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED) {
            Ok(Some(status)) => {
                let number =
                    |value: Option<i32>| value.and_then(|value| u8::try_from(value & 0xff).ok());
                return match (
                    number(status.exit_status()),
                    number(status.terminating_signal()),
                ) {
                    (Some(code), _) => Exit::Code(code),
                    (None, Some(signal)) => Exit::Signal(signal),
                    (None, None) => Exit::Code(u8::MAX),
                };
            }
            Err(Errno::INTR) => {}
            // Somebody else has reaped it; how it ended is not known.
            Ok(None) | Err(_) => return Exit::Code(u8::MAX),
        }
    }
}
