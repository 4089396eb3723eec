// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! One session: from the client's request to the end of its processes.
//!
//! ```text
//! Awaiting ──Open──▶ Starting ──exec──▶ Running ──exit──▶ over
//!     │                  │                 │
//!     │              client gone       client gone
//!     ▼                  ▼                 ▼
//!    over             HangingUp ◀──────────┘ ──grace──▶ over (or Detached, until it ends)
//! ```

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use kapsule_proto::session::{
    Channel, FailedStage, FromAgent, Notice, Open, Received, ToAgentSession,
};
use rustix::io::Errno;
use rustix::process::Signal;

use super::cgroup::Cgroup;
use super::command::{Account, Command};
use super::poller::Token;
use super::process::{self, Streams};
use super::process_tree;
use super::shared::Shared;
use super::terminal;
use crate::desktop;
use crate::spawn::{Child, Report};

/// How long a client may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many messages of one client are taken before others have their turn.
const AT_ONCE: usize = 16;

/// A session.
#[derive(Debug)]
pub(crate) struct Session {
    id: u64,
    channel: Channel,
    phase: Phase,
    cgroup: Option<Cgroup>,
    has_terminal: bool,
}

#[derive(Debug)]
enum Phase {
    /// The client has not said yet what it wants.
    Awaiting { deadline: Instant },
    /// The process is about to become the program.
    Starting {
        child: Child,
        report: OwnedFd,
        /// The terminal's master, which the client gets when the program runs.
        master: Option<OwnedFd>,
    },
    /// The program runs.
    Running { child: Child },
    /// The client has gone; its processes have been told.
    HangingUp { child: Child, deadline: Instant },
    /// The client has gone and the program was spared; it only has to be reaped in the end.
    Detached { child: Child },
    /// Nothing is left to do.
    Over,
}

impl Session {
    /// Takes a client's connection.
    pub(crate) fn new(id: u64, socket: OwnedFd, shared: &Shared) -> std::io::Result<Self> {
        let channel = Channel::new(socket);
        shared.poller.add(&channel, Token::Client(id))?;
        Ok(Self {
            id,
            channel,
            phase: Phase::Awaiting {
                deadline: Instant::now() + PATIENCE,
            },
            cgroup: None,
            has_terminal: false,
        })
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// When [`Self::on_time`] has to be called.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Awaiting { deadline } | Phase::HangingUp { deadline, .. } => Some(*deadline),
            _ => None,
        }
    }

    /// Gives back what the session had, when it is over.
    pub(crate) fn release(self, shared: &mut Shared) {
        shared.poller.remove(&self.channel);
        if let Some(cgroup) = self.cgroup {
            shared.cgroups.release(cgroup);
        }
    }

    /// The client sent something or went away.
    pub(crate) fn on_client(&mut self, shared: &Shared) {
        for _ in 0..AT_ONCE {
            let received = self.channel.try_recv::<ToAgentSession>();
            match (received, &self.phase) {
                (Ok(Received::Pending), _)
                | (_, Phase::HangingUp { .. } | Phase::Detached { .. } | Phase::Over) => return,
                (
                    Ok(Received::Message(ToAgentSession::Open(open), descriptors)),
                    Phase::Awaiting { .. },
                ) => self.start(open, descriptors, shared),
                (
                    Ok(Received::Message(ToAgentSession::Signal(number), descriptors)),
                    Phase::Starting { child, .. } | Phase::Running { child },
                ) if descriptors.is_empty() => {
                    let Some(signal) = Signal::from_named_raw(number.into()) else {
                        continue;
                    };
                    if self.has_terminal {
                        process_tree::signal_foreground(child.pid, signal);
                    } else {
                        process_tree::signal_group(child.pid, signal);
                    }
                }
                // Gone, or not what a client says: then nothing of it can be relied on.
                _ => return self.client_gone(shared),
            }
        }
    }

    /// The new process said something, or became the program.
    pub(crate) fn on_report(&mut self, shared: &Shared) {
        let Phase::Starting { report, .. } = &self.phase else {
            return;
        };
        let mut bytes = [0; Report::LEN];
        match rustix::io::read(report, &mut bytes) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            Ok(Report::LEN) => match Report::from_bytes(bytes) {
                Report::WorkingDirectory => {
                    self.tell(&FromAgent::Notice(Notice::WorkingDirectory), &[], shared);
                }
                Report::Terminal(errno) => self.fail(FailedStage::Terminal, errno, shared),
                Report::Failed(errno) => self.fail(FailedStage::Exec, errno, shared),
            },
            Ok(_) | Err(_) => self.running(shared),
        }
    }

    /// The process ended.
    pub(crate) fn on_process(&mut self, shared: &Shared) {
        // Its last words come first.
        while matches!(self.phase, Phase::Starting { .. }) {
            self.on_report(shared);
        }
        // A closed tab hangs its terminal up by itself, and the program may be gone before its
        // client's end is seen here: that is still the end of the tab, with all that is in it.
        if matches!(self.phase, Phase::Running { .. }) {
            self.on_client(shared);
        }
        match &self.phase {
            Phase::Running { child } => {
                let exit = process::reap(child);
                shared.poller.remove(&child.pidfd);
                self.phase = Phase::Over;
                self.tell(&FromAgent::Exited(exit), &[], shared);
            }
            Phase::HangingUp { child, .. } => {
                shared.poller.remove(&child.pidfd);
                if !process_tree::is_alive(child.pid, self.cgroup.as_ref()) {
                    self.end_hang_up(shared);
                }
            }
            Phase::Detached { child } => {
                shared.poller.remove(&child.pidfd);
                process::reap(child);
                self.phase = Phase::Over;
            }
            _ => {}
        }
    }

    /// The time of [`Self::deadline`] has come.
    pub(crate) fn on_time(&mut self, now: Instant, shared: &Shared) {
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        match &self.phase {
            Phase::HangingUp { child, .. } => {
                process_tree::kill(child.pid, self.cgroup.as_ref());
                self.end_hang_up(shared);
            }
            _ => self.phase = Phase::Over,
        }
    }

    /// Says that no session can be had, before it has begun.
    pub(crate) fn refuse(socket: OwnedFd) {
        let failed = FromAgent::Failed {
            stage: FailedStage::Spawn,
            errno: Errno::AGAIN.raw_os_error(),
        };
        let _ = Channel::new(socket).send(&failed, &[], None);
    }

    fn start(&mut self, mut open: Open, descriptors: Vec<OwnedFd>, shared: &Shared) {
        let account = Account::of(shared.uid);
        let mut environment = shared.environment.clone();
        open.env = desktop::given(&mut environment, &open.env, shared.uid);
        let command = Command::new(&open, &account, &environment)
            .filter(|_| open.stdio.count() == descriptors.len());
        let Some(command) = command else {
            return self.fail(FailedStage::Request, Errno::INVAL.raw_os_error(), shared);
        };
        let (master, slave) = match open.terminal.map(terminal::make).transpose() {
            Ok(pair) => pair.unzip(),
            Err(errno) => return self.fail(FailedStage::Terminal, errno.raw_os_error(), shared),
        };
        if let Some(notice) = command.notice {
            self.tell(&FromAgent::Notice(notice), &[], shared);
            if self.is_over() {
                return;
            }
        }
        self.has_terminal = slave.is_some();
        self.cgroup = shared.cgroups.make(self.id);
        let streams = Streams {
            wanted: open.stdio,
            attached: &descriptors,
            terminal: slave.as_ref(),
        };
        let made = process::make(self.id, &command, &streams, self.cgroup.as_ref(), shared);
        match made {
            Ok((child, report)) => {
                self.phase = Phase::Starting {
                    child,
                    report,
                    master,
                };
                // Usually it is the program already, or cannot be: no need to come back for it.
                self.on_report(shared);
            }
            Err(error) => {
                let errno = error.raw_os_error().unwrap_or_default();
                self.fail(FailedStage::Spawn, errno, shared);
            }
        }
    }

    fn running(&mut self, shared: &Shared) {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Starting {
                child,
                report,
                master,
            } => {
                shared.poller.remove(&report);
                self.phase = Phase::Running { child };
                let master: Vec<_> = master.iter().map(AsFd::as_fd).collect();
                self.tell(&FromAgent::Started, &master, shared);
                // The agent's copy of the master is closed here: the terminal lives as long as
                // the client has it.
            }
            other => self.phase = other,
        }
    }

    fn fail(&mut self, stage: FailedStage, errno: i32, shared: &Shared) {
        if let Phase::Starting { child, report, .. } =
            std::mem::replace(&mut self.phase, Phase::Over)
        {
            shared.poller.remove(&report);
            shared.poller.remove(&child.pidfd);
            // It is on its way out: reporting was its last act.
            process::reap(&child);
        }
        self.tell(&FromAgent::Failed { stage, errno }, &[], shared);
    }

    /// Sends a message. These are few and small; a client that has left no room for them does not
    /// read, and is treated as gone.
    fn tell(&mut self, message: &FromAgent, descriptors: &[BorrowedFd<'_>], shared: &Shared) {
        if self.channel.send(message, descriptors, None).is_err() {
            self.client_gone(shared);
        }
    }

    fn client_gone(&mut self, shared: &Shared) {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Starting {
                child,
                report,
                master,
            } => {
                shared.poller.remove(&report);
                drop(master);
                self.hang_up(child, shared);
            }
            Phase::Running { child } => self.hang_up(child, shared),
            Phase::Awaiting { .. } | Phase::Over => {}
            other => self.phase = other,
        }
    }

    fn hang_up(&mut self, child: Child, shared: &Shared) {
        shared.poller.remove(&self.channel);
        process_tree::hang_up(child.pid, self.cgroup.as_ref());
        self.phase = Phase::HangingUp {
            child,
            deadline: Instant::now() + process_tree::GRACE,
        };
    }

    /// The leader is reaped last: until then its number, by which the others are known, cannot
    /// become another's.
    fn end_hang_up(&mut self, shared: &Shared) {
        if let Phase::HangingUp { child, .. } = std::mem::replace(&mut self.phase, Phase::Over) {
            if process_tree::is_detached(child.pid) {
                self.phase = Phase::Detached { child };
            } else {
                shared.poller.remove(&child.pidfd);
                process::reap(&child);
            }
        }
    }
}
