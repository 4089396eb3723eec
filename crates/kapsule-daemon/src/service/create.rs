// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Making a container: everything is checked before anything is changed, and what was begun is
//! taken back when it cannot be finished.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use incus::{InstancePatch, InstancePost, InstanceSource, StateChange};
use kapsule_core::image::ImageRef;
use kapsule_core::isolation::Isolation;
use kapsule_core::name::ContainerName;
use kapsule_core::options::{self, OptionValue, Options};
use kapsule_core::settings::Settings;
use kapsule_proto::folder::FolderId;
use kapsule_proto::spec::Share;
use tracing::warn;

use super::follow::follow;
use super::images::LocalImage;
use super::metadata::HostNetwork;
use super::mounts::{self, Folder, Origin};
use super::{Consent, Service, devices, incus_error, metadata, spec};
use crate::container_id::ContainerId;
use crate::error::{Error, ErrorKind, Result};
use crate::ops::Reporter;
use crate::users::User;

/// What a container is to be.
#[derive(Clone, Debug)]
pub(crate) struct CreateRequest {
    pub(crate) name: ContainerName,
    pub(crate) image: ImageRef,
    pub(crate) options: BTreeMap<String, OptionValue>,
    /// Whether an administrator agreed to share folders that the owner could not open.
    pub(crate) consent_to_mounts: Consent,
    /// Whether an administrator agreed to the USB devices among the options.
    pub(crate) consent_to_devices: Consent,
    /// Whether it was agreed to that the container may be privileged.
    pub(crate) may_be_privileged: bool,
}

impl CreateRequest {
    /// Whether the caller, not the image, wants USB devices.
    pub(crate) fn asks_for_devices(&self) -> bool {
        let devices = self.options.get("devices");
        matches!(devices, Some(OptionValue::Array(devices)) if !devices.is_empty())
    }

    /// Refuses what can be refused without asking anyone, and tells how far the container is to be kept
    /// apart. The image may make it stricter, and never weaker: whether there is to be consent to a
    /// privileged one is known now.
    ///
    /// # Errors
    /// For options that contradict each other, and values that cannot be.
    pub(crate) fn check(&self, settings: &Settings) -> Result<Isolation> {
        let default = default_level(settings)?;
        let no_image = BTreeMap::new();
        match options::resolve(&self.options, &no_image, default) {
            Ok(options) => Ok(options.isolation),
            // Another option of the image may make it right.
            Err(options::OptionsError::Requires { .. }) => {
                Ok(options::level(&self.options, &no_image, default)?)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// The level of isolation that the configuration wants.
fn default_level(settings: &Settings) -> Result<Isolation> {
    settings.isolation.parse().map_err(|error| {
        Error::invalid(format!(
            "isolation = {} in the configuration: {error}",
            settings.isolation
        ))
    })
}

/// How long the first boot may take until sessions can be opened. It passes in about a second;
/// the limit is for machines under heavy load.
const FIRST_BOOT: Duration = Duration::from_secs(60);

impl Service {
    /// Makes a container and starts it.
    ///
    /// # Errors
    /// With the reason; then nothing of the container is left.
    pub(crate) async fn create(
        &self,
        owner: &User,
        settings: &Settings,
        request: CreateRequest,
        reporter: &Reporter,
    ) -> Result<()> {
        let id = ContainerId::new(owner.uid, &request.name);
        request.check(settings)?;
        let server = self.server_address(&request.image, settings)?;

        let _alone = self.locks.lock(&id).await;
        self.check_incus().await?;
        self.make_room(&id).await?;
        let asked_for = requested_mounts(&request.options);
        mounts::check(owner, &asked_for, Origin::Caller, request.consent_to_mounts).await?;

        let image = self
            .find_image(owner.uid, &request.image, server, reporter)
            .await?;
        let options = merged_options(&request, &image, default_level(settings)?)?;
        if options.isolation == Isolation::Privileged && !request.may_be_privileged {
            return Err(Error::new(
                ErrorKind::AccessDenied,
                "nobody has agreed to a privileged container",
            ));
        }
        devices::check_consent(&[], &options.devices, request.consent_to_devices)?;
        // An image is agreed to by nobody.
        let (origin, consent) = if asked_for.is_empty() {
            (Origin::Image, Consent::None)
        } else {
            (Origin::Caller, request.consent_to_mounts)
        };
        let folders = mounts::check(owner, &options.custom_mounts, origin, consent).await?;
        let shares = mounts::shares(owner, &options, &folders).await?;
        if reporter.is_cancelled() {
            return Err(Error::cancelled());
        }

        let server = self.prepare(owner, settings, &options, reporter).await?;
        let version = &server.environment.server_version;
        let mut post = InstancePost::new(
            id.name.as_str(),
            InstanceSource::Fingerprint(image.fingerprint),
        );
        post.description = format!("Kapsule container of {}", owner.name);
        post.config = metadata::new_instance(
            owner,
            &request.image,
            &options,
            HostNetwork::for_version(version),
        );
        metadata::note_consented(&mut post.config, &consented(&folders));
        post.devices = devices::new_instance(
            &id,
            owner,
            &options,
            &folders,
            &settings.pool,
            &self.folders,
        );
        post.profiles = Some(Vec::new());

        let folder = self.folders.container(&id);
        let spec = spec::new(&id, owner, &options, shares.clone(), None);
        spec::write(&folder, &spec)?;
        let made = self.make(&id, owner, &options, shares, &post, reporter);
        if let Err(error) = made.await {
            self.take_back(&id).await;
            return Err(error);
        }
        self.tell_about_bus(&id, &options, reporter);
        reporter.success(format!("Container '{}' is ready", id.name));
        Ok(())
    }

    /// The folders that somebody asked to share and could not open themselves.
    ///
    /// # Errors
    /// Where a path cannot be one.
    pub(crate) async fn mounts_beyond_rights(
        &self,
        owner: &User,
        options: &BTreeMap<String, OptionValue>,
    ) -> Result<Vec<PathBuf>> {
        mounts::beyond_rights(owner, &requested_mounts(options)).await
    }

    async fn make(
        &self,
        id: &ContainerId,
        owner: &User,
        options: &Options,
        shares: Vec<Share>,
        post: &InstancePost,
        reporter: &Reporter,
    ) -> Result<()> {
        let project = self.project(id.owner);
        reporter.info(format!("Creating container '{}'", id.name));
        let operation = project.create_instance(post).await.map_err(incus_error)?;
        follow(operation, reporter, "Unpacking the image").await?;
        // Incus has chosen the container's numbers now.
        let made = project.instance(id.name.as_str()).await;
        let config = &made.map_err(incus_error)?.config;
        self.introduce(id, owner, options, shares, config)?;

        reporter.info(format!("Starting container '{}'", id.name));
        let start = project
            .change_state(id.name.as_str(), &StateChange::start())
            .await
            .map_err(incus_error)?;
        follow(start, reporter, "Starting").await?;
        self.await_agent(id, FIRST_BOOT, reporter).await?;
        if reporter.is_cancelled() {
            return Err(Error::cancelled());
        }
        self.run_init_hooks(id, reporter).await?;
        let config = [
            (metadata::STATE.to_owned(), metadata::STATE_READY.to_owned()),
            (metadata::mapped_key(id.owner), "true".to_owned()),
        ];
        let patch = InstancePatch {
            config: config.into_iter().collect(),
            ..InstancePatch::default()
        };
        project
            .patch_instance(id.name.as_str(), &patch, None)
            .await
            .map_err(incus_error)
    }

    /// Refuses when the name is taken; removes what an earlier daemon left unfinished.
    async fn make_room(&self, id: &ContainerId) -> Result<()> {
        match self.project(id.owner).instance(id.name.as_str()).await {
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(incus_error(error)),
            Ok(instance) if metadata::is_unfinished(&instance.config) => {
                self.remove_instance(id).await
            }
            Ok(_) => Err(Error::new(
                ErrorKind::AlreadyExists,
                format!(
                    "a container '{0}' already exists. Choose another name, or delete it with 'kapsule rm {0}'",
                    id.name
                ),
            )),
        }
    }

    /// Removes what there is of a container that could not be finished. Not an instance of that
    /// name that somebody else made meanwhile.
    pub(super) async fn take_back(&self, id: &ContainerId) {
        let removed = match self.project(id.owner).instance(id.name.as_str()).await {
            Ok(instance) if !metadata::is_unfinished(&instance.config) => Ok(()),
            _ => self.remove_instance(id).await,
        };
        if let Err(error) = removed {
            // The next start of the daemon tries again.
            warn!(container = %id, %error, "cannot remove an unfinished container");
            return;
        }
        self.agents.forget(id);
        spec::remove(&self.folders.container(id));
    }
}

/// The folders that were agreed to, by their paths on the host.
fn consented(folders: &[Folder]) -> BTreeMap<String, FolderId> {
    let beyond = folders.iter().filter(|folder| folder.beyond_rights);
    beyond
        .map(|folder| {
            (
                folder.source.to_string_lossy().into_owned(),
                folder.id.clone(),
            )
        })
        .collect()
}

/// The folders that the caller, not the image, wants to share.
fn requested_mounts(options: &BTreeMap<String, OptionValue>) -> Vec<String> {
    match options.get("custom_mounts") {
        Some(OptionValue::Array(paths)) => paths.clone(),
        _ => Vec::new(),
    }
}

fn merged_options(
    request: &CreateRequest,
    image: &LocalImage,
    default_level: Isolation,
) -> Result<Options> {
    let defaults = options::parse_image_defaults(&image.default_options)?;
    for key in &defaults.ignored {
        warn!(image = %request.image, key, "the image sets an option that is not known or not an image's to set");
    }
    Ok(options::resolve(
        &request.options,
        &defaults.values,
        default_level,
    )?)
}
