// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! `org.kde.kapsule.Manager`: what existing clients use.

use std::collections::HashMap;

use zbus::{OwnedObjectPath, Variant};

/// Name, status, image, creation time (ISO 8601), mode.
pub type ContainerStruct = (String, String, String, String, String);

/// Success, error text, command line.
pub type EnterStruct = (bool, String, Vec<String>);

/// Methods that start long work return the path of an
/// [`Operation`](crate::operation::OperationProxy); what goes wrong then comes with its
/// `Completed` signal.
#[zbus::proxy(
    interface = "org.kde.kapsule.Manager",
    default_service = "org.kde.kapsule",
    default_path = "/org/kde/kapsule"
)]
pub trait Manager {
    /// The daemon's version.
    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> zbus::Result<String>;

    /// The set of containers, or the state of one, has changed.
    #[zbus(signal)]
    fn containers_changed(&self) -> zbus::Result<()>;

    /// The caller's operations that still run.
    fn list_operations(&self) -> zbus::Result<Vec<OwnedObjectPath>>;

    /// The schema of options, as JSON.
    fn get_create_schema(&self) -> zbus::Result<String>;

    /// Makes and starts a container. An empty image is the caller's default.
    #[zbus(allow_interactive_auth)]
    fn create_container(
        &self,
        name: &str,
        image: &str,
        options: &HashMap<&str, Variant<'_>>,
    ) -> zbus::Result<OwnedObjectPath>;

    /// Deletes a container; a running one only by force.
    #[zbus(allow_interactive_auth)]
    fn delete_container(&self, name: &str, force: bool) -> zbus::Result<OwnedObjectPath>;

    /// Starts a container.
    #[zbus(allow_interactive_auth)]
    fn start_container(&self, name: &str) -> zbus::Result<OwnedObjectPath>;

    /// Stops a container; by force without asking its init.
    #[zbus(allow_interactive_auth)]
    fn stop_container(&self, name: &str, force: bool) -> zbus::Result<OwnedObjectPath>;

    /// Brings images up to date: all (`""`), or one.
    #[zbus(allow_interactive_auth)]
    fn refresh_images(&self, image: &str) -> zbus::Result<OwnedObjectPath>;

    /// Imports a directory with `incus.tar.xz` and `rootfs.squashfs`, read with the caller's
    /// rights. [`crate::images::Images1Proxy::import`] is the better way.
    #[zbus(allow_interactive_auth)]
    fn import_image(&self, path: &str, alias: &str) -> zbus::Result<OwnedObjectPath>;

    /// The images, as Incus' JSON.
    #[zbus(allow_interactive_auth)]
    fn list_images(&self) -> zbus::Result<String>;

    /// Deletes an image by alias or fingerprint (or its beginning).
    #[zbus(allow_interactive_auth)]
    fn delete_image(&self, identifier: &str) -> zbus::Result<OwnedObjectPath>;

    /// Sets up the caller in one of their containers. Any other identity is refused.
    #[zbus(allow_interactive_auth)]
    fn setup_user(
        &self,
        container_name: &str,
        uid: u32,
        gid: u32,
        username: &str,
        home_dir: &str,
    ) -> zbus::Result<OwnedObjectPath>;

    /// Whether that user is set up in a container.
    #[zbus(allow_interactive_auth)]
    fn is_user_setup(&self, container_name: &str, uid: u32) -> zbus::Result<bool>;

    /// The caller's containers.
    #[zbus(allow_interactive_auth)]
    fn list_containers(&self) -> zbus::Result<Vec<ContainerStruct>>;

    /// One container.
    #[zbus(allow_interactive_auth)]
    fn get_container_info(&self, name: &str) -> zbus::Result<ContainerStruct>;

    /// The caller's configuration: `default_container` and `default_image`.
    fn get_config(&self) -> zbus::Result<HashMap<String, String>>;

    /// The command line that enters a container.
    #[zbus(allow_interactive_auth)]
    fn prepare_enter(
        &self,
        container_name: &str,
        command: &[&str],
        working_directory: &str,
    ) -> zbus::Result<EnterStruct>;
}
