// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What Kapsule is about, as plain data with its own tests. Nothing here knows D-Bus or Incus.
//!
//! | module | holds |
//! |---|---|
//! | [`name`] | the name of a container |
//! | [`image`] | image references such as `images:debian/13` |
//! | [`options`] | the schema of a container's options, their values and the rules between them |
//! | [`settings`] | the configuration files: what they may say and which one wins |
//! | [`isolation`] | how far a container is kept apart from the host |
//! | [`exposure`] | what a container can see and do, in plain sentences |
//! | [`container`] | what is told about a container: status, mode, what it sees of the host |
//! | [`device`] | the kind of a USB device |
//! | [`ports`] | which ports of containers are on the host's localhost |

pub mod container;
pub mod device;
pub mod exposure;
pub mod image;
pub mod isolation;
pub mod name;
pub mod options;
pub mod ports;
pub mod settings;

/// The version of Kapsule, from the workspace.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
