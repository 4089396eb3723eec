// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! `org.kde.kapsule.Admin1`: what belongs to other users, and what holds for all of them. For
//! administrators, as polkit knows them, and root.

use std::collections::HashMap;

use zbus::{ObjectPath, OwnedObjectPath, Variant};

/// An operation of any user: path, user id, description, status.
pub type OperationStruct = (OwnedObjectPath, u32, String, String);

/// On the object `/org/kde/kapsule`. Owners are named by login name or user id. Methods that return a path start an
/// operation, which is the caller's.
#[zbus::proxy(
    interface = "org.kde.kapsule.Admin1",
    default_service = "org.kde.kapsule",
    default_path = "/org/kde/kapsule"
)]
pub trait Admin1 {
    /// All users' containers: an array of `OwnedContainer` as JSON.
    #[zbus(allow_interactive_auth)]
    fn list_all(&self) -> zbus::Result<String>;

    /// Everything about one container: `ContainerInfo` as JSON.
    #[zbus(allow_interactive_auth)]
    fn get_info(&self, owner: &str, name: &str) -> zbus::Result<String>;

    /// Starts a container.
    #[zbus(allow_interactive_auth)]
    fn start(&self, owner: &str, name: &str) -> zbus::Result<OwnedObjectPath>;

    /// Stops a container; by force without asking its init.
    #[zbus(allow_interactive_auth)]
    fn stop(&self, owner: &str, name: &str, force: bool) -> zbus::Result<OwnedObjectPath>;

    /// Stops (by force without asking its init) and starts a container.
    #[zbus(allow_interactive_auth)]
    fn restart(&self, owner: &str, name: &str, force: bool) -> zbus::Result<OwnedObjectPath>;

    /// Changes options of a container, as `Containers1.SetOptions`.
    #[zbus(allow_interactive_auth)]
    fn set_options(
        &self,
        owner: &str,
        name: &str,
        options: &HashMap<&str, Variant<'_>>,
    ) -> zbus::Result<OwnedObjectPath>;

    /// Deletes a container; a running one only by force.
    #[zbus(allow_interactive_auth)]
    fn delete(&self, owner: &str, name: &str, force: bool) -> zbus::Result<OwnedObjectPath>;

    /// All users' operations that still run.
    #[zbus(allow_interactive_auth)]
    fn list_operations(&self) -> zbus::Result<Vec<OperationStruct>>;

    /// Asks an operation of any user to stop and clean up. False when it is over already.
    #[zbus(allow_interactive_auth)]
    fn cancel_operation(&self, operation: &ObjectPath<'_>) -> zbus::Result<bool>;

    /// Sets a key of the configuration for all users: `KEY` of `[kapsule]`, or `SECTION.KEY`. Gives
    /// the file that still decides otherwise, or the empty text.
    #[zbus(allow_interactive_auth)]
    fn set_system_default(&self, key: &str, value: &str) -> zbus::Result<String>;

    /// Takes back what was set that way.
    #[zbus(allow_interactive_auth)]
    fn unset_system_default(&self, key: &str) -> zbus::Result<()>;
}
