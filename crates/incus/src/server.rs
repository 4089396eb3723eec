// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! The server itself: version, abilities, storage drivers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Config;

/// The server (`Server` in `rest-api.yaml`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Server {
    /// Abilities beyond the first version of the API (`doc/api-extensions.md`).
    pub api_extensions: Vec<String>,
    /// `stable`, `development` or `deprecated`.
    pub api_status: String,
    /// The version of the API, `1.0`.
    pub api_version: String,
    /// `trusted` when this client may do something.
    pub auth: String,
    /// How this client was recognised; `unix` on the unix socket.
    pub auth_user_method: String,
    /// Who this client is.
    pub auth_user_name: String,
    /// Whether the server serves images to anyone.
    pub public: bool,
    /// The server's configuration keys.
    pub config: Config,
    /// What it runs on and with.
    pub environment: ServerEnvironment,
}

impl Server {
    /// Whether the server has an API extension.
    pub fn has_extension(&self, name: &str) -> bool {
        self.api_extensions
            .iter()
            .any(|extension| extension == name)
    }
}

/// What the server runs on and with (`ServerEnvironment` in `rest-api.yaml`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerEnvironment {
    /// Architectures it can run, the native one first.
    pub architectures: Vec<String>,
    /// Instance drivers, such as `lxc | qemu`.
    pub driver: String,
    /// Their versions, such as `6.0.4 | 9.2.0`.
    pub driver_version: String,
    /// `nftables` or `xtables`.
    pub firewall: String,
    /// `Linux`.
    pub kernel: String,
    /// The kernel's architecture.
    pub kernel_architecture: String,
    /// Kernel features by name, `true` or `false`.
    pub kernel_features: BTreeMap<String, String>,
    /// The kernel's version.
    pub kernel_version: String,
    /// liblxc features by name, `true` or `false`.
    pub lxc_features: BTreeMap<String, String>,
    /// The host's system, such as `Debian GNU/Linux`.
    pub os_name: String,
    /// The version of that.
    pub os_version: String,
    /// The project this answer is for.
    pub project: String,
    /// `incus`.
    pub server: String,
    /// The server's name, normally the host's.
    pub server_name: String,
    /// The process id of the server.
    pub server_pid: i64,
    /// The server's version, such as `7.0.2`.
    pub server_version: String,
    /// Storage drivers in use, such as `btrfs | dir`.
    pub storage: String,
    /// Their versions.
    pub storage_version: String,
    /// Storage drivers that work on this host.
    pub storage_supported_drivers: Vec<StorageDriver>,
}

/// A storage driver that works on this host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct StorageDriver {
    /// `dir`, `btrfs` …
    pub name: String,
    /// The version of its tools.
    pub version: String,
    /// Whether its pools are on other machines.
    pub remote: bool,
}
