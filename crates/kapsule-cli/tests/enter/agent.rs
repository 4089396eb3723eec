// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The other end of a session: honest steps, which a test may take in any order.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use kapsule_proto::session::{Channel, Exit, FromAgent, Open, ToAgentSession};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

pub(crate) struct Agent {
    /// Whom the session was asked for: `owner` or `root`.
    pub(crate) user: String,
    pub(crate) channel: Channel,
}

impl Agent {
    pub(crate) fn new(user: String, socket: UnixStream) -> Self {
        Self {
            user,
            channel: Channel::new(socket.into()),
        }
    }

    /// What the client asks for, and the descriptors that it gives.
    pub(crate) fn request(&mut self) -> (Open, Vec<OwnedFd>) {
        match self.receive() {
            Some((ToAgentSession::Open(open), descriptors)) => (open, descriptors),
            other => panic!("not a request: {other:?}"),
        }
    }

    /// The next message; `None` when the client has gone.
    pub(crate) fn receive(&mut self) -> Option<(ToAgentSession, Vec<OwnedFd>)> {
        let deadline = Instant::now() + Duration::from_secs(60);
        self.channel.recv(Some(deadline)).unwrap()
    }

    pub(crate) fn send(&mut self, message: &FromAgent) {
        self.channel.send(message, &[], None).unwrap();
    }

    /// Gives the client a terminal and keeps both sides of it.
    pub(crate) fn start_with_terminal(&mut self) -> GuestTerminal {
        let terminal = GuestTerminal::new();
        let attached = [terminal.master.as_fd()];
        let started = FromAgent::Started;
        self.channel.send(&started, &attached, None).unwrap();
        terminal
    }

    pub(crate) fn exit(&mut self, code: u8) {
        self.send(&FromAgent::Exited(Exit::Code(code)));
    }
}

/// A terminal as the container has it.
pub(crate) struct GuestTerminal {
    pub(crate) master: OwnedFd,
    pub(crate) program: File,
}

impl GuestTerminal {
    fn new() -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).unwrap();
        unlockpt(&master).unwrap();
        let program = File::from(ioctl_tiocgptpeer(&master, flags).unwrap());
        let mut termios = tcgetattr(&program).unwrap();
        termios.make_raw();
        tcsetattr(&program, OptionalActions::Now, &termios).unwrap();
        Self { master, program }
    }

    /// What the user typed, as the program gets it.
    pub(crate) fn read(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.program.read_exact(&mut bytes).unwrap();
        bytes
    }
}
