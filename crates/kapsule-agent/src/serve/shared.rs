// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What the sessions of an agent have in common.

use rustix::process::Rlimit;

use super::cgroup::Cgroups;
use super::environment::Environment;
use super::poller::Poller;

/// What all sessions share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) poller: Poller,
    pub(crate) cgroups: Cgroups,
    pub(crate) environment: Environment,
    pub(crate) uid: u32,
    /// The limit that the agent was started with; its sessions get it back.
    pub(crate) open_files: Rlimit,
}
