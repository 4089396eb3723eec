// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! `org.kde.kapsule.Containers1`: containers beyond what the first interface can say.

use std::collections::HashMap;

use zbus::{OwnedFd, OwnedObjectPath, Variant};

/// On the object `/org/kde/kapsule`. JSON answers are the serialised types of the crate
/// `kapsule-core`, module `container`: they gain fields over time, which clients ignore.
#[zbus::proxy(
    interface = "org.kde.kapsule.Containers1",
    default_service = "org.kde.kapsule",
    default_path = "/org/kde/kapsule"
)]
pub trait Containers1 {
    /// Opens a session in a running container (empty name: the default container), for its owner or
    /// for its root, who is nobody on the host unless the container is privileged. Returns the
    /// container's name, the client's end of the session socket, on which the client talks to the
    /// agent inside, and how far the container is kept apart (a value of the option `isolation`):
    /// into a `sealed` one nothing of the caller's session is to be handed.
    ///
    /// Errors: `NotFound`, `NotRunning` (start it first), `AgentUnavailable`.
    #[zbus(allow_interactive_auth)]
    fn open_session(&self, name: &str, as_root: bool) -> zbus::Result<(String, OwnedFd, String)>;

    /// The owner's agent in a container has come, or gone: sessions can be opened at once, or cannot.
    /// Sent to the owner's connections that have called the service, whoever started the container.
    #[zbus(signal)]
    fn agent_changed(&self, name: &str, present: bool) -> zbus::Result<()>;

    /// Everything about one container: `ContainerInfo` as JSON.
    #[zbus(allow_interactive_auth)]
    fn get_info(&self, name: &str) -> zbus::Result<String>;

    /// The caller's containers: an array of `ContainerSummary` as JSON.
    #[zbus(allow_interactive_auth)]
    fn list(&self) -> zbus::Result<String>;

    /// Stops (by force without asking its init) and starts a container.
    #[zbus(allow_interactive_auth)]
    fn restart(&self, name: &str, force: bool) -> zbus::Result<OwnedObjectPath>;

    /// Changes options of a container that there is, at once when it runs: those that
    /// `Manager.GetCreateSchema` marks as `changeable`. One that only the making of a container
    /// decides is refused, unless it is what it is already.
    #[zbus(allow_interactive_auth)]
    fn set_options(
        &self,
        name: &str,
        options: &HashMap<&str, Variant<'_>>,
    ) -> zbus::Result<OwnedObjectPath>;
}
