// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The socket to the bus, as zbus uses it: it reads what the gate lets through, and writes past the
//! gate, which sees what has been answered.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tokio::io::Interest;
use tokio::net::UnixStream;
use zbus::Message;
use zbus::connection::socket::{BoxedSplit, ReadHalf, Split, WriteHalf};
use zbus::export::async_trait::async_trait;
use zbus::message::Type;

use super::head::{self, FLAGS, Kind, MAX_HEAD, NO_REPLY, START};
use super::queues::{Call, Joined, MAX_CALL, TOO_LONG};
use super::{Gate, Refusal};

/// How much is read from the socket at once.
const CHUNK: usize = 64 * 1024;
/// How often, before the next call is handed on.
const CHUNKS: usize = 16;
/// As many descriptors as the kernel passes with one message.
const MAX_DESCRIPTORS: usize = 253;

/// Both halves of a connection, with the gate between.
pub(super) fn split(stream: UnixStream, gate: Gate) -> BoxedSplit {
    let stream = Arc::new(stream);
    let reader: Box<dyn ReadHalf> = Box::new(Reader {
        stream: Arc::clone(&stream),
        gate: gate.clone(),
        arrived: Vec::new(),
        begin: 0,
        offset: 0,
        descriptors: VecDeque::new(),
        skip: 0,
        is_greeting: true,
        answers: VecDeque::new(),
        current: Part::default(),
        is_over: false,
    });
    let writer: Box<dyn WriteHalf> = Box::new(Writer { stream, gate });
    Split::new(reader, writer)
}

/// Bytes on their way to zbus.
#[derive(Debug, Default)]
struct Part {
    bytes: Vec<u8>,
    at: usize,
    descriptors: Vec<OwnedFd>,
}

#[derive(Debug)]
struct Reader {
    stream: Arc<UnixStream>,
    gate: Gate,
    /// What was read from the socket, of which the first bytes are dealt with.
    arrived: Vec<u8>,
    begin: usize,
    /// How many bytes had come before those.
    offset: u64,
    /// Descriptors, each time with the place of the last byte that came along. The kernel does not read
    /// past bytes that were sent with descriptors, so they belong to the message that this byte is in:
    /// no message can be taken for another one's, whatever it says about itself.
    descriptors: VecDeque<(u64, Vec<OwnedFd>)>,
    /// Bytes still to come of a message that is not let in.
    skip: usize,
    /// Before the first message, the bus speaks in lines.
    is_greeting: bool,
    /// What is not a call, and passes.
    answers: VecDeque<Part>,
    current: Part,
    is_over: bool,
}

impl Reader {
    /// Reads what is there. False when nothing is.
    fn read(&mut self) -> io::Result<bool> {
        self.arrived.drain(..self.begin);
        self.offset += self.begin as u64;
        self.begin = 0;
        let old = self.arrived.len();
        self.arrived.resize(old + CHUNK, 0);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let target = self.arrived.get_mut(old..).unwrap_or_default();
        let received = self.stream.try_io(Interest::READABLE, || {
            let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
            let mut target = [IoSliceMut::new(target)];
            Ok(recvmsg(
                self.stream.as_ref(),
                &mut target,
                &mut ancillary,
                flags,
            )?)
        });
        let length = received.as_ref().map_or(0, |received| received.bytes);
        self.arrived.truncate(old + length);
        match received {
            Ok(_) => {
                for message in ancillary.drain() {
                    if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                        let last = self.offset + (self.arrived.len() as u64).saturating_sub(1);
                        self.descriptors.push_back((last, descriptors.collect()));
                    }
                }
                self.is_over |= length == 0;
                Ok(length > 0)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Deals with all that has arrived whole.
    fn sort(&mut self) -> io::Result<()> {
        loop {
            let here = self.arrived.get(self.begin..).unwrap_or_default();
            if self.skip > 0 {
                let skipped = self.skip.min(here.len());
                self.skip -= skipped;
                self.begin += skipped;
                if self.skip > 0 {
                    return Ok(());
                }
                continue;
            }
            if self.is_greeting && !matches!(here.first(), None | Some(b'l' | b'B')) {
                let Some(end) = here.windows(2).position(|pair| pair == b"\r\n") else {
                    return Ok(());
                };
                let bytes = here.get(..end + 2).unwrap_or_default().to_vec();
                self.begin += bytes.len();
                self.pass(bytes, Vec::new());
                continue;
            }
            let Some(start) = here.first_chunk::<START>() else {
                return Ok(());
            };
            self.is_greeting = false;
            let (head_length, length) =
                head::lengths(start).ok_or_else(|| io::Error::other("no message of a bus"))?;
            if head_length > MAX_HEAD {
                self.skip = length;
                drop(self.take_descriptors(length));
                continue;
            }
            let Some(head_bytes) = here.get(..head_length) else {
                return Ok(());
            };
            let Some(head) = head::parse(head_bytes) else {
                self.skip = length;
                drop(self.take_descriptors(length));
                continue;
            };
            let is_long = head.kind == Kind::Call && length > MAX_CALL;
            let is_unasked = head.kind == Kind::Signal
                && head.is_addressed
                && head.sender != "org.freedesktop.DBus";
            if !(is_long || is_unasked) && here.len() < length {
                return Ok(());
            }
            let bytes = match is_long || is_unasked {
                true => Vec::new(),
                false => here.get(..length).unwrap_or_default().to_vec(),
            };
            let descriptors = self.take_descriptors(length);
            if is_long || is_unasked || descriptors.len() != head.descriptors {
                self.skip = length;
                if is_long && !head.no_reply {
                    self.gate.refuse(Refusal {
                        sender: head.sender,
                        serial: head.serial,
                        why: TOO_LONG,
                    });
                }
                continue;
            }
            self.begin += length;
            if head.kind != Kind::Call {
                self.pass(bytes, descriptors);
                continue;
            }
            let sender = head.sender.clone();
            let joined = self.gate.queues().join(Call {
                bytes,
                descriptors,
                sender: head.sender,
                serial: head.serial,
                no_reply: head.no_reply,
            });
            match joined {
                Joined::Waits | Joined::Refused(None) => {}
                // Nobody listens when the daemon ends.
                Joined::Unknown => drop(self.gate.0.strangers.send(sender)),
                Joined::Refused(Some(refusal)) => self.gate.refuse(refusal),
            }
        }
    }

    /// The descriptors of the message of this length that is next.
    fn take_descriptors(&mut self, length: usize) -> Vec<OwnedFd> {
        let begin = self.offset + self.begin as u64;
        let end = begin + length as u64;
        let mut taken = Vec::new();
        while let Some((last, _)) = self.descriptors.front()
            && *last < end
        {
            let (last, descriptors) = self.descriptors.pop_front().unwrap_or_default();
            if last >= begin {
                taken.extend(descriptors);
            }
        }
        taken
    }

    fn pass(&mut self, bytes: Vec<u8>, descriptors: Vec<OwnedFd>) {
        self.answers.push_back(Part {
            bytes,
            at: 0,
            descriptors,
        });
    }

    /// What zbus gets next, if there is something.
    fn next(&mut self) -> Option<Part> {
        if let Some(answer) = self.answers.pop_front() {
            return Some(answer);
        }
        let mut call = self.gate.queues().next()?;
        // Each call is answered, so that it is known when it is over; where nobody wants the answer, it
        // goes nowhere.
        if let Some(flags) = call.bytes.get_mut(FLAGS) {
            *flags &= !NO_REPLY;
        }
        Some(Part {
            bytes: call.bytes,
            at: 0,
            descriptors: call.descriptors,
        })
    }
}

#[async_trait]
impl ReadHalf for Reader {
    async fn recvmsg(&mut self, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        while self.current.at >= self.current.bytes.len() {
            // First what has come meanwhile: while it waits, the bus turns others away.
            for _ in 0..CHUNKS {
                if !self.read()? {
                    break;
                }
                self.sort()?;
            }
            if let Some(part) = self.next() {
                self.current = part;
            } else if self.is_over {
                return Ok((0, Vec::new()));
            } else {
                tokio::select! {
                    ready = self.stream.readable() => ready?,
                    () = self.gate.0.changed.notified() => {}
                }
            }
        }
        let rest = self
            .current
            .bytes
            .get(self.current.at..)
            .unwrap_or_default();
        let count = rest.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(rest) {
            *to = *from;
        }
        self.current.at += count;
        Ok((count, std::mem::take(&mut self.current.descriptors)))
    }

    fn can_pass_unix_fd(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct Writer {
    stream: Arc<UnixStream>,
    gate: Gate,
}

#[async_trait]
impl WriteHalf for Writer {
    async fn send_message(&mut self, message: &Message) -> zbus::Result<()> {
        if matches!(message.message_type(), Type::MethodReturn | Type::Error) {
            let header = message.header();
            let wanted = match (header.destination(), header.reply_serial()) {
                (Some(to), Some(serial)) => self.gate.queues().answered(to.as_str(), serial.get()),
                _ => true,
            };
            self.gate.0.changed.notify_one();
            if !wanted {
                return Ok(());
            }
        }
        let data = message.data();
        let mut at = 0;
        while at < data.len() {
            let descriptors: Vec<_> = match at {
                0 => data.fds().iter().map(|fd| fd.as_fd()).collect(),
                _ => Vec::new(),
            };
            let rest = data.get(at..).unwrap_or_default();
            at += self.sendmsg(rest, &descriptors).await?;
        }
        Ok(())
    }

    async fn sendmsg(&mut self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
        loop {
            self.stream.writable().await?;
            let sent = self.stream.try_io(Interest::WRITABLE, || {
                let mut space =
                    [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
                let mut ancillary = SendAncillaryBuffer::new(&mut space);
                let rights = SendAncillaryMessage::ScmRights(descriptors);
                if !descriptors.is_empty() && !ancillary.push(rights) {
                    return Err(io::Error::other("too many descriptors"));
                }
                let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                let bytes = [IoSlice::new(bytes)];
                Ok(sendmsg(
                    self.stream.as_ref(),
                    &bytes,
                    &mut ancillary,
                    flags,
                )?)
            });
            match sent {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return sent,
            }
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        Ok(rustix::net::shutdown(
            self.stream.as_ref(),
            rustix::net::Shutdown::Both,
        )?)
    }

    fn can_pass_unix_fd(&self) -> bool {
        true
    }
}
