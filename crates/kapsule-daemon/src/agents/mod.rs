// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The agents inside the containers: where they register, and how a session is handed to one.
//!
//! Each container has a socket of its own, which the daemon makes in a folder that is mounted
//! read-only into that container. So a connection tells which container it comes from, no name
//! is sent, and no path that a guest can write to is ever walked. The daemon reads one small
//! packet from an agent and takes no descriptor from it.

mod listener;
mod news;
mod registered;
mod underway;

use std::collections::HashMap;
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kapsule_core::container::AgentState;
use kapsule_core::isolation::Isolation;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::container_id::ContainerId;
use crate::error::{Error, ErrorKind, Result};
pub(crate) use news::News;
use registered::Registered;
use underway::Underway;

/// The agent of one container, present or not.
type Slot = watch::Sender<Option<Arc<Registered>>>;

/// All containers' agents.
#[derive(Default)]
pub(crate) struct Agents {
    entries: Mutex<HashMap<ContainerId, Entry>>,
    news: Arc<News>,
    underway: Underway,
}

struct Entry {
    peer: Peer,
    slots: Arc<Slots>,
    listener: JoinHandle<()>,
}

/// Whom a session is for. Each has an agent of their own, with their own rights and no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionUser {
    /// The owner of the container.
    Owner,
    /// Root of the container, who is nobody on the host unless the container is privileged.
    Root,
}

/// Whom to expect at a container's socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The number that the owner has on the host when they come from inside.
    pub(crate) uid: u32,
    /// The owner's primary group, likewise; if it is known.
    pub(crate) gid: Option<u32>,
    /// How far the container is kept apart.
    pub(crate) isolation: Isolation,
}

/// The agents of one container.
#[derive(Default)]
struct Slots {
    owner: Arc<Slot>,
    root: Arc<Slot>,
    /// Guest root's number on the host, once somebody asked for a session of root's.
    root_uid: Mutex<Option<u32>>,
}

impl Slots {
    fn of(&self, user: SessionUser) -> &Arc<Slot> {
        match user {
            SessionUser::Owner => &self.owner,
            SessionUser::Root => &self.root,
        }
    }

    fn root_uid(&self) -> MutexGuard<'_, Option<u32>> {
        self.root_uid.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which agent a peer with this number is, if it may be one.
    fn user(&self, owner: u32, peer: u32) -> Option<SessionUser> {
        if peer == owner {
            Some(SessionUser::Owner)
        } else {
            (*self.root_uid() == Some(peer)).then_some(SessionUser::Root)
        }
    }
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

    /// Listens for the agents of a container in its folder. Does nothing when it does already; where
    /// somebody else was expected before, it begins anew.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub(crate) fn listen(&self, id: &ContainerId, folder: &Path, peer: Peer) -> Result<()> {
        let mut entries = self.entries();
        if entries.get(id).is_some_and(|entry| entry.peer == peer) {
            return Ok(());
        }
        let socket = listener::bind(folder, peer.uid, peer.gid).map_err(|error| {
            Error::failed(format!(
                "cannot listen for the agent of container '{}' in {}: {error}",
                id.name,
                folder.display()
            ))
        })?;
        let slots = Arc::new(Slots::default());
        let news = Arc::clone(&self.news);
        let work = listener::serve(id.clone(), peer.uid, socket, Arc::clone(&slots), news);
        let entry = Entry {
            peer,
            slots,
            listener: tokio::spawn(work),
        };
        entries.insert(id.clone(), entry);
        Ok(())
    }

    /// Lets guest root's agent register, who has this number on the host.
    pub(crate) fn expect_root(&self, id: &ContainerId, uid: u32) {
        if let Some(entry) = self.entries().get(id) {
            *entry.slots.root_uid() = Some(uid);
        }
    }

    /// Stops listening; the container is gone.
    pub(crate) fn forget(&self, id: &ContainerId) {
        self.entries().remove(id);
    }

    /// How far a container is kept apart, of which the agents are listened for.
    pub(crate) fn isolation(&self, id: &ContainerId) -> Option<Isolation> {
        self.entries().get(id).map(|entry| entry.peer.isolation)
    }

    fn current(&self, id: &ContainerId, user: SessionUser) -> Option<Arc<Registered>> {
        self.entries().get(id)?.slots.of(user).borrow().clone()
    }

    /// Which owners' agents have come or gone.
    pub(crate) fn news(&self) -> Arc<News> {
        Arc::clone(&self.news)
    }

    /// Whether a session of the owner's could be opened at once.
    pub(crate) fn state(&self, id: &ContainerId) -> AgentState {
        self.current(id, SessionUser::Owner)
            .map_or(AgentState::Absent, |agent| agent.state())
    }

    /// Waits until an agent of the container has registered. False when it has not within `limit`.
    pub(crate) async fn wait(&self, id: &ContainerId, user: SessionUser, limit: Duration) -> bool {
        let entry = |entry: &Entry| entry.slots.of(user).subscribe();
        let Some(mut changes) = self.entries().get(id).map(entry) else {
            return false;
        };
        tokio::time::timeout(limit, changes.wait_for(Option::is_some))
            .await
            .is_ok_and(|found| found.is_ok())
    }

    /// Hands a new session to an agent of the container and returns the client's end of it. None
    /// when no agent is registered.
    ///
    /// # Errors
    /// When the agent does not take the session.
    pub(crate) fn open_session(
        &self,
        id: &ContainerId,
        user: SessionUser,
    ) -> Option<Result<OwnedFd>> {
        let agent = self.current(id, user)?;
        let opened = self
            .underway
            .add(id.owner)
            .and_then(|witness| agent.open_session(&witness));
        Some(opened.map_err(|error| {
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
