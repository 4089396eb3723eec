// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Bytes between a socket of the host and one from inside, both ways, until both have ended.
//!
//! The inside still has its socket, too, and can change how it behaves: make it blocking, for one. So
//! each call says itself that it does not wait, which `splice` has no way to say for sockets.

use std::cell::RefCell;
use std::io;
use std::net::TcpStream as StdStream;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::net::sockopt::{
    set_socket_linger, socket_acceptconn, socket_domain, socket_protocol, socket_type,
};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketType, ipproto, recv, send, shutdown,
};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// How much is taken at once.
const CHUNK: usize = 64 * 1024;
/// How often a socket may be called ready and not be, one time after the other.
const MAX_FALSE_ALARMS: u32 = 100;

thread_local! {
    /// What is on its way in this moment. A connection that waits needs none.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; CHUNK]);
}

/// Whether a descriptor is a TCP socket that does not listen: nothing else can be relayed to, or even be
/// closed without care.
pub(crate) fn is_connection(descriptor: &OwnedFd) -> bool {
    socket_type(descriptor) == Ok(SocketType::STREAM)
        && matches!(
            socket_domain(descriptor),
            Ok(AddressFamily::INET | AddressFamily::INET6)
        )
        && socket_protocol(descriptor) == Ok(Some(ipproto::TCP))
        && socket_acceptconn(descriptor) == Ok(false)
}

/// Relays until both directions have ended, or one has failed: then the other is told so.
pub(crate) async fn relay(host: OwnedFd, inside: OwnedFd) {
    let (Ok(host), Ok(inside)) = (stream(host), stream(inside)) else {
        return;
    };
    let both = futures_util::future::try_join(copy(&host, &inside), copy(&inside, &host));
    if both.await.is_err() {
        reset(&host);
        reset(&inside);
    }
}

fn stream(socket: OwnedFd) -> io::Result<TcpStream> {
    rustix::io::ioctl_fionbio(&socket, true)?;
    TcpStream::from_std(StdStream::from(socket))
}

/// Lets the other end of a socket see, once it is closed, that something went wrong.
pub(crate) fn reset(socket: impl AsFd) {
    // If it cannot be said so, it looks like an orderly end.
    let _ = set_socket_linger(socket, Some(Duration::ZERO));
}

async fn copy(from: &TcpStream, to: &TcpStream) -> io::Result<()> {
    let mut alarms = Alarms::default();
    loop {
        // A quick pair of sockets leaves others their turn.
        tokio::task::consume_budget().await;
        from.readable().await?;
        match from.try_io(Interest::READABLE, || pass_on(from, to)) {
            Ok(Passed::End) => return Ok(()),
            Ok(Passed::All) => alarms = Alarms::default(),
            Ok(Passed::Not(rest)) => {
                alarms = Alarms::default();
                send_all(to, &rest).await?;
            }
            Err(error) if is_passing(&error) => alarms.count()?,
            Err(error) => return Err(error),
        }
    }
}

enum Passed {
    /// There will be nothing more.
    End,
    /// What was there.
    All,
    /// This much of it found no room.
    Not(Vec<u8>),
}

fn pass_on(from: &TcpStream, to: &TcpStream) -> io::Result<Passed> {
    BUFFER.with_borrow_mut(|buffer| {
        let (received, _) = recv(from, &mut buffer[..], RecvFlags::DONTWAIT)?;
        if received == 0 {
            // It may be closed already.
            let _ = shutdown(to, Shutdown::Write);
            return Ok(Passed::End);
        }
        let bytes = &buffer[..received];
        let sent = match send_now(to, bytes) {
            Err(error) if is_passing(&error) => 0,
            other => other?,
        };
        Ok(match &bytes[sent.min(received)..] {
            [] => Passed::All,
            rest => Passed::Not(rest.to_vec()),
        })
    })
}

async fn send_all(to: &TcpStream, mut rest: &[u8]) -> io::Result<()> {
    let mut alarms = Alarms::default();
    while !rest.is_empty() {
        to.writable().await?;
        match to.try_io(Interest::WRITABLE, || send_now(to, rest)) {
            Ok(sent) => {
                alarms = Alarms::default();
                rest = &rest[sent.min(rest.len())..];
            }
            Err(error) if is_passing(&error) => alarms.count()?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn send_now(to: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    Ok(send(to, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?)
}

fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

/// Keeps a socket that is made to look ready all the time from taking all the time.
#[derive(Default)]
struct Alarms(u32);

impl Alarms {
    fn count(&mut self) -> io::Result<()> {
        self.0 += 1;
        if self.0 > MAX_FALSE_ALARMS {
            return Err(io::Error::other(
                "a socket says that it is ready and is not",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::thread;

    use super::*;

    /// Both ends of a connection over the loopback.
    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (one, listener.accept().unwrap().0)
    }

    /// Relays between two connections, and gives their far ends.
    fn relayed() -> (TcpStream, TcpStream, thread::JoinHandle<()>) {
        let (client, host) = pair();
        let (inside, server) = pair();
        let same = inside.try_clone().unwrap();
        let relaying = thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(relay(host.into(), inside.into()));
        });
        // As the inside can do: every call that relies on it would hang from now on.
        thread::sleep(Duration::from_millis(50));
        same.set_nonblocking(false).unwrap();
        (client, server, relaying)
    }

    #[test]
    fn much_goes_both_ways_and_ends_are_passed_on() {
        let (mut client, mut server, relaying) = relayed();
        let much: Vec<u8> = (0..8_000_000_u32).map(|n| (n % 251) as u8).collect();
        let sent = much.clone();
        let echo = thread::spawn(move || {
            let mut heard = Vec::new();
            server.read_to_end(&mut heard).unwrap();
            server.write_all(&heard).unwrap();
        });
        let mut writing = client.try_clone().unwrap();
        writing.write_all(&sent).unwrap();
        writing.shutdown(std::net::Shutdown::Write).unwrap();
        let mut back = Vec::new();
        client.read_to_end(&mut back).unwrap();
        assert!(back == much, "{} bytes came back", back.len());
        echo.join().unwrap();
        relaying.join().unwrap();
    }

    #[test]
    fn a_connection_that_breaks_breaks_the_other() {
        let (mut client, server, relaying) = relayed();
        reset(&server);
        drop(server);
        let error = client.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        relaying.join().unwrap();
    }

    #[test]
    fn only_connections_are_connections() {
        assert!(is_connection(&pair().0.into()));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(!is_connection(&listener.into()));
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(!is_connection(&udp.into()));
        let (local, _) = std::os::unix::net::UnixStream::pair().unwrap();
        assert!(!is_connection(&local.into()));
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(!is_connection(&file.into()));
    }
}
