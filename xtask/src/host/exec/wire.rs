// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What client and server say to each other: a length (four bytes, little endian), then JSON.
//! Descriptors travel with the length.

use std::io::{IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use anyhow::{Context as _, Result, bail};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// No message comes near; a length above it means that something else is talking.
const MAX_MESSAGE: usize = 64 << 20;
const MAX_FDS: usize = 3;

/// Client to server, with stdin, stdout and stderr unless a terminal is asked for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    /// Bytes, not text: an argument need not be UTF-8.
    pub(super) argv: Vec<Vec<u8>>,
    /// On top of the environment of the user's session.
    pub(super) env: Vec<(String, String)>,
    /// The working directory instead of the home.
    pub(super) cwd: Option<String>,
    /// Rows and columns of the terminal to make.
    pub(super) tty: Option<(u16, u16)>,
}

/// Server to client.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    /// The command runs; comes with the master of its terminal when one was asked for.
    Started,
    /// The command could not be started: exit status by the shell's convention (126, 127), and why.
    Failed(i32, String),
    Exited(i32),
    Signaled(i32),
}

pub(super) fn send(
    socket: &mut UnixStream,
    message: &impl Serialize,
    fds: &[BorrowedFd<'_>],
) -> Result<()> {
    let json = serde_json::to_vec(message)?;
    let length = u32::try_from(json.len())
        .context("the message is too long")?
        .to_le_bytes();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        bail!("too many descriptors");
    }
    // Four bytes into an empty socket are never split.
    sendmsg(
        socket.as_fd(),
        &[IoSlice::new(&length)],
        &mut control,
        SendFlags::NOSIGNAL,
    )?;
    socket.write_all(&json)?;
    Ok(())
}

/// The next message, or `None` when the other side is gone.
pub(super) fn receive<T: DeserializeOwned>(
    socket: &mut UnixStream,
) -> Result<Option<(T, Vec<OwnedFd>)>> {
    let mut length = [0; 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(
        socket.as_fd(),
        &mut [IoSliceMut::new(&mut length)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    if received.bytes == 0 {
        return Ok(None);
    }
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    socket.read_exact(&mut length[received.bytes..])?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_MESSAGE {
        bail!("the other side sent a message of {length} bytes");
    }
    let mut json = vec![0; length];
    socket.read_exact(&mut json)?;
    Ok(Some((serde_json::from_slice(&json)?, fds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_and_descriptors_arrive() {
        let (mut a, mut b) = UnixStream::pair().unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        let argv = vec![b"echo".to_vec(), vec![0xff, b'\n', b'"'], Vec::new()];
        let request = Request {
            argv: argv.clone(),
            env: Vec::new(),
            cwd: None,
            tty: Some((24, 80)),
        };
        send(&mut a, &request, &[writer.as_fd()]).unwrap();
        drop(writer);
        let (got, fds) = receive::<Request>(&mut b).unwrap().unwrap();
        assert_eq!((got.argv, got.tty, fds.len()), (argv, Some((24, 80)), 1));
        std::fs::File::from(fds.into_iter().next().unwrap())
            .write_all(b"x")
            .unwrap();
        let mut text = String::new();
        std::io::BufReader::new(reader)
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "x");
    }

    #[test]
    fn a_closed_socket_is_the_end() {
        let (a, mut b) = UnixStream::pair().unwrap();
        drop(a);
        assert!(receive::<Reply>(&mut b).unwrap().is_none());
    }
}
