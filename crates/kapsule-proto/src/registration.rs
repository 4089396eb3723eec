// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Agent and daemon: one packet each way on a `SOCK_SEQPACKET` connection.
//!
//! The agent connects out to the daemon's socket, sends one [`Hello`], and from then on only
//! receives. The daemon sends a [`ToAgent`] per session, with two descriptors attached
//! (`SCM_RIGHTS`): the session's socket, and the write end of a pipe, to be closed at once, which
//! tells the daemon that the packet was received. It never takes a descriptor from the agent. End of file on either side means
//! that the other has gone.

use serde::{Deserialize, Serialize};

/// Version of this protocol and of [`session`](crate::session). Both ends must match: the agent
/// is delivered by the same installation as the daemon, so a mismatch means that the container
/// was started before an update, and the agent restarts itself from its new binary.
pub const PROTOCOL_VERSION: u16 = 2;

/// Longest packet on the registration socket, in bytes.
pub const MAX_PACKET: usize = 512;

/// First and only packet of the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL_VERSION`] of the agent.
    pub version: u16,
    /// How the agent was started, for `kapsule info`.
    pub context: Context,
}

/// What the agent's sessions inherit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Context {
    /// Started by the guest's systemd user manager: PAM, limits, runtime directory.
    UserManager,
    /// Started by the agent's own boot step, without PAM.
    Plain,
}

/// A packet of the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToAgent {
    /// The registration was accepted. The daemon's protocol version, which may be newer.
    Welcome {
        /// [`PROTOCOL_VERSION`] of the daemon.
        version: u16,
    },
    /// A client wants a session: its socket is attached, and what to close.
    Session,
}

/// Encodes a packet.
///
/// # Errors
/// When it does not fit into [`MAX_PACKET`], which none of the types above can reach.
pub fn encode<T: Serialize>(packet: &T) -> Result<Vec<u8>, postcard::Error> {
    postcard::to_stdvec(packet)
}

/// Decodes a packet.
///
/// # Errors
/// When the bytes are not exactly one packet of type `T`.
pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, postcard::Error> {
    match postcard::take_from_bytes(bytes)? {
        (packet, []) => Ok(packet),
        _ => Err(postcard::Error::DeserializeBadEncoding),
    }
}
