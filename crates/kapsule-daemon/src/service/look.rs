// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Lists and information.

use incus::InstanceState;
use kapsule_core::container::{ContainerInfo, ContainerSummary, Mount};
use kapsule_core::exposure;
use kapsule_core::name::ContainerName;
use kapsule_core::options::Options;

use super::place::project_owner;
use super::{Service, incus_error, metadata, networks};
use crate::container_id::ContainerId;
use crate::error::Result;

impl Service {
    /// The users who have, or had, containers.
    pub(crate) async fn owners(&self) -> Result<Vec<u32>> {
        let projects = self.incus.projects().await.map_err(incus_error)?;
        let mut owners: Vec<u32> = projects
            .iter()
            .filter_map(|project| project_owner(&project.name))
            .collect();
        owners.sort_unstable();
        Ok(owners)
    }

    /// A user's containers, by name. One request, however many there are.
    pub(crate) async fn list(&self, owner: u32) -> Result<Vec<ContainerSummary>> {
        let instances = match self.project(owner).instances().await {
            Ok(instances) => instances,
            // No project: this user never made a container.
            Err(error) if error.is_not_found() => Vec::new(),
            Err(error) => return Err(incus_error(error)),
        };
        let mut list: Vec<_> = instances.iter().filter_map(finished).collect();
        list.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(list)
    }

    /// One container as lists show it.
    pub(crate) async fn summary(
        &self,
        owner: u32,
        name: &ContainerName,
    ) -> Result<ContainerSummary> {
        let instance = self.instance(&ContainerId::new(owner, name)).await?;
        Ok(summary(&instance, name))
    }

    /// Everything about one container.
    pub(crate) async fn info(&self, owner: u32, name: &ContainerName) -> Result<ContainerInfo> {
        let id = ContainerId::new(owner, name);
        let instance = self.instance(&id).await?;
        let state = match self.project(owner).state(name.as_str()).await {
            // Incus was about to look into it when it ended ("Invalid PID -1"): what is known of one
            // that does not run is all there is.
            Err(incus::Error::Api { status: 500, .. }) => InstanceState::default(),
            other => other.map_err(incus_error)?,
        };
        let running = instance.is_running();
        let positive = |value: i64| u64::try_from(value).ok().filter(|value| *value > 0);
        let options = metadata::options(&instance.config);
        Ok(ContainerInfo {
            summary: summary(&instance, name),
            owner,
            image_reference: metadata::image_reference(&instance.config),
            exposure: exposure::describe(&options, &folders(&instance)),
            mounts: mounts(&instance),
            addresses: self.addresses(owner, name, &options, &state).await,
            options: options.to_map(),
            processes: positive(state.processes).filter(|_| running),
            memory_bytes: positive(state.memory.usage).filter(|_| running),
            disk_bytes: state.disk.get("root").and_then(|disk| positive(disk.usage)),
            agent: self.agents.state(&id),
        })
    }

    /// A container's addresses. Where the host cannot look into its network namespace, those that
    /// the user's network gave out.
    async fn addresses(
        &self,
        owner: u32,
        name: &ContainerName,
        options: &Options,
        state: &InstanceState,
    ) -> Vec<String> {
        let Some(network) = networks::of(owner, options) else {
            // None, or the host's.
            return Vec::new();
        };
        let seen: Vec<_> = state
            .global_addresses()
            .map(|address| address.address.clone())
            .collect();
        if !seen.is_empty() || state.status != "Running" {
            return seen;
        }
        // Only information: without it the rest is still worth telling.
        let leases = self
            .project(owner)
            .network_leases(&network)
            .await
            .unwrap_or_default();
        leases
            .into_iter()
            .filter(|lease| lease.hostname == name.as_str())
            .map(|lease| lease.address)
            .collect()
    }
}

fn finished(instance: &incus::Instance) -> Option<ContainerSummary> {
    let ours = metadata::is_ours(&instance.config) && !metadata::is_unfinished(&instance.config);
    // Somebody with access to Incus may have put another kind of thing into the project.
    let name = instance.name.parse().ok().filter(|_| ours)?;
    Some(summary(instance, &name))
}

fn summary(instance: &incus::Instance, name: &ContainerName) -> ContainerSummary {
    let status = if instance.status.is_empty() {
        "Unknown"
    } else {
        &instance.status
    };
    let options = metadata::options(&instance.config);
    ContainerSummary {
        name: name.clone(),
        status: status.to_owned(),
        image: metadata::image_description(&instance.config),
        created: instance
            .created_at
            .map(|time| time.to_string())
            .unwrap_or_default(),
        mode: metadata::mode(&instance.config),
        isolation: metadata::isolation(&instance.config),
        ports: options.ports,
        devices: options.devices,
    }
}

/// The host folders that the user asked for; not those that Kapsule itself needs.
fn mounts(instance: &incus::Instance) -> Vec<Mount> {
    devices(instance, |name| {
        name == "hostfs"
            || ["kapsule-home-", "kapsule-mount-", "kapsule-hostrun-"]
                .iter()
                .any(|start| name.starts_with(start))
    })
}

/// Those among them that the user named.
fn folders(instance: &incus::Instance) -> Vec<Mount> {
    devices(instance, |name| name.starts_with("kapsule-mount-"))
}

fn devices(instance: &incus::Instance, wanted: impl Fn(&str) -> bool) -> Vec<Mount> {
    instance
        .devices
        .iter()
        .filter(|(name, _)| wanted(name))
        .filter_map(|(_, device)| {
            Some(Mount {
                source: device.get("source")?.clone(),
                path: device.get("path")?.clone(),
                readonly: device.get("readonly").is_some_and(|value| value == "true"),
            })
        })
        .collect()
}
