// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What the agent waits for: a thin layer over epoll.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

/// Who is woken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// The connection to the daemon.
    Daemon,
    /// The directory with the daemon's socket has changed.
    Directory,
    /// A folder with sockets of the host's session has changed.
    Sockets,
    /// Something was mounted or unmounted.
    Mounts,
    /// A program wants to connect to the bus of two, and nobody takes it.
    Bus,
    /// A D-Bus multiplexer has ended.
    Mux,
    /// The container's own session bus has ended.
    OwnBus,
    /// A session's client sent something or went away.
    Client(u64),
    /// A session's process ended.
    Process(u64),
    /// A session's process reports that it became the program, or could not.
    Report(u64),
}

impl Token {
    fn to_number(self) -> u64 {
        match self {
            Self::Daemon => 0,
            Self::Directory => 1,
            Self::Sockets => 2,
            Self::Mounts => 3,
            Self::Bus => 4,
            Self::Mux => 5,
            Self::OwnBus => 6,
            Self::Client(id) => id << 3,
            Self::Process(id) => id << 3 | 1,
            Self::Report(id) => id << 3 | 2,
        }
    }

    fn from_number(number: u64) -> Self {
        // Sessions are counted from 1, so that theirs are above these.
        match (number >> 3, number & 7) {
            (0, 0) => Self::Daemon,
            (0, 1) => Self::Directory,
            (0, 2) => Self::Sockets,
            (0, 3) => Self::Mounts,
            (0, 4) => Self::Bus,
            (0, 5) => Self::Mux,
            (0, _) => Self::OwnBus,
            (id, 0) => Self::Client(id),
            (id, 1) => Self::Process(id),
            (id, _) => Self::Report(id),
        }
    }
}

/// The set of what is waited for.
#[derive(Debug)]
pub(crate) struct Poller(OwnedFd);

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(epoll::create(epoll::CreateFlags::CLOEXEC)?))
    }

    /// Waits for `descriptor` to become readable, as long as it is open.
    pub(crate) fn add(&self, descriptor: impl AsFd, token: Token) -> io::Result<()> {
        self.add_for(descriptor, token, epoll::EventFlags::IN)
    }

    /// Waits for `descriptor` to have something urgent, as the kernel's table of mounts does.
    pub(crate) fn add_urgent(&self, descriptor: impl AsFd, token: Token) -> io::Result<()> {
        self.add_for(descriptor, token, epoll::EventFlags::PRI)
    }

    fn add_for(
        &self,
        descriptor: impl AsFd,
        token: Token,
        events: epoll::EventFlags,
    ) -> io::Result<()> {
        let data = epoll::EventData::new_u64(token.to_number());
        Ok(epoll::add(&self.0, descriptor, data, events)?)
    }

    /// Waits for it no longer. To be called before it is closed: a process made meanwhile may
    /// still have a copy, and then closing alone does not end it.
    pub(crate) fn remove(&self, descriptor: impl AsFd) {
        let _ = epoll::delete(&self.0, descriptor);
    }

    /// Waits until something happens or `deadline` comes, and tells whom it concerns.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> io::Result<Vec<Token>> {
        let timeout = deadline.map(|deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            // Rounded up, as the kernel's clock may be behind: better once late than often early.
            Timespec::try_from(left + Duration::from_millis(1)).unwrap_or(Timespec {
                tv_sec: 1,
                tv_nsec: 0,
            })
        });
        let mut events = Vec::with_capacity(64);
        match epoll::wait(
            &self.0,
            rustix::buffer::spare_capacity(&mut events),
            timeout.as_ref(),
        ) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        Ok(events
            .iter()
            .map(|event| Token::from_number({ event.data }.u64()))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_the_kernel() {
        for token in [
            Token::Daemon,
            Token::Directory,
            Token::Sockets,
            Token::Mounts,
            Token::Bus,
            Token::Mux,
            Token::Client(1),
            Token::Process(1),
            Token::Report(u64::MAX >> 3),
        ] {
            assert_eq!(Token::from_number(token.to_number()), token);
        }
    }
}
