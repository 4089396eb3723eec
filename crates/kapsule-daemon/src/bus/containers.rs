// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Containers, beyond what the first interface can say.

use std::sync::Arc;

use kapsule_core::name::ContainerName;
use zbus::message::Header;
use zbus::{OwnedFd, interface};

use super::Shared;
use super::launch::Launched;
use crate::agents::SessionUser;
use crate::error::{Error, Result};
use crate::ops::OperationKind;
use crate::{config, users};

#[derive(Debug)]
pub(super) struct Containers1(pub(super) Arc<Shared>);

#[interface(name = "org.kde.kapsule.Containers1", introspection_docs = false)]
impl Containers1 {
    /// The way into a container. It is to be quick, and the name says whose it is: nobody is
    /// asked but the service.
    async fn open_session(
        &self,
        name: String,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(String, OwnedFd)> {
        self.session(&name, SessionUser::Owner, &header).await
    }

    async fn open_root_session(
        &self,
        name: String,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(String, OwnedFd)> {
        self.session(&name, SessionUser::Root, &header).await
    }

    async fn get_info(&self, name: String, #[zbus(header)] header: Header<'_>) -> Result<String> {
        let caller = self.0.caller(&header).await?;
        let name: ContainerName = name.parse()?;
        to_json(&self.0.service.info(caller.uid, &name).await?)
    }

    async fn list(&self, #[zbus(header)] header: Header<'_>) -> Result<String> {
        let caller = self.0.caller(&header).await?;
        to_json(&self.0.service.list(caller.uid).await?)
    }

    async fn restart(
        &self,
        name: String,
        force: bool,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Launched> {
        self.0
            .launch(
                &header,
                OperationKind::Restart,
                &name.clone(),
                async move |job| {
                    let name: ContainerName = name.parse()?;
                    let owner = users::lookup(job.caller).await?;
                    job.service()
                        .restart(&owner, &name, force, &job.reporter)
                        .await?;
                    job.reporter.containers_changed();
                    Ok(())
                },
            )
            .await
    }
}

impl Containers1 {
    async fn session(
        &self,
        name: &str,
        user: SessionUser,
        header: &Header<'_>,
    ) -> Result<(String, OwnedFd)> {
        let caller = self.0.caller(header).await?;
        let name = named_or_default(name, caller.uid).await?;
        let session = self.0.service.open_session(caller.uid, &name, user).await?;
        Ok((name.into(), session.into()))
    }
}

/// A container's name from an argument; the empty text is the user's default container.
pub(super) async fn named_or_default(name: &str, uid: u32) -> Result<ContainerName> {
    if !name.is_empty() {
        return Ok(name.parse()?);
    }
    let user = users::lookup(uid).await?;
    let default = config::settings_for(&user).await.settings.default_container;
    default.parse().map_err(|error| {
        Error::from(error).context(format!(
            "default_container = {default} in the configuration"
        ))
    })
}

fn to_json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Error::failed(format!("cannot be written as JSON: {error}")))
}
