// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Ways into a container.

use std::os::fd::OwnedFd;
use std::time::Duration;

use kapsule_core::name::ContainerName;

use super::{ContainerId, Service, metadata, spec};
use crate::error::{Error, ErrorKind, Result};
use crate::ops::Reporter;
use crate::users::User;

/// How long a session waits for the agent of a container that runs: it may just be booting.
const AGENT_LIMIT: Duration = Duration::from_secs(15);

impl Service {
    /// Opens a session and returns the client's end of its socket. When the container's agent is
    /// there, which is the rule, Incus is not asked anything.
    ///
    /// # Errors
    /// `NotFound`, `NotRunning` and `AgentUnavailable`.
    pub(crate) async fn open_session(&self, owner: u32, name: &ContainerName) -> Result<OwnedFd> {
        let id = ContainerId::new(owner, name);
        if let Some(session) = self.agents.open_session(&id) {
            return session;
        }
        let instance = self.instance(&id).await?;
        if !instance.is_running() {
            return Err(Error::new(
                ErrorKind::NotRunning,
                format!("container '{name}' is not running. Start it with 'kapsule start {name}'"),
            ));
        }
        self.agents.listen(&id, &self.folders.container(&id))?;
        self.agents.wait(&id, AGENT_LIMIT).await;
        self.agents.open_session(&id).unwrap_or_else(|| {
            Err(Error::new(
                ErrorKind::AgentUnavailable,
                format!(
                    "container '{name}' runs, but nothing inside answers. Try 'kapsule restart {name}'; \
                     an administrator can look inside with 'incus exec --project {} {name} -- sh'",
                    id.project()
                ),
            ))
        })
    }

    /// Writes down once more who the owner is; the container takes it over at its next start.
    pub(crate) async fn setup_user(
        &self,
        owner: &User,
        name: &ContainerName,
        reporter: &Reporter,
    ) -> Result<()> {
        let id = ContainerId::new(owner.uid, name);
        let _alone = self.locks.lock(&id).await;
        let instance = self.instance(&id).await?;
        let options = metadata::options(&instance.config);
        spec::write(
            &self.folders.container(&id),
            &spec::new(&id, owner, &options),
        )?;
        reporter.success(format!("{} is set up in container '{name}'", owner.name));
        Ok(())
    }

    /// Whether the owner is set up inside. False for a container that does not exist.
    pub(crate) async fn is_user_setup(&self, owner: u32, name: &ContainerName) -> Result<bool> {
        match self.instance(&ContainerId::new(owner, name)).await {
            Ok(instance) => Ok(metadata::is_mapped(&instance.config, owner)),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}
