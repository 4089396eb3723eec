// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What the daemon, the agent inside a container and a client say to each other.
//!
//! | module | between | over |
//! |---|---|---|
//! | [`spec`] | daemon → agent | a JSON file, mounted read-only into the container |
//! | [`folder`] | daemon → agent | which folder a path in the spec means |
//! | [`registration`] | agent ↔ daemon | one `SOCK_SEQPACKET` connection per agent |
//! | [`session`] | client ↔ agent | one stream socket pair per session, made by the daemon |
//! | [`ports`] | `kapsule-ports` ↔ agent | a socket pair that a session of its own has as standard input |
//! | [`paths`] | all | where these things stand inside a container |
//!
//! Everything that comes from inside a container is hostile until checked: its root can replace
//! the agent. That is why messages are small, bounded and carry no host paths.

pub mod folder;
pub mod host;
pub mod paths;
pub mod ports;
pub mod registration;
pub mod session;
pub mod spec;
