// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `org.kde.kapsule.Manager`: what existing clients use. Methods that start an operation answer
//! with its path; what is wrong with their arguments, too, comes with the operation's end.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kapsule_core::container::ContainerSummary;
use kapsule_core::image::{self, ImageRef};
use kapsule_core::name::ContainerName;
use kapsule_core::options::{self, OptionValue};
use zbus::message::Header;
use zbus::object_server::SignalEmitter;
use zbus::{OwnedObjectPath, OwnedVariant, interface};

use super::Shared;
use super::containers::named_or_default;
use super::launch::{Job, Launched};
use super::operation;
use super::options::from_bus;
use crate::error::{Error, ErrorKind, Result};
use crate::ops::OperationKind;
use crate::policy::Act;
use crate::service::{Changed, Consent, CreateRequest, ImportSource};
use crate::users::User;
use crate::{as_user, config, users};

/// How long the folder of an image may take to open.
const PATIENCE: Duration = Duration::from_secs(10);

/// Name, status, image, creation time, mode.
type ContainerStruct = (String, String, String, String, String);
/// Success, error text, command line.
type EnterStruct = (bool, String, Vec<String>);

#[derive(Debug)]
pub(super) struct Manager(pub(super) Arc<Shared>);

#[interface(name = "org.kde.kapsule.Manager", introspection_docs = false)]
impl Manager {
    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> &'static str {
        kapsule_core::VERSION
    }

    #[zbus(signal)]
    pub(super) async fn containers_changed(emitter: &SignalEmitter<'_>) -> zbus::Result<()>;

    async fn list_operations(
        &self,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Vec<OwnedObjectPath>> {
        let caller = self.0.caller(&header).await?;
        let running = self.0.operations.running(caller.scope());
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
        self.0
            .launch(
                &header,
                OperationKind::Create,
                &name.clone(),
                async move |job| {
                    let name: ContainerName = name.parse()?;
                    let options = from_bus(options)?;
                    let owner = users::lookup(job.caller).await?;
                    let configuration = config::settings_for(&owner).await;
                    for warning in &configuration.warnings {
                        job.reporter.warning(warning);
                        job.reporter.hint("Correct that file, or remove it");
                    }
                    let image: ImageRef = match image.as_str() {
                        "" => parse_default_image(&configuration.settings.default_image)?,
                        image => image.parse()?,
                    };
                    let consent = agree_to_mounts(&job, &owner, &options).await?;
                    let request = CreateRequest {
                        name,
                        image,
                        options,
                        consent,
                    };
                    job.service()
                        .create(&owner, &configuration.settings, request, &job.reporter)
                        .await?;
                    job.reporter.containers_changed();
                    Ok(())
                },
            )
            .await
    }

    async fn delete_container(
        &self,
        name: String,
        force: bool,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Launched> {
        self.0
            .launch(
                &header,
                OperationKind::Delete,
                &name.clone(),
                async move |job| {
                    job.service()
                        .delete(job.caller, &name.parse()?, force, &job.reporter)
                        .await?;
                    job.reporter.containers_changed();
                    Ok(())
                },
            )
            .await
    }

    async fn start_container(
        &self,
        name: String,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Launched> {
        self.0
            .launch(
                &header,
                OperationKind::Start,
                &name.clone(),
                async move |job| {
                    let name: ContainerName = name.parse()?;
                    let owner = users::lookup(job.caller).await?;
                    if job.service().start(&owner, &name, &job.reporter).await? == Changed::Yes {
                        job.reporter.containers_changed();
                    }
                    Ok(())
                },
            )
            .await
    }

    async fn stop_container(
        &self,
        name: String,
        force: bool,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Launched> {
        self.0
            .launch(
                &header,
                OperationKind::Stop,
                &name.clone(),
                async move |job| {
                    if job
                        .service()
                        .stop(job.caller, &name.parse()?, force, &job.reporter)
                        .await?
                        == Changed::Yes
                    {
                        job.reporter.containers_changed();
                    }
                    Ok(())
                },
            )
            .await
    }

    async fn refresh_images(
        &self,
        image: String,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Launched> {
        self.0
            .launch(
                &header,
                OperationKind::RefreshImages,
                &image.clone(),
                async move |job| {
                    let settings = config::system_settings().await;
                    job.service()
                        .refresh_images(job.caller, &settings, &image, &job.reporter)
                        .await
                },
            )
            .await
    }

    async fn import_image(
        &self,
        path: String,
        alias: String,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Launched> {
        self.0
            .launch(
                &header,
                OperationKind::ImportImage,
                &alias.clone(),
                async move |job| {
                    image::check_alias(&alias)?;
                    let owner = users::lookup(job.caller).await?;
                    let source = open_image(&owner, PathBuf::from(path)).await?;
                    job.service()
                        .import_image(job.caller, source, &alias, &job.reporter)
                        .await
                },
            )
            .await
    }

    async fn list_images(&self, #[zbus(header)] header: Header<'_>) -> Result<String> {
        let caller = self.0.caller(&header).await?;
        self.0.service.images_json(caller.uid).await
    }

    async fn delete_image(
        &self,
        identifier: String,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Launched> {
        self.0
            .launch(
                &header,
                OperationKind::DeleteImage,
                &identifier.clone(),
                async move |job| {
                    image::check_alias(&identifier)?;
                    job.service()
                        .delete_image(job.caller, &identifier, &job.reporter)
                        .await
                },
            )
            .await
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
        let caller = self.0.caller(&header).await?;
        let owner = users::lookup(caller.uid).await?;
        let own = uid == owner.uid
            && gid == owner.gid
            && username == owner.name
            && Path::new(&home_dir) == owner.home;
        if !own {
            return Err(Error::new(
                ErrorKind::AccessDenied,
                "calls that name another identity than the caller's are refused",
            ));
        }
        self.0
            .launch(
                &header,
                OperationKind::SetupUser,
                &container_name.clone(),
                async move |job| {
                    job.service()
                        .setup_user(&owner, &container_name.parse()?, &job.reporter)
                        .await
                },
            )
            .await
    }

    async fn is_user_setup(
        &self,
        container_name: String,
        uid: u32,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<bool> {
        let caller = self.0.caller(&header).await?;
        let Ok(name) = container_name.parse::<ContainerName>() else {
            return Ok(false);
        };
        if uid != caller.uid {
            return Ok(false);
        }
        match self.0.service.is_user_setup(uid, &name).await {
            Err(error) if error.kind == ErrorKind::NotFound => Ok(false),
            answer => answer,
        }
    }

    async fn list_containers(
        &self,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Vec<ContainerStruct>> {
        let caller = self.0.caller(&header).await?;
        let containers = self.0.service.list(caller.uid).await?;
        Ok(containers.into_iter().map(to_struct).collect())
    }

    /// In a tuple of one, as zbus takes a tuple for as many values.
    async fn get_container_info(
        &self,
        name: String,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(ContainerStruct,)> {
        let caller = self.0.caller(&header).await?;
        let container = self.0.service.summary(caller.uid, &name.parse()?).await?;
        Ok((to_struct(container),))
    }

    /// Never an error of D-Bus, as existing clients want it.
    async fn get_config(&self, #[zbus(header)] header: Header<'_>) -> HashMap<String, String> {
        match self.configuration(&header).await {
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
            .command_line(&header, &container_name, command, working_directory)
            .await;
        match answer {
            Ok(command) => ((true, String::new(), command),),
            Err(error) => ((false, error.message, Vec::new()),),
        }
    }
}

impl Manager {
    async fn configuration(&self, header: &Header<'_>) -> Result<HashMap<String, String>> {
        let caller = self.0.caller(header).await?;
        let user = users::lookup(caller.uid).await?;
        let configuration = config::settings_for(&user).await;
        let mut map = HashMap::from([
            (
                "default_container".to_owned(),
                configuration.settings.default_container,
            ),
            (
                "default_image".to_owned(),
                configuration.settings.default_image,
            ),
        ]);
        if !configuration.warnings.is_empty() {
            map.insert("warnings".to_owned(), configuration.warnings.join("\n"));
        }
        Ok(map)
    }

    async fn command_line(
        &self,
        header: &Header<'_>,
        name: &str,
        command: Vec<String>,
        directory: String,
    ) -> Result<Vec<String>> {
        let caller = self.0.caller(header).await?;
        let name = named_or_default(name, caller.uid).await?;
        // Clients make a container that is missing; one that is stopped is `kapsule enter`'s.
        self.0.service.summary(caller.uid, &name).await?;
        if directory.starts_with('-') {
            return Err(Error::invalid(format!(
                "{directory:?} is not a working directory"
            )));
        }
        Ok(enter_command(&name, command, directory))
    }
}

/// Has an administrator agree to folders that the user could not open themselves.
async fn agree_to_mounts(
    job: &Job,
    owner: &User,
    options: &BTreeMap<String, OptionValue>,
) -> Result<Consent> {
    let folders = job.service().mounts_beyond_rights(owner, options).await?;
    let Some(first) = folders.first() else {
        return Ok(Consent::None);
    };
    job.require(Act::MountBeyondOwnRights).await.map_err(|error| {
        error.context(format!(
            "cannot share {} with the container: {} may not read it, and an administrator has to agree",
            first.display(),
            owner.name
        ))
    })?;
    Ok(Consent::Given)
}

fn enter_command(name: &ContainerName, command: Vec<String>, directory: String) -> Vec<String> {
    let mut line = vec!["kapsule".to_owned(), "enter".to_owned(), name.to_string()];
    if !directory.is_empty() {
        line.extend(["--cwd".to_owned(), directory]);
    }
    if !command.is_empty() {
        line.push("--".to_owned());
        line.extend(command);
    }
    line
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

fn parse_default_image(image: &str) -> Result<ImageRef> {
    image.parse().map_err(|error| {
        Error::from(error).context(format!("default_image = {image} in the configuration"))
    })
}

/// Opens the two files of an image's folder with the rights of the user.
async fn open_image(owner: &User, folder: PathBuf) -> Result<ImportSource> {
    if !folder.is_absolute() {
        return Err(Error::invalid(format!(
            "{}: the path of an image's folder must begin with '/'",
            folder.display()
        )));
    }
    as_user::run(owner, PATIENCE, "opening the image", move || {
        let open = |name: &str| {
            let path = folder.join(name);
            as_user::open_regular(&path, u64::MAX)
                .map_err(|error| Error::invalid(format!("{}: {error}", path.display())))
        };
        Ok(ImportSource::Split {
            metadata: open("incus.tar.xz")?.into(),
            rootfs: open("rootfs.squashfs")?.into(),
        })
    })
    .await?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_stays_the_words_it_is() {
        let name: ContainerName = "dev".parse().unwrap();
        let words = |words: &[&str]| {
            words
                .iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            enter_command(&name, Vec::new(), String::new()),
            ["kapsule", "enter", "dev"]
        );
        assert_eq!(
            enter_command(&name, words(&["ls", "-l", "a b"]), "/tmp".to_owned()),
            [
                "kapsule", "enter", "dev", "--cwd", "/tmp", "--", "ls", "-l", "a b"
            ]
        );
    }
}
