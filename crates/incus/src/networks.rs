// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! Networks.

use hyper::Method;
use serde::{Deserialize, Serialize};

use crate::path::ApiPath;
use crate::state::{InstanceAddress, NetworkCounters};
use crate::transport::Call;
use crate::{Client, Config, Project, Result, Versioned};

/// A network as Incus describes it (`Network` in `rest-api.yaml`). Interfaces Incus does not manage are listed too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Network {
    /// The name, which is also that of the interface.
    pub name: String,
    /// A text for people.
    pub description: String,
    /// `bridge`, `physical`, `macvlan`, `loopback` …
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether Incus made it and looks after it.
    pub managed: bool,
    /// `Created`, `Pending`, `Errored`, `Unavailable` or `Unknown`; empty when not managed.
    pub status: String,
    /// Keys such as `ipv4.address` and `ipv4.nat`.
    pub config: Config,
    /// API paths of what uses it.
    pub used_by: Vec<String>,
    /// The project it belongs to.
    pub project: String,
}

/// A network to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NetworkPost {
    /// The name, at most 15 bytes for a bridge.
    pub name: String,
    /// A text for people.
    pub description: String,
    /// `bridge`, `physical`, `macvlan` …; empty for a bridge.
    #[serde(rename = "type")]
    pub kind: String,
    /// Keys such as `ipv4.address` and `ipv4.nat`.
    pub config: Config,
}

/// What can be changed in a network, whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NetworkPut {
    /// A text for people.
    pub description: String,
    /// Keys such as `ipv4.address` and `ipv4.nat`; keys that are left out are unset.
    pub config: Config,
}

/// A network interface of the host at this moment (`NetworkState` in `rest-api.yaml`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkState {
    /// Its addresses.
    pub addresses: Vec<InstanceAddress>,
    /// What passed through it.
    pub counters: NetworkCounters,
    /// The hardware address.
    pub hwaddr: String,
    /// The largest packet in bytes.
    pub mtu: i64,
    /// `up` or `down`.
    pub state: String,
    /// `broadcast`, `loopback` …
    #[serde(rename = "type")]
    pub kind: String,
}

/// An address given to an instance of a network (`NetworkLease` in `rest-api.yaml`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkLease {
    /// The name of the instance, or what it called itself when it asked for the address.
    pub hostname: String,
    /// The hardware address.
    pub hwaddr: String,
    /// The address.
    pub address: String,
    /// `static`, `dynamic` or `gateway`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The cluster member that gave it.
    pub location: String,
}

impl Client {
    /// All networks, managed or not.
    ///
    /// # Errors
    /// When Incus cannot be reached.
    pub async fn networks(&self) -> Result<Vec<Network>> {
        let path = ApiPath::root_with(&["networks"]).query("recursion", "1");
        Ok(self.transport.get(&path).await?.value)
    }

    /// One network.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) when there is none of that name.
    pub async fn network(&self, name: &str) -> Result<Versioned<Network>> {
        self.transport
            .get(&ApiPath::new(&["networks", name])?)
            .await
    }

    /// Makes a network.
    ///
    /// # Errors
    /// [`is_conflict`](crate::Error::is_conflict) when there is one of that name.
    pub async fn create_network(&self, post: &NetworkPost) -> Result<()> {
        self.done(Call::new(Method::POST, &ApiPath::root_with(&["networks"])).json(post)?)
            .await
    }

    /// Changes a network. With an ETag, only if it is still as it was read.
    ///
    /// # Errors
    /// When it does not exist, was changed meanwhile, or a key is refused.
    pub async fn update_network(
        &self,
        name: &str,
        put: &NetworkPut,
        etag: Option<&str>,
    ) -> Result<()> {
        let path = ApiPath::new(&["networks", name])?;
        self.done(Call::new(Method::PUT, &path).json(put)?.if_match(etag))
            .await
    }

    /// Deletes a network, which must not be in use.
    ///
    /// # Errors
    /// When it does not exist or is in use.
    pub async fn delete_network(&self, name: &str) -> Result<()> {
        self.done(Call::new(
            Method::DELETE,
            &ApiPath::new(&["networks", name])?,
        ))
        .await
    }

    /// The state of a network's interface.
    ///
    /// # Errors
    /// When the network or its interface does not exist.
    pub async fn network_state(&self, name: &str) -> Result<NetworkState> {
        Ok(self
            .transport
            .get(&ApiPath::new(&["networks", name, "state"])?)
            .await?
            .value)
    }
}

impl Project {
    /// The addresses that instances of this project have on a network: those set for them, and those its DHCP server
    /// gave out. They are known also where the host cannot look into network namespaces, and
    /// [`InstanceState`](crate::InstanceState) has no interfaces. In the network's own project, its gateway is listed.
    ///
    /// # Errors
    /// When the network does not exist, or is not one that Incus manages.
    pub async fn network_leases(&self, network: &str) -> Result<Vec<NetworkLease>> {
        let path = self.path(&["networks", network, "leases"])?;
        Ok(self.client.transport.get(&path).await?.value)
    }
}
