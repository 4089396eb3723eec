// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Picking up after an earlier daemon: listening for the agents of the containers that there are,
//! and removing what was left half made.

use std::collections::HashSet;
use std::fs;
use std::time::Duration;

use kapsule_core::isolation::Isolation;
use tracing::{info, warn};

use super::place::project_owner;
use super::{Service, metadata, spec};
use crate::container_id::ContainerId;

/// Pauses before looking again: Incus may still be starting, or busy with an instance that the
/// earlier daemon had just asked for.
const PAUSES: [u64; 7] = [0, 1, 2, 4, 8, 15, 30];
/// How often to look at least: a request that the earlier daemon had just sent may only become an
/// instance after the first look.
const LOOKS: usize = 3;

impl Service {
    /// Brings everything in order; ends when it is, or when Incus cannot be reached for a minute
    /// (each container's turn then comes when it is used).
    pub(crate) async fn recover(&self) {
        // The agents are listened for at once: that needs no Incus, and they are waiting.
        for id in self.known_folders() {
            self.listen_if_possible(&id);
        }
        for (look, pause) in PAUSES.into_iter().enumerate() {
            tokio::time::sleep(Duration::from_secs(pause)).await;
            match self.recover_once().await {
                Ok(true) if look + 1 >= LOOKS => return,
                Ok(_) => {}
                Err(error) => warn!(%error, "cannot look after the containers yet"),
            }
        }
    }

    /// True when nothing unfinished is left.
    async fn recover_once(&self) -> incus::Result<bool> {
        let mut known = HashSet::new();
        let mut clean = true;
        for project in self.incus.projects().await? {
            let Some(owner) = project_owner(&project.name) else {
                continue;
            };
            for instance in self.project(owner).instances().await? {
                let Ok(name) = instance.name.parse() else {
                    continue;
                };
                let id = ContainerId::new(owner, &name);
                if metadata::is_unfinished(&instance.config) {
                    clean &= self.remove_unfinished(&id).await;
                } else if metadata::is_ours(&instance.config) {
                    self.listen_if_possible(&id);
                    if metadata::isolation(&instance.config) == Isolation::Privileged {
                        spec::write_name_servers(&self.folders.container(&id));
                    }
                }
                known.insert(id);
            }
        }
        for id in self
            .known_folders()
            .into_iter()
            .filter(|id| !known.contains(id))
        {
            // Not when one of that name is being made right now.
            if let Some(_alone) = self.locks.try_lock(&id) {
                self.agents.forget(&id);
                spec::remove(&self.folders.container(&id));
            }
        }
        Ok(clean)
    }

    fn listen_if_possible(&self, id: &ContainerId) {
        if let Err(error) = self.listen(id) {
            warn!(container = %id, %error, "sessions are not possible until the container is started anew");
        }
    }

    /// False when it has to be tried again.
    async fn remove_unfinished(&self, id: &ContainerId) -> bool {
        // Locked: this daemon is making it.
        let Some(_alone) = self.locks.try_lock(id) else {
            return true;
        };
        match self.remove_instance(id).await {
            Ok(()) => {
                info!(container = %id, "removed a container that was left half made");
                self.agents.forget(id);
                spec::remove(&self.folders.container(id));
                true
            }
            Err(error) => {
                warn!(container = %id, %error, "cannot remove a container that was left half made");
                false
            }
        }
    }

    /// The containers that have a folder.
    fn known_folders(&self) -> Vec<ContainerId> {
        let names = |folder: &std::path::Path| -> Vec<String> {
            fs::read_dir(folder)
                .map(|entries| {
                    entries
                        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                        .collect()
                })
                .unwrap_or_default()
        };
        let root = self.folders.containers();
        let mut found = Vec::new();
        for owner in names(&root) {
            let Ok(uid) = owner.parse::<u32>() else {
                continue;
            };
            for name in names(&root.join(&owner)) {
                found.extend(name.parse().ok().map(|name| ContainerId::new(uid, &name)));
            }
        }
        found
    }
}
