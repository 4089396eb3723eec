// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Which ports listen inside a container, and the way to them: between `kapsule-agent ports` inside and
//! `kapsule-ports` of the container's owner on the host.
//!
//! They talk over a socket pair that the host's side made and passed in as standard input of a session,
//! in the frames of [`session::Channel`](crate::session::Channel). No socket that listens ever goes
//! inside; what comes out is one connected TCP socket for each connection that the host's side asks for.

use serde::{Deserialize, Serialize};

/// Most ports that are told of.
pub const MAX_PORTS: usize = 64;

/// What the inside says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromInside {
    /// These TCP ports can be reached on the container's own loopback: sent first, and again whenever
    /// it changes. Ascending, at most [`MAX_PORTS`].
    Listening {
        /// The ports.
        ports: Vec<u16>,
        /// How many more there are.
        more: u32,
    },
    /// A connection that was asked for: its socket is attached, and may still be connecting.
    Connected {
        /// The number that the host's side gave it.
        id: u32,
    },
    /// Nothing listens there any more.
    Refused {
        /// The number that the host's side gave it.
        id: u32,
    },
}

/// What the host's side says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToInside {
    /// Connects to a port that was told of.
    Connect {
        /// A number for the answer.
        id: u32,
        /// The port.
        port: u16,
    },
}
