// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Tells `kapsule-ports` on the host which TCP ports listen inside, and connects to them when it asks.
//!
//! Runs as the container's owner, in a session that `kapsule-ports` has opened, for as long as that
//! lives. The kernel announces no socket that begins to listen, so they are looked up a few times a
//! second, by the one request that does not walk through all connections ([`listeners`]).

mod listeners;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use kapsule_proto::ports::{FromInside, MAX_PORTS, ToInside};
use kapsule_proto::session::{Channel, ChannelError, Received};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, ipproto, socket_with};

use self::listeners::{Listener, Listeners};

/// How often ports are looked up: so that one is on the host within a second.
const INTERVAL: Duration = Duration::from_millis(400);
/// How late the kernel may wake this process, to do it together with others.
const SLACK: u64 = 100_000_000;
/// How long the host's side may leave no room for a message.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves the other end of standard input until that is closed.
pub(crate) fn ports() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kapsule-agent: ports: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> io::Result<()> {
    // Without it, it only wakes up more often than it has to.
    let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(SLACK));
    let mut channel = Channel::new(rustix::stdio::stdin().try_clone_to_owned()?);
    let listeners = Listeners::new();
    let mut told: Option<Vec<Listener>> = None;
    loop {
        let found = listeners.find()?;
        if told.as_ref() != Some(&found) {
            send(&mut channel, &listening(&found), None)?;
            told = Some(found);
        }
        let until = Instant::now() + INTERVAL;
        while wait(&channel, until)? {
            loop {
                match channel.try_recv().map_err(broken)? {
                    Received::Message(ToInside::Connect { id, port }, _) => {
                        answer(&mut channel, told.as_deref().unwrap_or_default(), id, port)?;
                    }
                    Received::Pending => break,
                    Received::Closed => return Ok(()),
                }
            }
        }
    }
}

fn listening(found: &[Listener]) -> FromInside {
    FromInside::Listening {
        ports: found.iter().take(MAX_PORTS).map(|it| it.port).collect(),
        more: u32::try_from(found.len().saturating_sub(MAX_PORTS)).unwrap_or(u32::MAX),
    }
}

fn answer(channel: &mut Channel, known: &[Listener], id: u32, port: u16) -> io::Result<()> {
    let listener = known.iter().find(|listener| listener.port == port);
    match listener.and_then(|listener| connect_to(*listener).ok()) {
        Some(socket) => send(channel, &FromInside::Connected { id }, Some(&socket)),
        None => send(channel, &FromInside::Refused { id }, None),
    }
}

/// Begins to connect: whoever gets the socket sees what becomes of it, and nobody else waits for it.
fn connect_to(listener: Listener) -> io::Result<OwnedFd> {
    let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, listener.port));
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, listener.port));
    // What listens on all addresses is reached through the older loopback, too, should there be no other.
    let addresses = if listener.v4 { [v4, v6] } else { [v6, v4] };
    begin(addresses[0]).or_else(|_| begin(addresses[1]))
}

fn begin(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
    match connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(errno) => Err(errno.into()),
    }
}

fn send(channel: &mut Channel, message: &FromInside, socket: Option<&OwnedFd>) -> io::Result<()> {
    let attached: Vec<_> = socket.iter().map(|socket| socket.as_fd()).collect();
    let deadline = Some(Instant::now() + PATIENCE);
    channel.send(message, &attached, deadline).map_err(broken)
}

fn broken(error: ChannelError) -> io::Error {
    io::Error::other(error)
}

/// Waits for something to be read; false when there is nothing until then.
fn wait(channel: &Channel, until: Instant) -> io::Result<bool> {
    let left = until.saturating_duration_since(Instant::now());
    let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
    let mut polled = [PollFd::new(channel, PollFlags::IN)];
    match poll(&mut polled, Some(&timeout)) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn what_listens_is_found_connected_to_and_forgotten() {
        let listeners = Listeners::new();
        for address in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"] {
            // A machine without IPv6 has nothing to find there.
            let Ok(server) = TcpListener::bind(address) else {
                continue;
            };
            let port = server.local_addr().unwrap().port();
            let found = listeners.find().unwrap();
            let listener = *found.iter().find(|it| it.port == port).unwrap();
            let socket = connect_to(listener).unwrap();
            let (mut theirs, _) = server.accept().unwrap();
            theirs.write_all(b"hello").unwrap();
            drop(theirs);
            let mut said = String::new();
            let mut stream = TcpStream::from(socket);
            stream.set_nonblocking(false).unwrap();
            stream.read_to_string(&mut said).unwrap();
            assert_eq!(said, "hello", "{address}");
            drop(server);
            let found = listeners.find().unwrap();
            assert!(found.iter().all(|it| it.port != port), "{address}");
        }
    }

    #[test]
    fn more_than_can_be_told_are_counted() {
        let listener = |port| Listener { port, v4: true };
        let found: Vec<Listener> = (1..=70).map(listener).collect();
        let FromInside::Listening { ports, more } = listening(&found) else {
            panic!("something else");
        };
        assert_eq!((ports.len(), ports[63], more), (64, 64, 6));
    }
}
