// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What the agent is told about the container it boots: a JSON file written by the daemon.

use serde::{Deserialize, Serialize};

use crate::folder::FolderId;

/// The newest version of [`GuestSpec`] that this code writes and understands.
pub const SPEC_VERSION: u32 = 1;

/// Who owns the container and how it is to be set up. Applied by the agent at every boot, before
/// the guest's own init, and idempotent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestSpec {
    /// [`SPEC_VERSION`] of the writer.
    pub version: u32,
    /// Name of the container, which is also its host name.
    pub container: String,
    /// The user that the container belongs to.
    pub owner: Owner,
    /// Programs use the guest's own user manager and session bus. May change at any time.
    #[serde(default)]
    pub session_mode: bool,
    /// They see that bus and the host's as one. May change at any time.
    #[serde(default)]
    pub dbus_mux: bool,
    /// The host's runtime directory of the owner as seen inside, if it is mounted.
    #[serde(default)]
    pub host_runtime_dir: Option<String>,
    /// What of the owner's session on the host programs are given. May change at any time.
    #[serde(default)]
    pub session: SessionShares,
    /// Folders of the host that the owner chose, or could exchange for others. The container does not
    /// boot unless each is what it is to be.
    #[serde(default)]
    pub shares: Vec<Share>,
    /// The level of isolation, by the name that the option has; empty for the standard one.
    #[serde(default)]
    pub isolation: String,
    /// The container has the host's network, which is the host's to set up.
    #[serde(default)]
    pub host_network: bool,
    /// The owner's numbers on the host, where they are others than inside. For the daemon: what
    /// it knows about who connects to it, it has from here, and no container can write here.
    #[serde(default)]
    pub host_ids: Option<HostIds>,
}

/// What of the owner's session on the host a container is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionShares {
    /// Wayland and X11.
    #[serde(default)]
    pub display: bool,
    /// `PipeWire` and `PulseAudio`.
    #[serde(default)]
    pub sound: bool,
    /// The session bus.
    #[serde(default)]
    pub bus: bool,
    /// ssh-agent, gpg-agent and keyrings.
    #[serde(default)]
    pub agents: bool,
    /// Fonts, icons, cursors, colour schemes.
    #[serde(default)]
    pub look: bool,
}

/// Numbers of the owner on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostIds {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
}

/// A folder of the host in the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Where it is mounted inside, absolute.
    pub path: String,
    /// Which one it is.
    pub folder: FolderId,
}

/// The owner as the guest's account files shall have them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// User id inside; the same number on the host unless [`GuestSpec::host_ids`] says another.
    pub uid: u32,
    /// Primary group id inside; as with the user id.
    pub gid: u32,
    /// Login name.
    pub name: String,
    /// Name of the primary group on the host.
    pub group: String,
    /// Real name or other comment (GECOS); may be empty.
    #[serde(default)]
    pub gecos: String,
    /// Home directory inside the container, absolute.
    pub home: String,
    /// Whether the home is mounted from the host. If not, the guest makes one from `/etc/skel`.
    pub home_mounted: bool,
    /// Login shell on the host, absolute; used inside when the guest has it (by path or by name).
    pub shell: String,
}
