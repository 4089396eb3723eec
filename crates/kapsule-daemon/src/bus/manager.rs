// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `org.kde.kapsule.Manager`: what existing clients use. Methods that start an operation answer
//! with its path; what is wrong with their arguments, too, comes with the operation's end.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use kapsule_core::container::ContainerSummary;
use kapsule_core::options;
use zbus::message::Header;
use zbus::object_server::SignalEmitter;
use zbus::{OwnedObjectPath, OwnedVariant, interface};

use super::Shared;
use super::launch::{Change, Launched, Whose};
use super::operation;
use crate::error::Result;

/// Name, status, image, creation time, mode.
type ContainerStruct = (String, String, String, String, String);
/// Success, error text, command line.
type EnterStruct = (bool, String, Vec<String>);

#[derive(Debug)]
pub(super) struct Manager(pub(super) Arc<Shared>);

#[interface(name = "org.kde.kapsule.Manager", introspection_docs = false)]
impl Manager {
    /// What existing clients read first. From then on they get signals.
    #[zbus(property(emits_changed_signal = "const"))]
    async fn version(&self, #[zbus(header)] header: Option<Header<'_>>) -> &'static str {
        if let Some(header) = header
            && let Err(error) = self.0.caller(&header).await
        {
            tracing::debug!(%error, "a reader of the version gets no signals");
        }
        kapsule_core::VERSION
    }

    #[zbus(signal)]
    pub(super) async fn containers_changed(emitter: &SignalEmitter<'_>) -> zbus::Result<()>;

    async fn list_operations(
        &self,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Vec<OwnedObjectPath>> {
        let caller = self.0.caller(&header).await?;
        let running = self.0.operations.running(Some(caller.uid));
        let paths = running
            .iter()
            .map(|operation| Ok(operation::path(operation.id)?.into()));
        paths.collect()
    }

    fn get_create_schema(&self) -> String {
        options::schema_json()
    }

    async fn create_container(
        &self,
        name: String,
        image: String,
        options: HashMap<String, OwnedVariant>,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Launched> {
        self.0.create(&header, name, image, options).await
    }

    async fn delete_container(
        &self,
        name: String,
        force: bool,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Launched> {
        let change = Change::Delete { force };
        self.0.change(&header, Whose::Own, name, change).await
    }

    async fn start_container(
        &self,
        name: String,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Launched> {
        self.0
            .change(&header, Whose::Own, name, Change::Start)
            .await
    }

    async fn stop_container(
        &self,
        name: String,
        force: bool,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Launched> {
        let change = Change::Stop { force };
        self.0.change(&header, Whose::Own, name, change).await
    }

    async fn refresh_images(
        &self,
        image: String,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Launched> {
        self.0.refresh_images(&header, image).await
    }

    async fn import_image(
        &self,
        path: String,
        alias: String,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Launched> {
        self.0
            .import_folder(&header, PathBuf::from(path), alias)
            .await
    }

    async fn list_images(&self, #[zbus(header)] header: Header<'_>) -> Result<String> {
        self.0.images_json(&header).await
    }

    async fn delete_image(
        &self,
        identifier: String,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Launched> {
        self.0.delete_image(&header, identifier).await
    }

    async fn setup_user(
        &self,
        container_name: String,
        uid: u32,
        gid: u32,
        username: String,
        home_dir: String,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Launched> {
        let identity = (uid, gid, username, home_dir);
        self.0.setup_user(&header, container_name, identity).await
    }

    async fn is_user_setup(
        &self,
        container_name: String,
        uid: u32,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<bool> {
        self.0.is_user_setup(&header, &container_name, uid).await
    }

    async fn list_containers(
        &self,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Vec<ContainerStruct>> {
        let containers = self.0.list(&header).await?;
        Ok(containers.into_iter().map(to_struct).collect())
    }

    /// In a tuple of one, as zbus takes a tuple for as many values.
    async fn get_container_info(
        &self,
        name: String,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(ContainerStruct,)> {
        let container = self.0.summary(&header, &name).await?;
        Ok((to_struct(container),))
    }

    /// Never an error of D-Bus, as existing clients want it.
    async fn get_config(&self, #[zbus(header)] header: Header<'_>) -> HashMap<String, String> {
        match self.0.configuration(&header).await {
            Ok(configuration) => configuration,
            Err(error) => HashMap::from([("error".to_owned(), error.message)]),
        }
    }

    /// Never an error of D-Bus either.
    async fn prepare_enter(
        &self,
        container_name: String,
        command: Vec<String>,
        working_directory: String,
        #[zbus(header)] header: Header<'_>,
    ) -> (EnterStruct,) {
        let answer = self
            .0
            .enter_command(&header, &container_name, command, working_directory)
            .await;
        match answer {
            Ok(command) => ((true, String::new(), command),),
            Err(error) => ((false, error.message, Vec::new()),),
        }
    }
}

fn to_struct(container: ContainerSummary) -> ContainerStruct {
    let mode = container.mode.as_str().to_owned();
    (
        container.name.into(),
        container.status,
        container.image,
        container.created,
        mode,
    )
}
