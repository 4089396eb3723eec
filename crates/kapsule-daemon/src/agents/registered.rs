// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! An agent that has registered.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};

use kapsule_core::container::AgentState;
use kapsule_proto::registration::{self, Context, ToAgent};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    sendmsg, socketpair,
};
use tokio_seqpacket::UnixSeqpacket;

/// The connection of an agent.
pub(super) struct Registered {
    socket: UnixSeqpacket,
    context: Context,
}

impl Registered {
    pub(super) fn new(socket: UnixSeqpacket, context: Context) -> Self {
        Self { socket, context }
    }

    pub(super) fn state(&self) -> AgentState {
        match self.context {
            Context::UserManager => AgentState::UserManager,
            Context::Plain => AgentState::Plain,
        }
    }

    /// Ends when the agent has gone. An agent has nothing to say after its registration; one that
    /// speaks is not ours.
    pub(super) async fn gone(&self) {
        let mut nothing = [0; 1];
        // End of file, an error, or a packet: each ends it.
        let _ = self.socket.recv(&mut nothing).await;
    }

    /// Makes a session's socket pair, passes one end to the agent, together with the witness of
    /// [`super::underway`], and returns the other.
    pub(super) fn open_session(&self, witness: &OwnedFd) -> io::Result<OwnedFd> {
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        )?;
        let packet = registration::encode(&ToAgent::Session).map_err(io::Error::other)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let descriptors = [theirs.as_fd(), witness.as_fd()];
        if !ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)) {
            return Err(io::Error::other("no room for a descriptor"));
        }
        // Never waits: an agent that does not read is the container's fault, and nobody else's
        // work may stand still for it.
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        sendmsg(
            self.socket.as_fd(),
            &[IoSlice::new(&packet)],
            &mut ancillary,
            flags,
        )?;
        Ok(ours)
    }
}
