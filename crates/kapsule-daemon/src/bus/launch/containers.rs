// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Operations on containers.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use kapsule_core::image::ImageRef;
use kapsule_core::isolation::Isolation;
use kapsule_core::name::ContainerName;
use kapsule_core::options::OptionValue;
use zbus::OwnedVariant;
use zbus::message::Header;

use super::{Asked, Job, Launched, Shared, Whose};
use crate::bus::options::from_bus;
use crate::error::{Error, ErrorKind, Result};
use crate::ops::OperationKind;
use crate::policy::Act;
use crate::service::{Changed, Consent, CreateRequest};
use crate::users::User;
use crate::{config, users};

/// An identity as a call names it: user and group id, name, home folder.
pub(in crate::bus) type Identity = (u32, u32, String, String);

/// What is done with a container that is there. By force: without asking its init.
#[derive(Clone, Copy, Debug)]
pub(in crate::bus) enum Change {
    Start,
    Stop { force: bool },
    Restart { force: bool },
    Delete { force: bool },
}

impl Change {
    fn kind(self) -> OperationKind {
        match self {
            Self::Start => OperationKind::Start,
            Self::Stop { .. } => OperationKind::Stop,
            Self::Restart { .. } => OperationKind::Restart,
            Self::Delete { .. } => OperationKind::Delete,
        }
    }

    async fn make(self, job: &Job, name: &ContainerName) -> Result<Changed> {
        let (service, reporter) = (job.service(), &job.reporter);
        match self {
            Self::Start => {
                let owner = users::lookup(job.owner).await?;
                service.start(&owner, name, reporter).await
            }
            Self::Stop { force } => service.stop(job.owner, name, force, reporter).await,
            Self::Restart { force } => {
                let owner = users::lookup(job.owner).await?;
                service.restart(&owner, name, force, reporter).await?;
                Ok(Changed::Yes)
            }
            Self::Delete { force } => {
                service.delete(job.owner, name, force, reporter).await?;
                Ok(Changed::Yes)
            }
        }
    }
}

impl Shared {
    pub(in crate::bus) async fn create(
        self: &Arc<Self>,
        header: &Header<'_>,
        name: String,
        image: String,
        options: HashMap<String, OwnedVariant>,
    ) -> Result<Launched> {
        let asked = Asked::own(OperationKind::Create, &name);
        self.launch(header, asked, async move |job| {
            let name: ContainerName = name.parse()?;
            let options = from_bus(options)?;
            let owner = users::lookup(job.owner).await?;
            let configuration = config::settings_for(&owner).await;
            for warning in &configuration.warnings {
                job.reporter.warning(warning);
                job.reporter.hint("Correct that file, or remove it");
            }
            let image: ImageRef = match image.as_str() {
                "" => parse_default_image(&configuration.settings.default_image)?,
                image => image.parse()?,
            };
            let mut request = CreateRequest {
                name,
                image,
                options,
                consent_to_mounts: Consent::None,
                consent_to_devices: Consent::None,
                may_be_privileged: false,
            };
            if request.check(&configuration.settings)? == Isolation::Privileged {
                job.require(Act::CreatePrivileged).await?;
                request.may_be_privileged = true;
            }
            if request.asks_for_devices() {
                request.consent_to_devices = agree_to_devices(&job).await?;
            }
            request.consent_to_mounts = agree_to_mounts(&job, &owner, &request.options).await?;
            job.service()
                .create(&owner, &configuration.settings, request, &job.reporter)
                .await?;
            job.reporter.containers_changed();
            Ok(())
        })
        .await
    }

    /// Does something with a container that is there.
    pub(in crate::bus) async fn change(
        self: &Arc<Self>,
        header: &Header<'_>,
        whose: Whose,
        name: String,
        change: Change,
    ) -> Result<Launched> {
        let asked = Asked::new(change.kind(), &name, whose);
        self.launch(header, asked, async move |job| {
            if change.make(&job, &name.parse()?).await? == Changed::Yes {
                job.reporter.containers_changed();
            }
            Ok(())
        })
        .await
    }

    pub(in crate::bus) async fn set_options(
        self: &Arc<Self>,
        header: &Header<'_>,
        whose: Whose,
        name: String,
        options: HashMap<String, OwnedVariant>,
    ) -> Result<Launched> {
        let asked = Asked::new(OperationKind::SetOptions, &name, whose);
        self.launch(header, asked, async move |job| {
            let name: ContainerName = name.parse()?;
            let options = from_bus(options)?;
            let owner = users::lookup(job.owner).await?;
            let service = job.service();
            let consent = match service.adds_devices(owner.uid, &name, &options).await? {
                true => agree_to_devices(&job).await?,
                false => Consent::None,
            };
            let changed = service
                .set_options(&owner, &name, &options, consent, &job.reporter)
                .await?;
            if changed == Changed::Yes {
                job.reporter.containers_changed();
            }
            Ok(())
        })
        .await
    }

    /// # Errors
    /// `AccessDenied` for an identity other than the caller's.
    pub(in crate::bus) async fn setup_user(
        self: &Arc<Self>,
        header: &Header<'_>,
        name: String,
        (uid, gid, user, home): Identity,
    ) -> Result<Launched> {
        let caller = self.caller(header).await?;
        let owner = users::lookup(caller.uid).await?;
        let own = uid == owner.uid
            && gid == owner.gid
            && user == owner.name
            && Path::new(&home) == owner.home;
        if !own {
            return Err(Error::new(
                ErrorKind::AccessDenied,
                "calls that name another identity than the caller's are refused",
            ));
        }
        let asked = Asked::own(OperationKind::SetupUser, &name);
        self.launch(header, asked, async move |job| {
            job.service()
                .setup_user(&owner, &name.parse()?, &job.reporter)
                .await
        })
        .await
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

/// Has an administrator agree to USB devices.
async fn agree_to_devices(job: &Job) -> Result<Consent> {
    job.require(Act::GiveDevices).await.map_err(|error| {
        error.context("an administrator has to agree to USB devices in containers")
    })?;
    Ok(Consent::Given)
}

fn parse_default_image(image: &str) -> Result<ImageRef> {
    image.parse().map_err(|error| {
        Error::from(error).context(format!("default_image = {image} in the configuration"))
    })
}
