// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! A program that the agent has running beside sessions, and whose end it notices.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus};
use std::time::Instant;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::serve::{Poller, Token};

/// A program that runs, or has ended and was not asked yet.
#[derive(Debug)]
pub(super) struct Helper {
    child: Child,
    /// Readable when it has ended.
    process: OwnedFd,
    pub(super) since: Instant,
}

impl Helper {
    /// Starts it, and has the poller tell with that token when it has ended.
    pub(super) fn start(command: &mut Command, token: Token, poller: &Poller) -> io::Result<Self> {
        let mut child = command.spawn()?;
        match watch(&child, token, poller) {
            Ok(process) => Ok(Self {
                child,
                process,
                since: Instant::now(),
            }),
            Err(error) => {
                // Nobody would notice its end.
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it has ended, if it has; then the poller forgets it.
    pub(super) fn ended(&mut self, poller: &Poller) -> Option<ExitStatus> {
        let status = self.child.try_wait().ok().flatten()?;
        poller.remove(&self.process);
        Some(status)
    }

    /// Asks it to end.
    pub(super) fn terminate(&self) {
        if let Some(pid) = pid(&self.child) {
            // One that has ended already needs no asking; its id is nobody else's until it is waited for.
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

fn watch(child: &Child, token: Token, poller: &Poller) -> io::Result<OwnedFd> {
    let pid = pid(child).ok_or(io::ErrorKind::InvalidData)?;
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    poller.add(&process, token)?;
    Ok(process)
}

fn pid(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}
