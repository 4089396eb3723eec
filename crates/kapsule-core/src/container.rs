// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What is told about a container, to every client alike.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::device::UsbId;
use crate::exposure::Fact;
use crate::isolation::Isolation;
use crate::name::ContainerName;
use crate::options::OptionValue;

/// How a container takes part in the user's session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// Uses the host's session bus.
    #[default]
    Default,
    /// Has a user manager and session bus of its own.
    Session,
    /// As `Session`, and reaches the host's services through a multiplexer.
    DbusMux,
}

impl Mode {
    /// The name on D-Bus and in lists.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "Default",
            Self::Session => "Session",
            Self::DbusMux => "DbusMux",
        }
    }
}

/// A container as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerSummary {
    /// Its name, unique among its owner's.
    pub name: ContainerName,
    /// Incus' status text: `Running`, `Stopped`, `Frozen`, `Error`, …
    pub status: String,
    /// What it was made from, in words: the image's description or operating system.
    pub image: String,
    /// When it was made, ISO 8601 with offset; empty when Incus does not tell.
    pub created: String,
    /// How it takes part in the user's session.
    pub mode: Mode,
    /// How far it is kept apart from the host.
    #[serde(default)]
    pub isolation: Isolation,
    /// What listens inside is to be on the host's localhost.
    #[serde(default)]
    pub ports: bool,
    /// Kinds of USB device that it may use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<UsbId>,
}

impl ContainerSummary {
    /// Whether it runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.status == "Running"
    }
}

/// A container in a list of all users'.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnedContainer {
    /// What lists show.
    #[serde(flatten)]
    pub summary: ContainerSummary,
    /// User id of the owner.
    pub owner: u32,
    /// Login name of the owner; absent when there is no such account any more.
    pub owner_name: Option<String>,
}

/// All that is told about one container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContainerInfo {
    /// What lists show.
    #[serde(flatten)]
    pub summary: ContainerSummary,
    /// User id of the owner.
    pub owner: u32,
    /// The image reference that it was created from, such as `local:debian`; empty if unknown.
    pub image_reference: String,
    /// The values of its options, by key of the schema.
    pub options: BTreeMap<String, OptionValue>,
    /// Host folders that are visible inside.
    pub mounts: Vec<Mount>,
    /// What it can see and do, in plain sentences.
    #[serde(default)]
    pub exposure: Vec<Fact>,
    /// Addresses other than loopback and link-local, while it runs.
    pub addresses: Vec<String>,
    /// Processes inside, while it runs.
    pub processes: Option<u64>,
    /// Memory in use, in bytes, while it runs and where the host can tell.
    pub memory_bytes: Option<u64>,
    /// Disk space in use, in bytes, where the storage can tell.
    pub disk_bytes: Option<u64>,
    /// How sessions are started inside.
    pub agent: AgentState,
}

/// A host folder that is visible inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Path on the host.
    pub source: String,
    /// Path inside.
    pub path: String,
    /// Whether it can only be read.
    pub readonly: bool,
}

/// Whether a session can be opened at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgentState {
    /// No agent has registered.
    Absent,
    /// Registered; sessions have what the guest's PAM gives.
    UserManager,
    /// Registered; sessions are set up by the agent alone.
    Plain,
}
