// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What is done to containers and images, in terms of users and containers. Knows Incus, knows
//! nothing of D-Bus.
//!
//! | module | holds |
//! |---|---|
//! | [`place`] | where a container stands: project, network, folders |
//! | [`metadata`], [`devices`], [`spec`] | what a container consists of, as data |
//! | [`numbers`] | who is who inside and on the host |
//! | [`prepare`], [`networks`], [`bridge_names`], [`subid`], [`subnet`] | what a user needs before their first container |
//! | [`create`], [`hooks`], [`lifecycle`], [`recover`] | making, starting, stopping, deleting; tidying up |
//! | [`change`] | other options for a container that there is |
//! | [`session`] | ways into a container |
//! | [`look`] | lists and information |
//! | [`images`], [`import`], [`image_owners`] | images, and whose they are |
//! | [`follow`] | waiting for Incus, with progress and cancel |

mod bridge_names;
mod change;
mod create;
mod devices;
mod follow;
mod hooks;
mod host_net;
mod host_settings;
mod image_owners;
mod images;
mod import;
mod lifecycle;
mod locks;
mod look;
mod metadata;
mod mounts;
mod networks;
mod numbers;
mod place;
mod prepare;
mod recover;
mod session;
mod spec;
mod subid;
mod subnet;

use std::path::PathBuf;
use std::sync::Arc;

pub(crate) use bridge_names::NamedBridge;
pub(crate) use create::CreateRequest;
pub(crate) use host_net::interface_index;
use host_settings::HostFollower;
pub(crate) use import::ImportSource;
use incus::{Instance, Versioned};
use kapsule_core::container::AgentState;
use kapsule_core::isolation::Isolation;
use kapsule_core::name::ContainerName;
use kapsule_core::options::Options;
use kapsule_proto::spec::Share;
use locks::Locks;
use place::Folders;

use crate::agents::{Agents, News};
use crate::container_id::ContainerId;
use crate::error::{Error, ErrorKind, Result};
use crate::users::User;

/// Whether a request found something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    Yes,
    No,
}

/// Whether an administrator agreed to what goes beyond the user's own rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consent {
    Given,
    None,
}

/// Containers and images of all users.
#[derive(Debug)]
pub(crate) struct Service {
    incus: incus::Client,
    folders: Folders,
    agents: Agents,
    locks: Locks,
    host: HostFollower,
    /// Held while something that containers share is made.
    preparing: tokio::sync::Mutex<()>,
}

impl Service {
    /// A service that keeps its files in `state_dir` and finds the agent below `libdir`.
    pub(crate) fn new(incus: incus::Client, state_dir: PathBuf, libdir: PathBuf) -> Arc<Self> {
        Arc::new(Self {
            incus,
            folders: Folders {
                state: state_dir,
                guest: libdir.join("guest"),
            },
            agents: Agents::default(),
            locks: Locks::default(),
            host: HostFollower::default(),
            preparing: tokio::sync::Mutex::new(()),
        })
    }

    /// Whose agents have come or gone.
    pub(crate) fn agents_news(&self) -> Arc<News> {
        self.agents.news()
    }

    /// Whether a session could be opened at once.
    pub(crate) fn has_agent(&self, id: &ContainerId) -> bool {
        self.agents.state(id) != AgentState::Absent
    }

    /// Keeps containers at the host's clock, language and trust, for ever.
    pub(crate) async fn follow_host(&self) {
        self.host.follow(&self.folders).await;
    }

    fn project(&self, owner: u32) -> incus::Project {
        self.incus.project(&place::project_name(owner))
    }

    /// Listens for the agents of a container, whose folder must be there.
    fn listen(&self, id: &ContainerId) -> Result<()> {
        let folder = self.folders.container(id);
        self.agents.listen(id, &folder, spec::peer(id, &folder))
    }

    /// Writes down for a container who its owner is, and listens for the owner's agent. `config` is
    /// what Incus says of the instance.
    fn introduce(
        &self,
        id: &ContainerId,
        owner: &User,
        options: &Options,
        shares: Vec<Share>,
        config: &metadata::Config,
    ) -> Result<()> {
        let host_ids = match options.isolation {
            Isolation::Standard | Isolation::Privileged => None,
            Isolation::Sealed => {
                let inside = numbers::inside(owner, options.isolation);
                let ids = numbers::on_host(config, inside).ok_or_else(|| {
                    Error::failed(format!(
                        "Incus does not tell which numbers container '{}' has on the host",
                        id.name
                    ))
                })?;
                Some(ids)
            }
        };
        let folder = self.folders.container(id);
        spec::write(&folder, &spec::new(id, owner, options, shares, host_ids))?;
        if options.isolation == Isolation::Privileged {
            spec::write_name_servers(&folder);
        }
        self.host.provide(&folder, options.host_settings);
        self.listen(id)
    }

    /// The instance of a finished container.
    async fn instance(&self, id: &ContainerId) -> Result<Versioned<Instance>> {
        match self.project(id.owner).instance(id.name.as_str()).await {
            Ok(instance)
                if metadata::is_ours(&instance.config)
                    && !metadata::is_unfinished(&instance.config) =>
            {
                Ok(instance)
            }
            Ok(_) => Err(not_found(&id.name)),
            Err(error) if error.is_not_found() => Err(not_found(&id.name)),
            Err(error) => Err(incus_error(error)),
        }
    }
}

fn not_found(name: &ContainerName) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!(
            "there is no container '{name}'. 'kapsule list' shows those you have, 'kapsule create {name}' makes it"
        ),
    )
}

/// What Incus said, as ours.
fn incus_error(error: incus::Error) -> Error {
    let kind = if error.is_unreachable() {
        ErrorKind::IncusUnavailable
    } else if error.is_not_found() {
        ErrorKind::NotFound
    } else if matches!(error, incus::Error::Cancelled { .. }) {
        ErrorKind::Cancelled
    } else {
        ErrorKind::Failed
    };
    if error.is_no_space() {
        return Error::new(
            kind,
            format!(
                "{error}. The storage of containers is full: delete containers or images that you do not need ('kapsule rm', 'kapsule image delete')"
            ),
        );
    }
    Error::new(kind, error.to_string())
}
