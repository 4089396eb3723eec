// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The agents inside the containers: where they register, and how a session is handed to one.
//!
//! Each container has a socket of its own, which the daemon makes in a folder that is mounted
//! read-only into that container. So a connection tells which container it comes from, no name
//! is sent, and no path that a guest can write to is ever walked. The daemon reads one small
//! packet from an agent and takes no descriptor from it.

mod listener;
mod registered;

use std::collections::HashMap;
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kapsule_core::container::AgentState;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::error::{Error, ErrorKind, Result};
use crate::service::ContainerId;
use registered::Registered;

/// The agent of one container, present or not.
type Slot = watch::Sender<Option<Arc<Registered>>>;

/// All containers' agents.
#[derive(Default)]
pub(crate) struct Agents {
    entries: Mutex<HashMap<ContainerId, Entry>>,
}

struct Entry {
    slot: Arc<Slot>,
    listener: JoinHandle<()>,
}

impl fmt::Debug for Agents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agents")
            .field("containers", &self.entries().len())
            .finish()
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl Agents {
    fn entries(&self) -> MutexGuard<'_, HashMap<ContainerId, Entry>> {
        // The map stays whole whatever a panicking holder was doing.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens for the agent of a container in its folder. Does nothing when it does already.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub(crate) fn listen(&self, id: &ContainerId, folder: &Path) -> Result<()> {
        let mut entries = self.entries();
        if entries.contains_key(id) {
            return Ok(());
        }
        let socket = listener::bind(folder, id.owner).map_err(|error| {
            Error::failed(format!(
                "cannot listen for the agent of container '{}' in {}: {error}",
                id.name,
                folder.display()
            ))
        })?;
        let slot = Arc::new(Slot::new(None));
        let listener = tokio::spawn(listener::serve(id.clone(), socket, Arc::clone(&slot)));
        entries.insert(id.clone(), Entry { slot, listener });
        Ok(())
    }

    /// Stops listening; the container is gone.
    pub(crate) fn forget(&self, id: &ContainerId) {
        self.entries().remove(id);
    }

    fn current(&self, id: &ContainerId) -> Option<Arc<Registered>> {
        self.entries().get(id)?.slot.borrow().clone()
    }

    /// Whether a session could be opened at once.
    pub(crate) fn state(&self, id: &ContainerId) -> AgentState {
        self.current(id)
            .map_or(AgentState::Absent, |agent| agent.state())
    }

    /// Waits until the container's agent has registered. False when it has not within `limit`.
    pub(crate) async fn wait(&self, id: &ContainerId, limit: Duration) -> bool {
        let Some(mut changes) = self.entries().get(id).map(|entry| entry.slot.subscribe()) else {
            return false;
        };
        tokio::time::timeout(limit, changes.wait_for(Option::is_some))
            .await
            .is_ok_and(|found| found.is_ok())
    }

    /// Hands a new session to the container's agent and returns the client's end of it. None when
    /// no agent is registered.
    ///
    /// # Errors
    /// When the agent does not take the session.
    pub(crate) fn open_session(&self, id: &ContainerId) -> Option<Result<OwnedFd>> {
        let agent = self.current(id)?;
        Some(agent.open_session().map_err(|error| {
            Error::new(
                ErrorKind::AgentUnavailable,
                format!(
                    "container '{}' runs, but does not take sessions ({error}). \
                     Try 'kapsule restart {}'",
                    id.name, id.name
                ),
            )
        }))
    }
}
