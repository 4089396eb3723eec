// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! A connection to the system bus.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use super::message::{Call, Kind, Received, lengths};

const BUS: &str = "/run/dbus/system_bus_socket";

/// As many as the kernel passes in one go.
const MAX_FDS: usize = 253;

/// A connection.
#[derive(Debug)]
pub struct Connection {
    stream: UnixStream,
    serial: u32,
    kept: Option<Vec<OwnedFd>>,
}

impl Connection {
    /// Connects, and says hello.
    ///
    /// # Errors
    /// When the bus does not take the connection.
    pub fn open() -> io::Result<Self> {
        let mut stream = UnixStream::connect(BUS)?;
        let uid = rustix::process::getuid().as_raw().to_string();
        let hex: String = uid.bytes().map(|byte| format!("{byte:02x}")).collect();
        stream.write_all(format!("\0AUTH EXTERNAL {hex}\r\n").as_bytes())?;
        expect(&mut stream, "OK")?;
        stream.write_all(b"NEGOTIATE_UNIX_FD\r\n")?;
        expect(&mut stream, "AGREE_UNIX_FD")?;
        stream.write_all(b"BEGIN\r\n")?;
        let mut connection = Self {
            stream,
            serial: 0,
            kept: None,
        };
        connection.call(
            &Call {
                destination: "org.freedesktop.DBus".to_owned(),
                path: "/org/freedesktop/DBus".to_owned(),
                interface: "org.freedesktop.DBus".to_owned(),
                member: "Hello".to_owned(),
                ..Call::default()
            },
            Duration::from_secs(60),
        )?;
        Ok(connection)
    }

    /// Keeps, as long as the connection lives, the descriptors that come from now on.
    pub fn keep_descriptors(&mut self) {
        self.kept.get_or_insert_default();
    }

    /// Keeps the connection open beyond this program's end, which is that of its process, for the program
    /// that takes its place.
    ///
    /// # Errors
    /// When the kernel does not let it.
    pub fn outlive(&self) -> io::Result<()> {
        rustix::io::fcntl_setfd(&self.stream, rustix::io::FdFlags::empty())?;
        Ok(())
    }

    /// Gives up writing after this time; `None` waits for ever.
    ///
    /// # Errors
    /// When the socket does not take it.
    pub fn write_limit(&self, limit: Option<Duration>) -> io::Result<()> {
        self.stream.set_write_timeout(limit)
    }

    /// Sends a call and returns its number.
    ///
    /// # Errors
    /// When the bus has closed the connection.
    pub fn send(&mut self, call: &Call) -> io::Result<u32> {
        self.serial += 1;
        let message = call.message(self.serial);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let fds: Vec<_> = message.fds.iter().map(|fd| fd.as_fd()).collect();
        if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(&fds)) {
            return Err(io::Error::other("too many descriptors"));
        }
        let sent = sendmsg(
            &self.stream,
            &[IoSlice::new(&message.bytes)],
            &mut ancillary,
            SendFlags::NOSIGNAL,
        )?;
        self.stream
            .write_all(message.bytes.get(sent..).unwrap_or_default())?;
        Ok(self.serial)
    }

    /// The next message, whatever it is. Descriptors that come along are closed.
    ///
    /// # Errors
    /// When none comes in time, or the bus has closed the connection.
    pub fn receive(&mut self, limit: Duration) -> io::Result<Received> {
        self.stream
            .set_read_timeout(Some(limit.max(Duration::from_millis(1))))?;
        let mut start = [0; 16];
        self.read(&mut start)?;
        let (header_length, body_length) = lengths(start);
        let mut header = start.to_vec();
        header.resize(header_length, 0);
        self.read(&mut header[16..])?;
        let mut body = vec![0; body_length];
        self.read(&mut body)?;
        Ok(Received::parse(&header, body))
    }

    fn read(&mut self, mut into: &mut [u8]) -> io::Result<()> {
        while !into.is_empty() {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
            let mut ancillary = RecvAncillaryBuffer::new(&mut space);
            let received = recvmsg(
                &self.stream,
                &mut [IoSliceMut::new(into)],
                &mut ancillary,
                RecvFlags::CMSG_CLOEXEC,
            )?;
            for message in ancillary.drain() {
                // What is not kept is closed.
                if let (RecvAncillaryMessage::ScmRights(fds), Some(kept)) =
                    (message, &mut self.kept)
                {
                    kept.extend(fds);
                }
            }
            if received.bytes == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            into = into.get_mut(received.bytes..).unwrap_or_default();
        }
        Ok(())
    }

    /// Sends a call and waits for its answer, which may be an error of D-Bus.
    ///
    /// # Errors
    /// When none comes in time, or the bus has closed the connection.
    pub fn call(&mut self, call: &Call, limit: Duration) -> io::Result<Received> {
        let serial = self.send(call)?;
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let received = self.receive(left)?;
            if matches!(received.kind, Kind::Return | Kind::Error) && received.reply_to == serial {
                return Ok(received);
            }
        }
    }
}

/// Reads a line of the handshake.
fn expect(stream: &mut UnixStream, word: &str) -> io::Result<()> {
    let mut line = Vec::new();
    let mut byte = [0];
    while !line.ends_with(b"\r\n") && line.len() < 4096 {
        stream.read_exact(&mut byte)?;
        line.extend(byte);
    }
    match line.starts_with(word.as_bytes()) {
        true => Ok(()),
        false => Err(io::Error::other(
            String::from_utf8_lossy(&line).into_owned(),
        )),
    }
}
