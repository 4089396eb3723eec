// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! What an instance is doing at this moment.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::StatusCode;
use crate::types::time;

/// The state of an instance (`InstanceState` in `rest-api.yaml`).
///
/// Numbers are -1 or 0 where Incus or the kernel cannot tell, for example without a cgroup controller.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InstanceState {
    /// The status in words: `Running`, `Stopped`, `Frozen`, `Error`.
    pub status: String,
    /// The status.
    pub status_code: StatusCode,
    /// The host's process id of the instance's first process; 0 or -1 when stopped.
    pub pid: i64,
    /// How many processes it has.
    pub processes: i64,
    /// When it was started.
    #[serde(deserialize_with = "time")]
    pub started_at: Option<Timestamp>,
    /// Processor time.
    pub cpu: InstanceCpu,
    /// Memory.
    pub memory: InstanceMemory,
    /// Disk use by device name.
    pub disk: BTreeMap<String, InstanceDisk>,
    /// Network interfaces by their name inside.
    pub network: BTreeMap<String, InstanceNetwork>,
}

/// Processor time of an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InstanceCpu {
    /// Nanoseconds used since the start.
    pub usage: i64,
    /// Nanoseconds available each second.
    pub allocated_time: i64,
}

/// Memory of an instance, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InstanceMemory {
    /// In use.
    pub usage: i64,
    /// The most that was in use.
    pub usage_peak: i64,
    /// Swap in use.
    pub swap_usage: i64,
    /// The most swap that was in use.
    pub swap_usage_peak: i64,
    /// The limit, or what the host has.
    pub total: i64,
}

/// Disk use of one device, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InstanceDisk {
    /// In use; -1 when the storage driver does not count.
    pub usage: i64,
    /// The quota, 0 for none.
    pub total: i64,
}

/// A network interface of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InstanceNetwork {
    /// Its addresses.
    pub addresses: Vec<InstanceAddress>,
    /// What passed through it.
    pub counters: NetworkCounters,
    /// The hardware address.
    pub hwaddr: String,
    /// The interface of the host that it is connected to.
    pub host_name: String,
    /// The largest packet in bytes.
    pub mtu: i64,
    /// `up` or `down`.
    pub state: String,
    /// `broadcast`, `loopback`, `point-to-point`.
    #[serde(rename = "type")]
    pub kind: String,
}

/// An address of an interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InstanceAddress {
    /// `inet` or `inet6`.
    pub family: String,
    /// The address.
    pub address: String,
    /// The length of the prefix, as text.
    pub netmask: String,
    /// `local`, `link` or `global`.
    pub scope: String,
}

/// What passed through an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkCounters {
    /// Bytes in.
    pub bytes_received: i64,
    /// Bytes out.
    pub bytes_sent: i64,
    /// Packets in.
    pub packets_received: i64,
    /// Packets out.
    pub packets_sent: i64,
}

impl InstanceState {
    /// The addresses others can reach the instance by, without those of loopback and of links.
    pub fn global_addresses(&self) -> impl Iterator<Item = &InstanceAddress> {
        self.network
            .values()
            .flat_map(|network| &network.addresses)
            .filter(|address| address.scope == "global")
    }
}
