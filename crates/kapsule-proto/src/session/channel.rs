// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Messages with descriptors over a stream socket.
//!
//! A frame is a length (`u32`, little endian, at most [`MAX_FRAME`]) and that many bytes of
//! postcard. Descriptors travel as `SCM_RIGHTS` with the first byte of their frame. The receiver
//! never reads beyond the end of a frame, so what arrives while one is read belongs to it.
//!
//! Either end may be hostile: nothing is allocated before it has arrived, descriptors are counted,
//! and every call is either non-blocking or has a deadline. The socket's own blocking mode is
//! neither used nor changed.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest frame, in bytes. Above what Linux lets a program have as arguments and environment by
/// default (2 MiB), so that the kernel and not this protocol says when it is too much.
pub const MAX_FRAME: usize = 4 * 1024 * 1024;

/// Most descriptors that one frame may carry: standard input, output and error.
pub const MAX_DESCRIPTORS: usize = 3;

const HEADER: usize = 4;
/// How much is read, and allocated ahead, at once.
const CHUNK: usize = 64 * 1024;

/// Why a [`Channel`] failed. After an error the channel is of no more use.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The deadline passed, or the other end takes nothing more.
    #[error("the other end did not answer in time")]
    TimedOut,
    /// End of file in the middle of a frame.
    #[error("the connection ended in the middle of a message")]
    Truncated,
    /// A frame longer than [`MAX_FRAME`], to send or received.
    #[error("a message of {0} bytes is longer than the {MAX_FRAME} that are allowed")]
    TooLong(usize),
    /// More descriptors than [`MAX_DESCRIPTORS`], or this process has no room for them.
    #[error("a message brought more open files than can be taken")]
    TooManyDescriptors,
    /// The bytes are not a message.
    #[error("a message could not be understood")]
    Malformed(#[source] postcard::Error),
    /// The system refused.
    #[error("the connection failed")]
    Io(#[source] std::io::Error),
}

impl From<Errno> for ChannelError {
    fn from(errno: Errno) -> Self {
        Self::Io(errno.into())
    }
}

/// What [`Channel::try_recv`] found.
#[derive(Debug)]
pub enum Received<T> {
    /// A whole message and its descriptors.
    Message(T, Vec<OwnedFd>),
    /// Nothing whole yet: poll the channel for input and call again.
    Pending,
    /// The other end closed the connection between two messages.
    Closed,
}

/// One end of a session's connection.
#[derive(Debug)]
pub struct Channel {
    socket: OwnedFd,
    incoming: Incoming,
}

/// The part of a frame that has arrived.
#[derive(Debug, Default)]
struct Incoming {
    header: [u8; HEADER],
    header_len: usize,
    payload: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

impl Channel {
    /// Wraps a connected stream socket.
    #[must_use]
    pub fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            incoming: Incoming::default(),
        }
    }

    /// Sends one message, waiting until `deadline` (`None`: not at all) for room. The descriptors
    /// are duplicated by the kernel; the caller keeps its own.
    ///
    /// # Errors
    /// Whatever hinders it; a part of the message may then have been sent.
    pub fn send<T: Serialize>(
        &mut self,
        message: &T,
        descriptors: &[BorrowedFd<'_>],
        deadline: Option<Instant>,
    ) -> Result<(), ChannelError> {
        if descriptors.len() > MAX_DESCRIPTORS {
            return Err(ChannelError::TooManyDescriptors);
        }
        let mut frame = vec![0; HEADER];
        frame = postcard::to_extend(message, frame).map_err(ChannelError::Malformed)?;
        let length = frame.len() - HEADER;
        let header = match u32::try_from(length) {
            Ok(header) if length <= MAX_FRAME => header,
            _ => return Err(ChannelError::TooLong(length)),
        };
        frame[..HEADER].copy_from_slice(&header.to_le_bytes());

        let mut rest = frame.as_slice();
        let mut attached = descriptors;
        while !rest.is_empty() {
            match self.send_some(rest, attached) {
                Ok(sent) => {
                    rest = &rest[sent..];
                    attached = &[];
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.wait(PollFlags::OUT, deadline)?,
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    /// Takes a message if a whole one has arrived. Never blocks.
    ///
    /// # Errors
    /// When the other end broke the protocol or the connection.
    pub fn try_recv<T: DeserializeOwned>(&mut self) -> Result<Received<T>, ChannelError> {
        loop {
            let wanted = self.incoming.wanted()?;
            if wanted == 0 {
                let whole = std::mem::take(&mut self.incoming);
                let message = decode(&whole.payload)?;
                return Ok(Received::Message(message, whole.descriptors));
            }
            match self.recv_some(wanted) {
                Ok(0) if self.incoming.header_len == 0 => return Ok(Received::Closed),
                Ok(0) => return Err(ChannelError::Truncated),
                Ok(_) => {}
                Err(ChannelError::Io(error)) => match error.kind() {
                    std::io::ErrorKind::Interrupted => {}
                    std::io::ErrorKind::WouldBlock => return Ok(Received::Pending),
                    // The other end went away with something of ours unread.
                    std::io::ErrorKind::ConnectionReset if self.incoming.header_len == 0 => {
                        return Ok(Received::Closed);
                    }
                    _ => return Err(ChannelError::Io(error)),
                },
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits for a message until `deadline` (`None`: for ever). `Ok(None)` is the end of file.
    ///
    /// # Errors
    /// When the other end broke the protocol or the connection, or the deadline passed.
    pub fn recv<T: DeserializeOwned>(
        &mut self,
        deadline: Option<Instant>,
    ) -> Result<Option<(T, Vec<OwnedFd>)>, ChannelError> {
        loop {
            match self.try_recv()? {
                Received::Message(message, descriptors) => {
                    return Ok(Some((message, descriptors)));
                }
                Received::Closed => return Ok(None),
                Received::Pending => match deadline {
                    Some(_) => self.wait(PollFlags::IN, deadline)?,
                    None => {
                        let mut polled = [PollFd::new(&self.socket, PollFlags::IN)];
                        match poll(&mut polled, None) {
                            Ok(_) | Err(Errno::INTR) => {}
                            Err(errno) => return Err(errno.into()),
                        }
                    }
                },
            }
        }
    }

    fn send_some(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<usize, Errno> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        // The buffer has room for as many as `send` lets through.
        if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(Errno::TOOMANYREFS);
        }
        sendmsg(
            &self.socket,
            &[IoSlice::new(bytes)],
            &mut control,
            SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
        )
    }

    /// Reads at most `wanted` bytes of the current frame, and the descriptors that come with them.
    fn recv_some(&mut self, wanted: usize) -> Result<usize, ChannelError> {
        // One more than allowed, so that a surplus shows as such.
        let mut space =
            [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS + 1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;

        let incoming = &mut self.incoming;
        let received = if incoming.header_len < HEADER {
            let buffer = &mut incoming.header[incoming.header_len..];
            let received = recvmsg(
                &self.socket,
                &mut [IoSliceMut::new(buffer)],
                &mut control,
                flags,
            )?;
            incoming.header_len += received.bytes;
            received
        } else {
            let start = incoming.payload.len();
            incoming.payload.resize(start + wanted.min(CHUNK), 0);
            let result = recvmsg(
                &self.socket,
                &mut [IoSliceMut::new(&mut incoming.payload[start..])],
                &mut control,
                flags,
            );
            let read = result.as_ref().map_or(0, |received| received.bytes);
            incoming.payload.truncate(start + read);
            result?
        };

        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                incoming.descriptors.extend(descriptors);
            }
        }
        if received.flags.contains(ReturnFlags::CTRUNC)
            || incoming.descriptors.len() > MAX_DESCRIPTORS
        {
            incoming.descriptors.clear();
            return Err(ChannelError::TooManyDescriptors);
        }
        Ok(received.bytes)
    }

    fn wait(&self, flags: PollFlags, deadline: Option<Instant>) -> Result<(), ChannelError> {
        let now = Instant::now();
        let left = deadline
            .map(|deadline| deadline.saturating_duration_since(now))
            .unwrap_or_default();
        let timeout = Timespec::try_from(left).unwrap_or(Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        });
        let mut polled = [PollFd::new(&self.socket, flags)];
        match poll(&mut polled, Some(&timeout)) {
            Ok(0) => Err(ChannelError::TimedOut),
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Incoming {
    /// How many bytes the current frame still lacks; 0 when it is whole.
    fn wanted(&self) -> Result<usize, ChannelError> {
        if self.header_len < HEADER {
            return Ok(HEADER - self.header_len);
        }
        // `usize` is at least 32 bits wherever there is Linux with user namespaces.
        let length = usize::try_from(u32::from_le_bytes(self.header)).unwrap_or(usize::MAX);
        if length > MAX_FRAME {
            return Err(ChannelError::TooLong(length));
        }
        // An empty frame holds no message; decoding it says so.
        Ok(length - self.payload.len())
    }
}

fn decode<T: DeserializeOwned>(payload: &[u8]) -> Result<T, ChannelError> {
    match postcard::take_from_bytes(payload) {
        Ok((message, [])) => Ok(message),
        Ok(_) => Err(ChannelError::Malformed(
            postcard::Error::DeserializeBadEncoding,
        )),
        Err(error) => Err(ChannelError::Malformed(error)),
    }
}

#[cfg(test)]
mod tests;
