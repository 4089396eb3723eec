// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The connection to the daemon: made from inside, kept up for ever.
//!
//! The daemon may be restarted, updated or away; sessions go on meanwhile. A new daemon makes its
//! socket anew, which is noticed at once by watching the directory, and after a while anyway by
//! trying again.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kapsule_proto::registration::{
    Context, Hello, MAX_PACKET, PROTOCOL_VERSION, ToAgent, decode, encode,
};
use rustix::fs::inotify;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, connect, recvmsg, send, socket_with,
};

use super::poller::{Poller, Token};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// The daemon has this long to greet back.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many packets are taken before sessions have their turn.
const AT_ONCE: usize = 64;

/// What the daemon said.
#[derive(Debug)]
pub(crate) enum News {
    /// A client wants a session.
    Session(OwnedFd),
    /// The daemon speaks this version, and it is not ours.
    OtherVersion(u16),
}

/// The connection and its upkeep.
#[derive(Debug)]
pub(crate) struct Registration {
    socket_path: PathBuf,
    context: Context,
    watch: Option<OwnedFd>,
    state: State,
    pause: Duration,
}

#[derive(Debug)]
enum State {
    Disconnected {
        try_at: Instant,
    },
    Connected {
        socket: OwnedFd,
        welcome_by: Option<Instant>,
    },
}

impl Registration {
    pub(crate) fn new(socket_path: PathBuf, context: Context, poller: &Poller) -> Self {
        let watch = watch(&socket_path, poller).ok();
        Self {
            socket_path,
            context,
            watch,
            state: State::Disconnected {
                try_at: Instant::now(),
            },
            pause: FIRST_PAUSE,
        }
    }

    /// When [`Self::on_time`] has to be called.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Disconnected { try_at } => Some(*try_at),
            State::Connected { welcome_by, .. } => *welcome_by,
        }
    }

    /// Connects if it is time to, or gives up waiting for a greeting.
    pub(crate) fn on_time(&mut self, now: Instant, poller: &Poller) {
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        match &self.state {
            State::Connected { .. } => self.disconnect(poller),
            State::Disconnected { .. } => self.connect(poller),
        }
    }

    /// Something changed in the directory of the socket.
    pub(crate) fn on_directory(&mut self, poller: &Poller) {
        if let Some(watch) = &self.watch {
            // What it was does not matter: if there is a socket, connecting works.
            let mut buffer = [0; 4096];
            while rustix::io::read(watch, &mut buffer).is_ok_and(|read| read > 0) {}
        }
        if matches!(self.state, State::Disconnected { .. }) {
            self.pause = FIRST_PAUSE;
            self.connect(poller);
        }
    }

    /// Takes what the daemon sent.
    pub(crate) fn on_daemon(&mut self, poller: &Poller) -> Vec<News> {
        let mut news = Vec::new();
        for _ in 0..AT_ONCE {
            let State::Connected { socket, welcome_by } = &mut self.state else {
                break;
            };
            match receive(socket.as_fd()) {
                Ok(Some((ToAgent::Welcome { version }, _))) => {
                    *welcome_by = None;
                    self.pause = FIRST_PAUSE;
                    if version != PROTOCOL_VERSION {
                        news.push(News::OtherVersion(version));
                    }
                }
                // Without a descriptor there was no room for one; the client sees the end of it.
                Ok(Some((ToAgent::Session, client))) => {
                    news.extend(client.map(News::Session));
                }
                Ok(None) => {
                    self.disconnect(poller);
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    eprintln!("kapsule-agent: lost the daemon: {error}");
                    self.disconnect(poller);
                    break;
                }
            }
        }
        news
    }

    fn connect(&mut self, poller: &Poller) {
        match self.try_connect(poller) {
            Ok(socket) => {
                self.state = State::Connected {
                    socket,
                    welcome_by: Some(Instant::now() + PATIENCE),
                };
            }
            // The daemon is not there, which is nothing unusual.
            Err(_) => self.retry_later(),
        }
    }

    fn try_connect(&self, poller: &Poller) -> io::Result<OwnedFd> {
        let socket = socket_with(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            None,
        )?;
        connect(&socket, &SocketAddrUnix::new(&self.socket_path)?)?;
        let hello = Hello {
            version: PROTOCOL_VERSION,
            context: self.context,
        };
        let packet = encode(&hello).map_err(io::Error::other)?;
        send(&socket, &packet, SendFlags::NOSIGNAL)?;
        poller.add(&socket, Token::Daemon)?;
        Ok(socket)
    }

    fn disconnect(&mut self, poller: &Poller) {
        if let State::Connected { socket, .. } = &self.state {
            poller.remove(socket);
        }
        self.retry_later();
    }

    fn retry_later(&mut self) {
        self.state = State::Disconnected {
            try_at: Instant::now() + self.pause,
        };
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}

fn watch(socket_path: &Path, poller: &Poller) -> io::Result<OwnedFd> {
    let directory = socket_path
        .parent()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    inotify::add_watch(
        &watch,
        directory,
        inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO | inotify::WatchFlags::ONLYDIR,
    )?;
    poller.add(&watch, Token::Directory)?;
    Ok(watch)
}

/// Receives one packet; `None` is the end.
fn receive(socket: BorrowedFd<'_>) -> io::Result<Option<(ToAgent, Option<OwnedFd>)>> {
    let mut bytes = [0; MAX_PACKET];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut bytes)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT,
    );
    let received = match received {
        Ok(received) => received,
        Err(Errno::CONNRESET) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    let descriptor = control.drain().find_map(|message| match message {
        // The second one is closed here, by which the daemon knows that this packet was received.
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    if received.bytes == 0 {
        return Ok(None);
    }
    let packet = decode(&bytes[..received.bytes]).map_err(io::Error::other)?;
    Ok(Some((packet, descriptor)))
}
