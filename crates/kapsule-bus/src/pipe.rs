// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What is said in one direction of a connection, passed on as it is.
//!
//! Descriptors have to arrive with the message that they belong to: the libraries at the ends read one
//! message after the other and take descriptors that come meanwhile for that message's. A single
//! `recvmsg` can return the end of one message and the beginning of the next, with the next one's
//! descriptors. So nothing is read over the end of a message, or of a line in which the ends agree about
//! how to talk. Nothing is kept but what the other side has no room for yet: who does not read, is not
//! read from.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recv, recvmsg, sendmsg,
};
use tokio::io::Interest;
use tokio::net::UnixStream;

use crate::frame::{self, HEADER};

/// How much is taken at once.
const CHUNK: usize = 32 * 1024;
/// How much may be said before there are messages. It is some hundred bytes.
const MAX_LINES: usize = 16 * 1024;
/// As many descriptors as the kernel passes at once (`SCM_MAX_FD`).
const MAX_FDS: usize = 253;

/// Who speaks in a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaker {
    Program,
    Bus,
}

/// Passes on what `from` says until it has nothing more to say.
///
/// # Errors
/// When one of the two cannot be reached any more, or what is said is not D-Bus.
pub(crate) async fn pipe(speaker: Speaker, from: &UnixStream, to: &UnixStream) -> io::Result<()> {
    if pass_lines(speaker, from, to).await? {
        while pass_message(from, to).await? {
            // A program that says much leaves others their turn.
            tokio::task::consume_budget().await;
        }
    }
    Ok(())
}

/// Passes on the lines before messages (D-Bus Specification, "Authentication Protocol"); false when it
/// ended there.
async fn pass_lines(speaker: Speaker, from: &UnixStream, to: &UnixStream) -> io::Result<bool> {
    let (mut line, mut passed) = (Vec::new(), 0);
    loop {
        let mut ahead = [0; 512];
        let seen = from
            .async_io(Interest::READABLE, || {
                Ok(recv(from, &mut ahead, RecvFlags::PEEK)?.0)
            })
            .await?;
        let ahead = &ahead[..seen];
        let Some(first) = ahead.first() else {
            return Ok(false);
        };
        // The program says when its messages begin, those of the bus just do.
        if speaker == Speaker::Bus && line.is_empty() && frame::begins(*first) {
            return Ok(true);
        }
        let end = ahead.iter().position(|byte| *byte == b'\n');
        let mut buffer = vec![0; end.map_or(seen, |at| at + 1)];
        let Some(descriptors) = take(from, &mut buffer).await? else {
            return Ok(false);
        };
        send_all(to, &buffer, descriptors).await?;
        passed += buffer.len();
        if passed > MAX_LINES {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "too much was said before the first message",
            ));
        }
        line.extend(buffer);
        if end.is_some() {
            let mut words = line.split(u8::is_ascii_whitespace);
            if speaker == Speaker::Program && words.next() == Some(b"BEGIN") {
                return Ok(true);
            }
            line.clear();
        }
    }
}

/// Passes on one message; false when there is none any more.
async fn pass_message(from: &UnixStream, to: &UnixStream) -> io::Result<bool> {
    let mut header = [0; HEADER];
    let Some(mut descriptors) = take(from, &mut header).await? else {
        return Ok(false);
    };
    let mut left = frame::rest(&header)?;
    let mut buffer = Vec::with_capacity((HEADER + left).min(CHUNK));
    buffer.extend(header);
    loop {
        let known = buffer.len();
        let more = left.min(CHUNK - known);
        buffer.resize(known + more, 0);
        match take(from, &mut buffer[known..]).await? {
            Some(these) => descriptors.extend(these),
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
        left -= more;
        send_all(to, &buffer, std::mem::take(&mut descriptors)).await?;
        if left == 0 {
            return Ok(true);
        }
        buffer.clear();
    }
}

/// Reads so much, with the descriptors that come with it; nothing where there is nothing more.
async fn take(from: &UnixStream, buffer: &mut [u8]) -> io::Result<Option<Vec<OwnedFd>>> {
    let mut descriptors = Vec::new();
    let mut known = 0;
    while known < buffer.len() {
        let rest = &mut buffer[known..];
        let (read, these) = from
            .async_io(Interest::READABLE, || receive(from, rest))
            .await?;
        descriptors.extend(these);
        match read {
            0 if known == 0 => return Ok(None),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => known += read,
        }
        if descriptors.len() > MAX_FDS {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a message with too many descriptors",
            ));
        }
    }
    Ok(Some(descriptors))
}

fn receive(from: &UnixStream, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(
        from,
        &mut [IoSliceMut::new(buffer)],
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(these) = message {
            descriptors.extend(these);
        }
    }
    if received.flags.contains(ReturnFlags::CTRUNC) {
        // Some are lost, and those at the ends would count wrongly from now on.
        return Err(io::Error::other("no room for more descriptors"));
    }
    Ok((received.bytes, descriptors))
}

/// Sends all of it, the descriptors with its first byte.
async fn send_all(
    to: &UnixStream,
    mut bytes: &[u8],
    mut descriptors: Vec<OwnedFd>,
) -> io::Result<()> {
    while !bytes.is_empty() {
        let sent = to
            .async_io(Interest::WRITABLE, || send(to, bytes, &descriptors))
            .await?;
        descriptors.clear();
        bytes = &bytes[sent..];
    }
    Ok(())
}

fn send(to: &UnixStream, bytes: &[u8], descriptors: &[OwnedFd]) -> io::Result<usize> {
    let borrowed: Vec<_> = descriptors.iter().map(|it| it.as_fd()).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !borrowed.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(&borrowed)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let buffers = [IoSlice::new(bytes)];
    Ok(sendmsg(to, &buffers, &mut ancillary, SendFlags::NOSIGNAL)?)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream as StdStream;
    use std::thread;

    use super::*;

    /// A direction of a connection: what is written to the first comes out of the second.
    fn piped(speaker: Speaker) -> (StdStream, StdStream, thread::JoinHandle<io::Result<()>>) {
        let (near, from) = StdStream::pair().unwrap();
        let (to, far) = StdStream::pair().unwrap();
        let piping = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                from.set_nonblocking(true).unwrap();
                to.set_nonblocking(true).unwrap();
                let (from, to) = (UnixStream::from_std(from)?, UnixStream::from_std(to)?);
                pipe(speaker, &from, &to).await
            })
        });
        (near, far, piping)
    }

    fn message(body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).unwrap().to_le_bytes();
        [
            &b"l\x01\0\x01"[..],
            &length,
            &[1, 0, 0, 0, 0, 0, 0, 0],
            body,
        ]
        .concat()
    }

    fn send_with(socket: &StdStream, bytes: &[u8], descriptor: &impl std::os::fd::AsFd) {
        let descriptors = [descriptor.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)));
        let sent = sendmsg(
            socket,
            &[IoSlice::new(bytes)],
            &mut ancillary,
            SendFlags::empty(),
        );
        assert_eq!(sent.unwrap(), bytes.len());
    }

    /// As the libraries read: so much, and how many descriptors came with it.
    fn read_exactly(socket: &StdStream, length: usize) -> (Vec<u8>, usize) {
        let mut all = Vec::new();
        let mut count = 0;
        while all.len() < length {
            let mut buffer = vec![0; length - all.len()];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
            let mut ancillary = RecvAncillaryBuffer::new(&mut space);
            let mut buffers = [IoSliceMut::new(&mut buffer)];
            let read = recvmsg(socket, &mut buffers, &mut ancillary, RecvFlags::empty())
                .unwrap()
                .bytes;
            for message in ancillary.drain() {
                if let RecvAncillaryMessage::ScmRights(these) = message {
                    count += these.count();
                }
            }
            all.extend(&buffer[..read]);
        }
        (all, count)
    }

    #[test]
    fn descriptors_arrive_with_their_message_whatever_was_waiting() {
        for (speaker, hello) in [
            (Speaker::Program, "\0AUTH EXTERNAL 31303030\r\nBEGIN\r\n"),
            (Speaker::Bus, "OK 0123\r\nAGREE_UNIX_FD\r\n"),
        ] {
            let (near, far, piping) = piped(speaker);
            let file = std::fs::File::open("/dev/null").unwrap();
            let (plain, carrying) = (message(b"plain"), message(b"carrying"));
            let mut write = &near;
            // All of it is there before anything is read.
            write.write_all(hello.as_bytes()).unwrap();
            write.write_all(&plain).unwrap();
            send_with(&near, &carrying, &file);
            send_with(&near, &carrying, &file);
            write.write_all(&plain).unwrap();
            drop(near);
            let hello = hello.as_bytes().to_vec();
            for (expected, count) in [
                (hello, 0),
                (plain.clone(), 0),
                (carrying.clone(), 1),
                (carrying, 1),
                (plain, 0),
            ] {
                assert_eq!(read_exactly(&far, expected.len()), (expected, count));
            }
            piping.join().unwrap().unwrap();
        }
    }

    #[test]
    fn a_long_message_passes_and_keeps_nothing_back() {
        let (mut near, mut far, piping) = piped(Speaker::Program);
        let long = message(&vec![7; 5_000_000]);
        let sent = [b"BEGIN\r\n".as_slice(), &long, &long].concat();
        let writing = sent.clone();
        let writer = thread::spawn(move || near.write_all(&writing).unwrap());
        let mut heard = Vec::new();
        far.read_to_end(&mut heard).unwrap();
        assert!(heard == sent, "{} bytes arrived", heard.len());
        writer.join().unwrap();
        piping.join().unwrap().unwrap();
    }

    #[test]
    fn what_is_no_bus_is_hung_up_on() {
        let endless = vec![b'x'; 1 << 20];
        let no_message = [b"BEGIN\r\n".as_slice(), &[b'x'; 100]].concat();
        let cut = [b"BEGIN\r\n".as_slice(), &message(b"abc")[..18]].concat();
        for garbage in [endless, no_message, cut] {
            let (mut near, _far, piping) = piped(Speaker::Program);
            let writer = thread::spawn(move || drop(near.write_all(&garbage)));
            piping.join().unwrap().unwrap_err();
            writer.join().unwrap();
        }
    }
}
