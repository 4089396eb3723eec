// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Names of containers on the host: systemd-resolved is told to ask a bridge's dnsmasq about the domain
//! of that bridge, and about nothing else.
//!
//! Resolved keeps it for an interface, and forgets it when it starts anew or the interface is another.
//! So it is told whenever a container has come up and one of that has changed. A host without resolved
//! has no such names.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::StreamExt as _;
use tokio::sync::Mutex;
use zbus::Connection;
use zbus::fdo::DBusProxy;

use crate::service::{NamedBridge, Service, interface_index};

const RESOLVED: &str = "org.freedesktop.resolve1";
const PATH: &str = "/org/freedesktop/resolve1";
const INTERFACE: &str = "org.freedesktop.resolve1.Manager";
/// `AF_INET`
const INET: i32 = 2;

/// Tells systemd-resolved about bridges.
#[derive(Debug)]
pub(super) struct Resolver {
    bus: Connection,
    service: Arc<Service>,
    /// What it was told, by interface: its number, and the bridge.
    told: Mutex<BTreeMap<String, (i32, NamedBridge)>>,
}

impl Resolver {
    pub(super) fn new(bus: &Connection, service: &Arc<Service>) -> Self {
        Self {
            bus: bus.clone(),
            service: Arc::clone(service),
            told: Mutex::default(),
        }
    }

    /// Tells a resolved that starts anew, for ever.
    pub(super) async fn follow(&self) -> zbus::Result<()> {
        let dbus = DBusProxy::new(&self.bus).await?;
        let mut owners = dbus
            .receive_name_owner_changed_with_args(&[(0, RESOLVED)])
            .await?;
        self.tell().await;
        while owners.next().await.is_some() {
            self.told.lock().await.clear();
            self.tell().await;
        }
        Ok(())
    }

    /// Tells it what it does not know yet.
    pub(super) async fn tell(&self) {
        let mut told = self.told.lock().await;
        if told
            .iter()
            .any(|(name, (index, _))| interface_index(name) != Some(*index))
        {
            told.clear();
        }
        let bridges = match self.service.named_bridges().await {
            Ok(bridges) => bridges,
            Err(error) => return tracing::debug!(%error, "names of containers are not announced"),
        };
        for bridge in bridges {
            let Some(index) = interface_index(&bridge.interface) else {
                continue;
            };
            let new = (index, bridge);
            if told.get(&new.1.interface) == Some(&new) {
                continue;
            }
            match self.tell_about(index, &new.1).await {
                Ok(true) => {
                    tracing::info!(
                        domain = new.1.domain,
                        "systemd-resolved knows the names of containers"
                    );
                    told.insert(new.1.interface.clone(), new);
                }
                Ok(false) => return,
                Err(error) => {
                    tracing::debug!(%error, domain = new.1.domain, "systemd-resolved was not told");
                }
            }
        }
    }

    /// False where there is no resolved.
    async fn tell_about(&self, index: i32, bridge: &NamedBridge) -> zbus::Result<bool> {
        let dbus = DBusProxy::new(&self.bus).await?;
        // A call would start it where an administrator has stopped it.
        if !dbus.name_has_owner(RESOLVED.try_into()?).await? {
            return Ok(false);
        }
        let servers = vec![(INET, bridge.address.octets().to_vec())];
        // For routing only: it is no domain to search when somebody says `dev`.
        let domains = vec![(bridge.domain.as_str(), true)];
        self.call("SetLinkDNS", &(index, servers)).await?;
        self.call("SetLinkDomains", &(index, domains)).await?;
        self.call("SetLinkDefaultRoute", &(index, false)).await?;
        Ok(true)
    }

    async fn call<B: serde::Serialize + zbus::wire::DynamicType>(
        &self,
        method: &str,
        body: &B,
    ) -> zbus::Result<()> {
        self.bus
            .call_method(Some(RESOLVED), PATH, Some(INTERFACE), method, body)
            .await
            .map(drop)
    }
}
