// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Ways into a container.

use std::os::fd::OwnedFd;
use std::time::Duration;

use incus::{ExecLimits, ExecPost};
use kapsule_core::isolation::Isolation;
use kapsule_core::name::ContainerName;
use tracing::info;

use super::place::project_name;
use super::{Service, incus_error, metadata, mounts, numbers, spec};
use crate::agents::SessionUser;
use crate::container_id::ContainerId;
use crate::error::{Error, ErrorKind, Result};
use crate::ops::Reporter;
use crate::users::User;

/// How long a session waits for the owner's agent of a container that runs: it may just be booting.
const BOOTING: Duration = Duration::from_secs(10);
/// How long to wait for an agent where Incus cannot be asked.
const WITHOUT_INCUS: Duration = Duration::from_secs(3);
/// How long an agent may take that was just started through Incus.
const STARTED: Duration = Duration::from_secs(10);
/// What starting an agent through Incus may print and take.
const START_LIMITS: ExecLimits = ExecLimits {
    stdout: 4096,
    stderr: 4096,
    time: Some(Duration::from_secs(20)),
};

impl Service {
    /// How far a container is kept apart, as far as it is known without asking Incus: of each that a
    /// session can be opened in. Of another one the strictest is assumed.
    pub(crate) fn known_isolation(&self, owner: u32, name: &ContainerName) -> Isolation {
        self.agents
            .isolation(&ContainerId::new(owner, name))
            .unwrap_or(Isolation::Sealed)
    }

    /// Opens a session and returns the client's end of its socket. When the agent is there, which
    /// is the rule, Incus is not asked anything.
    ///
    /// # Errors
    /// `NotFound`, `NotRunning` and `AgentUnavailable`.
    pub(crate) async fn open_session(
        &self,
        owner: u32,
        name: &ContainerName,
        user: SessionUser,
    ) -> Result<OwnedFd> {
        let id = ContainerId::new(owner, name);
        if let Some(session) = self.agents.open_session(&id, user) {
            return session;
        }
        let instance = match self.instance(&id).await {
            Ok(instance) => instance,
            // A daemon that has just started hears of its agents within a moment, and they can do
            // without Incus.
            Err(error) if error.kind == ErrorKind::IncusUnavailable => {
                self.agents.wait(&id, user, WITHOUT_INCUS).await;
                return self.agents.open_session(&id, user).unwrap_or(Err(error));
            }
            Err(error) => return Err(error),
        };
        if !instance.is_running() {
            return Err(Error::new(
                ErrorKind::NotRunning,
                format!("container '{name}' is not running. Start it with 'kapsule start {name}'"),
            ));
        }
        self.listen(&id)?;
        // The owner's agent comes by itself. Root's is only started when somebody wants it, and
        // the owner's again when something inside has taken it away.
        let there = user == SessionUser::Owner && self.agents.wait(&id, user, BOOTING).await;
        if !there {
            self.start_agent(&id, &instance, user).await?;
            self.agents.wait(&id, user, STARTED).await;
        }
        self.agents
            .open_session(&id, user)
            .unwrap_or_else(|| Err(no_agent(&id, "nothing inside answers")))
    }

    /// Starts an agent inside through Incus: the agent that is mounted from the host, with the
    /// container's limits and the user's rights.
    async fn start_agent(
        &self,
        id: &ContainerId,
        instance: &incus::Instance,
        user: SessionUser,
    ) -> Result<()> {
        info!(container = %id, ?user, "starting an agent through Incus");
        let mut post = ExecPost::new([kapsule_proto::paths::AGENT, "serve", "--detach"]);
        post.cwd = Some("/".to_owned());
        match user {
            SessionUser::Owner => {
                let spec = spec::read(&self.folders.container(id));
                post.user = Some(spec.as_ref().map_or(id.owner, |spec| spec.owner.uid));
                post.group = spec.map(|spec| spec.owner.gid);
            }
            SessionUser::Root => {
                let uid = numbers::root(&instance.config)
                    .ok_or_else(|| no_agent(id, "Incus does not tell who root is inside"))?;
                self.agents.expect_root(id, uid);
            }
        }
        let output = self
            .project(id.owner)
            .exec_collect(id.name.as_str(), &post, "", START_LIMITS)
            .await
            .map_err(|error| no_agent(id, &incus_error(error).message))?;
        match output.status {
            0 => Ok(()),
            status => Err(no_agent(
                id,
                &format!("the agent inside cannot be started (status {status})"),
            )),
        }
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
        self.introduce_again(&id, owner, &instance).await?;
        reporter.success(format!("{} is set up in container '{name}'", owner.name));
        Ok(())
    }

    /// Writes the spec of a container that there is already.
    pub(super) async fn introduce_again(
        &self,
        id: &ContainerId,
        owner: &User,
        instance: &incus::Instance,
    ) -> Result<()> {
        let options = metadata::options(&instance.config);
        let shares = mounts::shares_again(owner, instance).await?;
        self.introduce(id, owner, &options, shares, &instance.config)
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

fn no_agent(id: &ContainerId, why: &str) -> Error {
    let name = &id.name;
    Error::new(
        ErrorKind::AgentUnavailable,
        format!(
            "container '{name}' runs, but no session can be opened: {why}. \
             Try 'kapsule restart {name}'; an administrator can look inside with \
             'incus exec --project {} {name} -- sh'",
            project_name(id.owner)
        ),
    )
}
