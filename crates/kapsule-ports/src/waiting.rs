// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! A channel to wait at together with other things.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream as StdStream;
use std::time::{Duration, Instant};

use kapsule_proto::session::{Channel, ChannelError, Received};
use tokio::io::Interest;
use tokio::net::UnixStream;

/// How long a message may wait for room. The other end has room for more than is ever under way, or
/// does not read.
const PATIENCE: Duration = Duration::from_millis(100);

/// A channel whose end is waited for without a thread.
#[derive(Debug)]
pub(crate) struct WaitingChannel {
    channel: Channel,
    /// The same socket, for waiting only.
    readiness: UnixStream,
}

impl WaitingChannel {
    pub(crate) fn new(socket: OwnedFd) -> std::io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        let readiness = UnixStream::from_std(StdStream::from(socket.try_clone()?))?;
        Ok(Self {
            channel: Channel::new(socket),
            readiness,
        })
    }

    /// The next message; `None` is the end. Nothing is lost when it is not waited for to the end.
    pub(crate) async fn receive<T: for<'de> serde::Deserialize<'de>>(
        &mut self,
    ) -> Result<Option<(T, Vec<OwnedFd>)>, ChannelError> {
        loop {
            // Whoever always has something to say leaves others their turn.
            tokio::task::consume_budget().await;
            match self.channel.try_recv()? {
                Received::Message(message, descriptors) => {
                    return Ok(Some((message, descriptors)));
                }
                Received::Closed => return Ok(None),
                // Cleared before it is looked again, so that nothing that comes meanwhile is missed.
                Received::Pending => {
                    let ready = self.readiness.readable().await;
                    ready.map_err(ChannelError::Io)?;
                    let not_any_more = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
                    let _ = self.readiness.try_io(Interest::READABLE, not_any_more);
                }
            }
        }
    }

    pub(crate) fn send<T: serde::Serialize>(
        &mut self,
        message: &T,
        attached: &[BorrowedFd<'_>],
    ) -> Result<(), ChannelError> {
        let deadline = Some(Instant::now() + PATIENCE);
        self.channel.send(message, attached, deadline)
    }

    /// Sends with one socket attached.
    pub(crate) fn send_with<T: serde::Serialize>(
        &mut self,
        message: &T,
        socket: &OwnedFd,
    ) -> Result<(), ChannelError> {
        self.send(message, &[socket.as_fd()])
    }
}
