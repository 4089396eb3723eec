// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! What an instance is doing at this moment, its console, and starting and stopping it.

use std::collections::BTreeMap;

use hyper::Method;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::transport::{Call, JSON_LIMIT};
use crate::types::time;
use crate::{Operation, Project, Result, StatusCode};

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
    /// Network interfaces by their name inside. Empty where the host cannot look into network namespaces
    /// (`netnsid_getifaddrs` in the server's kernel features); see
    /// [`Project::network_leases`].
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

/// What to do with an instance's run state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StateAction {
    /// Start it.
    Start,
    /// Stop it.
    Stop,
    /// Stop and start it.
    Restart,
    /// Halt all its processes.
    Freeze,
    /// Let them go on.
    Unfreeze,
}

/// A change of an instance's run state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct StateChange {
    /// What to do.
    pub action: StateAction,
    /// Seconds a clean shutdown may take before the operation fails; -1 for as long as it takes.
    pub timeout: i64,
    /// Kill instead of shutting down.
    pub force: bool,
    /// Save or restore the processes' memory.
    pub stateful: bool,
}

impl StateChange {
    /// The action with no limit of time, not forced.
    pub fn new(action: StateAction) -> StateChange {
        StateChange {
            action,
            timeout: -1,
            force: false,
            stateful: false,
        }
    }

    /// Start.
    pub fn start() -> StateChange {
        StateChange::new(StateAction::Start)
    }

    /// A clean shutdown that fails after `timeout` seconds.
    pub fn stop(timeout: i64) -> StateChange {
        StateChange {
            timeout,
            ..StateChange::new(StateAction::Stop)
        }
    }

    /// Kill.
    pub fn kill() -> StateChange {
        StateChange {
            force: true,
            ..StateChange::new(StateAction::Stop)
        }
    }

    /// A clean restart that fails after `timeout` seconds.
    pub fn restart(timeout: i64) -> StateChange {
        StateChange {
            timeout,
            ..StateChange::new(StateAction::Restart)
        }
    }
}

impl Project {
    /// What an instance is doing.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) when there is none of that name.
    pub async fn state(&self, name: &str) -> Result<InstanceState> {
        Ok(self
            .client
            .transport
            .get(&self.path(&["instances", name, "state"])?)
            .await?
            .value)
    }

    /// Starts, stops, restarts, freezes or unfreezes an instance.
    ///
    /// # Errors
    /// When it does not exist. That it is in that state already shows here or in the operation.
    pub async fn change_state(&self, name: &str, change: &StateChange) -> Result<Operation> {
        let call = Call::new(Method::PUT, &self.path(&["instances", name, "state"])?);
        self.client.start(call.json(change)?).await
    }

    /// What an instance wrote to its console since it was started. Bytes that are no UTF-8 are replaced.
    ///
    /// # Errors
    /// When the instance, or its log, does not exist.
    pub async fn console_log(&self, name: &str) -> Result<String> {
        let path = self
            .path(&["instances", name, "console"])?
            .query("type", "log");
        let mut reply = self
            .client
            .transport
            .send(Call::new(Method::GET, &path))
            .await?;
        if !reply.status.is_success() {
            reply.envelope().await?;
        }
        Ok(String::from_utf8_lossy(&reply.bytes(JSON_LIMIT).await?).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn state_changes() {
        assert_eq!(
            serde_json::to_value(StateChange::kill()).unwrap(),
            json!({"action": "stop", "timeout": -1, "force": true, "stateful": false})
        );
    }
}
