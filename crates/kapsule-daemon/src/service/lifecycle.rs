// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Starting, stopping and deleting.

use std::time::{Duration, SystemTime};

use incus::{Instance, StateChange, Versioned};
use kapsule_core::container::AgentState;
use kapsule_core::isolation::Isolation;
use kapsule_core::name::ContainerName;
use kapsule_core::options::Options;

use super::follow::follow;
use super::place::project_name;
use super::{Changed, Service, devices, incus_error, metadata, spec};
use crate::agents::SessionUser;
use crate::container_id::ContainerId;
use crate::error::{Error, ErrorKind, Result};
use crate::ops::Reporter;
use crate::users::User;

/// How long the guest's init may take to stop, in seconds: systemd gives services 90 s.
const STOP_LIMIT: i64 = 100;
/// How long after a start sessions should be possible.
const BOOT_LIMIT: Duration = Duration::from_secs(30);
/// How long Incus may take to kill a container, which takes it less than a second.
const KILL_LIMIT: Duration = Duration::from_secs(20);
/// How often to see whether a container that does not answer is still there.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// How long Incus may still be clearing away what is left of a container that ended by itself, as one
/// does that must not boot. A start in that time loses its mounts to it.
const CLEARED: Duration = Duration::from_secs(2);
/// And where the machine is busy.
const CLEARED_AT_MOST: Duration = Duration::from_secs(20);

/// How much of that time is left, for one that was started a moment ago and does not run.
fn still_cleared_away(instance: &incus::Instance) -> Option<Duration> {
    let since = SystemTime::from(instance.last_used_at?).elapsed().ok()?;
    CLEARED.checked_sub(since)
}

impl Service {
    /// Starts a container; does nothing to one that runs.
    pub(crate) async fn start(
        &self,
        owner: &User,
        name: &ContainerName,
        reporter: &Reporter,
    ) -> Result<Changed> {
        let id = ContainerId::new(owner.uid, name);
        let _alone = self.locks.lock(&id).await;
        self.start_locked(&id, owner, reporter).await
    }

    async fn start_locked(
        &self,
        id: &ContainerId,
        owner: &User,
        reporter: &Reporter,
    ) -> Result<Changed> {
        let instance = self.instance(id).await?;
        if instance.is_running() {
            reporter.warning(format!("Container '{}' is already running", id.name));
            return Ok(Changed::No);
        }
        // The user's name or shell may have changed since, and so may the folders.
        self.introduce_again(id, owner, &instance).await?;
        let options = metadata::options(&instance.config);
        if options.isolation == Isolation::Sealed && options.network {
            // The host may have other addresses by now.
            self.ensure_sealing().await?;
        }

        let change = if instance.status == "Frozen" {
            StateChange::new(incus::StateAction::Unfreeze)
        } else {
            self.match_graphics(owner, &instance, &options, reporter)
                .await?;
            StateChange::start()
        };
        if let Some(left) = still_cleared_away(&instance) {
            tokio::time::sleep(left).await;
        }
        let started = self.begin(id, &change, reporter).await;
        let started = match started {
            Err(error) if error.kind == ErrorKind::Failed => {
                self.begin_again(id, &change, reporter).await
            }
            other => other,
        };
        started.map_err(|error| error.context(format!("cannot start container '{}'", id.name)))?;
        self.await_agent(id, BOOT_LIMIT, reporter).await?;
        self.tell_about_bus(id, &options, reporter);
        reporter.success(format!("Container '{}' is running", id.name));
        Ok(Changed::Yes)
    }

    /// Graphics cards may have come or gone since the container was last started.
    async fn match_graphics(
        &self,
        owner: &User,
        instance: &Versioned<Instance>,
        options: &Options,
        reporter: &Reporter,
    ) -> Result<()> {
        let mut whole = instance.to_put();
        if !devices::match_graphics(&mut whole.devices, owner, options) {
            return Ok(());
        }
        self.replace(owner.uid, instance, &whole, reporter).await
    }

    /// As [`begin`](Self::begin), after that has failed: once Incus has cleared away what is left.
    async fn begin_again(
        &self,
        id: &ContainerId,
        change: &StateChange,
        reporter: &Reporter,
    ) -> Result<()> {
        let deadline = tokio::time::Instant::now() + CLEARED_AT_MOST;
        loop {
            tokio::time::sleep(CLEARED).await;
            // What failed may show as running until it is.
            let runs = self.instance(id).await?.is_running();
            if !runs || tokio::time::Instant::now() >= deadline {
                return self.begin(id, change, reporter).await;
            }
            if self.agents.wait(id, SessionUser::Owner, CLEARED).await {
                return Ok(());
            }
        }
    }

    async fn begin(
        &self,
        id: &ContainerId,
        change: &StateChange,
        reporter: &Reporter,
    ) -> Result<()> {
        let operation = self
            .project(id.owner)
            .change_state(id.name.as_str(), change)
            .await
            .map_err(incus_error)?;
        follow(operation, reporter, "Starting").await?;
        Ok(())
    }

    /// Waits until sessions can be opened in a container that was just started. That they cannot
    /// be yet is only worth a warning; that the container has stopped again is a failure.
    pub(super) async fn await_agent(
        &self,
        id: &ContainerId,
        limit: Duration,
        reporter: &Reporter,
    ) -> Result<()> {
        let deadline = tokio::time::Instant::now() + limit;
        while tokio::time::Instant::now() < deadline {
            tokio::select! {
                ready = self.agents.wait(id, SessionUser::Owner, LOOK_AGAIN) => if ready {
                    return Ok(());
                },
                // It runs, and waiting was all that was left.
                () = reporter.cancelled() => return Ok(()),
            }
            let instance = self
                .project(id.owner)
                .instance(id.name.as_str())
                .await
                .map_err(incus_error)?;
            if is_stopped(&instance) {
                return Err(self.stopped_again(id));
            }
        }
        reporter.warning(format!(
            "Container '{}' has started, but nothing inside answers yet: its image may not be fit for Kapsule",
            id.name
        ));
        Ok(())
    }

    /// Who asked for a session bus of the container's own is told where there may be none.
    pub(super) fn tell_about_bus(&self, id: &ContainerId, options: &Options, reporter: &Reporter) {
        if options.session_mode && self.agents.state(id) == AgentState::Plain {
            reporter.hint(
                "The container has no user manager: its session bus is the dbus-daemon that is installed in it, if any",
            );
        }
    }

    fn stopped_again(&self, id: &ContainerId) -> Error {
        let shares = spec::shares(&self.folders.container(id));
        let exchanged = match shares.as_slice() {
            [] => String::new(),
            shares => format!(
                " It does not boot when a folder that it shares is exchanged for another one meanwhile \
                 ({}): if one was, start it again.",
                shares.join(", ")
            ),
        };
        Error::failed(format!(
            "container '{0}' has stopped again while it was starting.{exchanged} An administrator finds \
             the reason with 'incus console --show-log --project {1} {0}'",
            id.name,
            project_name(id.owner)
        ))
    }

    /// Stops a container; by force without asking its init.
    pub(crate) async fn stop(
        &self,
        owner: u32,
        name: &ContainerName,
        force: bool,
        reporter: &Reporter,
    ) -> Result<Changed> {
        let id = ContainerId::new(owner, name);
        let _alone = self.locks.lock(&id).await;
        self.stop_locked(&id, force, reporter).await
    }

    async fn stop_locked(
        &self,
        id: &ContainerId,
        force: bool,
        reporter: &Reporter,
    ) -> Result<Changed> {
        let instance = self.instance(id).await?;
        if is_stopped(&instance) {
            reporter.warning(format!("Container '{}' is not running", id.name));
            return Ok(Changed::No);
        }
        let project = self.project(id.owner);
        if force {
            let kill = project
                .change_state(id.name.as_str(), &StateChange::kill())
                .await
                .map_err(incus_error)?;
            tokio::time::timeout(KILL_LIMIT, follow(kill, reporter, "Stopping"))
                .await
                .map_err(|_| not_killed(id))??;
        } else {
            let stop = project
                .change_state(id.name.as_str(), &StateChange::stop(STOP_LIMIT))
                .await
                .map_err(incus_error)?;
            follow(stop, reporter, "Stopping").await.map_err(|error| match error.kind {
                ErrorKind::Failed => Error::failed(format!(
                    "container '{0}' did not stop: {error}. 'kapsule stop --force {0}' stops it without asking",
                    id.name
                )),
                _ => error,
            })?;
        }
        reporter.success(format!("Container '{}' is stopped", id.name));
        Ok(Changed::Yes)
    }

    /// Stops a container if it runs, and starts it.
    pub(crate) async fn restart(
        &self,
        owner: &User,
        name: &ContainerName,
        force: bool,
        reporter: &Reporter,
    ) -> Result<()> {
        let id = ContainerId::new(owner.uid, name);
        let _alone = self.locks.lock(&id).await;
        let instance = self.instance(&id).await?;
        if !is_stopped(&instance) {
            self.stop_locked(&id, force, reporter).await?;
        }
        self.start_locked(&id, owner, reporter).await?;
        Ok(())
    }

    /// Deletes a container; a running one only by force.
    pub(crate) async fn delete(
        &self,
        owner: u32,
        name: &ContainerName,
        force: bool,
        reporter: &Reporter,
    ) -> Result<()> {
        let id = ContainerId::new(owner, name);
        let _alone = self.locks.lock(&id).await;
        let instance = self.instance(&id).await?;
        if !is_stopped(&instance) && !force {
            return Err(Error::failed(format!(
                "container '{0}' is running. Stop it first with 'kapsule stop {0}', or delete it as it is with 'kapsule rm --force {0}'",
                id.name
            )));
        }
        self.remove_instance(&id).await?;
        self.agents.forget(&id);
        spec::remove(&self.folders.container(&id));
        reporter.success(format!("Container '{}' is deleted", id.name));
        Ok(())
    }

    /// Kills and deletes an instance; it is fine when there is none.
    pub(super) async fn remove_instance(&self, id: &ContainerId) -> Result<()> {
        let project = self.project(id.owner);
        let gone = |error: incus::Error| {
            if error.is_not_found() {
                Ok(())
            } else {
                Err(incus_error(error))
            }
        };
        let instance = match project.instance(id.name.as_str()).await {
            Ok(instance) => instance,
            Err(error) => return gone(error),
        };
        if !is_stopped(&instance)
            // It may stop by itself at this very moment; what counts is the delete.
            && let Ok(kill) = project
                .change_state(id.name.as_str(), &StateChange::kill())
                .await
        {
            let killed = tokio::time::timeout(KILL_LIMIT, kill.wait()).await;
            drop(killed.map_err(|_| not_killed(id))?);
        }
        let operation = match project.delete_instance(id.name.as_str()).await {
            Ok(operation) => operation,
            Err(error) => return gone(error),
        };
        operation.wait().await.map(drop).or_else(gone)
    }
}

fn not_killed(id: &ContainerId) -> Error {
    Error::failed(format!(
        "Incus did not get container '{0}' killed within {1} s, and still tries. A process in it waits in \
         the kernel, as for a file system whose server is away: end that one on the host (the program \
         'sshfs'; 'umount -f' for NFS), and the container stops. An administrator sees with \
         'incus list --project {2}' whether it has",
        id.name,
        KILL_LIMIT.as_secs(),
        project_name(id.owner)
    ))
}

fn is_stopped(instance: &incus::Instance) -> bool {
    instance.status == "Stopped"
}
