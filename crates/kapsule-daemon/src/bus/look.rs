// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What callers get to see, once for all interfaces that show it.

use std::collections::HashMap;

use kapsule_core::container::{ContainerInfo, ContainerSummary, OwnedContainer};
use kapsule_core::isolation;
use kapsule_core::name::ContainerName;
use zbus::message::Header;

use super::Shared;
use super::launch::Whose;
use crate::caller::Caller;
use crate::error::{Error, ErrorKind, Result};
use crate::policy::Act;
use crate::{config, users};

impl Shared {
    /// The caller, who may see their own things.
    async fn viewer(&self, header: &Header<'_>) -> Result<Caller> {
        self.permitted(header, Act::SeeContainers).await
    }

    /// The caller's containers.
    pub(super) async fn list(&self, header: &Header<'_>) -> Result<Vec<ContainerSummary>> {
        let caller = self.viewer(header).await?;
        self.service.list(caller.uid).await
    }

    /// Everybody's containers, for an administrator.
    pub(super) async fn list_all(&self, header: &Header<'_>) -> Result<Vec<OwnedContainer>> {
        self.permitted(header, Act::ManageOthers).await?;
        let mut all = Vec::new();
        for owner in self.service.owners().await? {
            let containers = self.service.list(owner).await?;
            if containers.is_empty() {
                continue;
            }
            // Accounts go, and their containers stay until somebody deletes them.
            let owner_name = users::lookup(owner).await.ok().map(|user| user.name);
            all.extend(containers.into_iter().map(|summary| OwnedContainer {
                summary,
                owner,
                owner_name: owner_name.clone(),
            }));
        }
        Ok(all)
    }

    /// One container, as lists show it.
    pub(super) async fn summary(
        &self,
        header: &Header<'_>,
        name: &str,
    ) -> Result<ContainerSummary> {
        let caller = self.viewer(header).await?;
        self.service.summary(caller.uid, &name.parse()?).await
    }

    /// Everything about one container.
    pub(super) async fn info(
        &self,
        header: &Header<'_>,
        whose: Whose,
        name: &str,
    ) -> Result<ContainerInfo> {
        let caller = self.caller(header).await?;
        let owner = whose.owner(caller.uid);
        let act = match owner == caller.uid {
            true => Act::SeeContainers,
            false => Act::ManageOthers,
        };
        self.policy.permit(&caller, act).await?;
        let name: ContainerName = name.parse()?;
        self.service.info(owner, &name).await
    }

    /// The images that the caller can use, as Incus' JSON.
    pub(super) async fn images_json(&self, header: &Header<'_>) -> Result<String> {
        let caller = self.viewer(header).await?;
        self.service.images_json(caller.uid).await
    }

    /// Whether the caller is set up in a container; false for anybody else.
    pub(super) async fn is_user_setup(
        &self,
        header: &Header<'_>,
        name: &str,
        uid: u32,
    ) -> Result<bool> {
        let caller = self.viewer(header).await?;
        let Ok(name) = name.parse::<ContainerName>() else {
            return Ok(false);
        };
        if uid != caller.uid {
            return Ok(false);
        }
        match self.service.is_user_setup(uid, &name).await {
            Err(error) if error.kind == ErrorKind::NotFound => Ok(false),
            answer => answer,
        }
    }

    /// The settings in force for the caller, as existing clients know them. They are the
    /// caller's own file and such as everybody can read, so that polkit is not asked.
    pub(super) async fn configuration(
        &self,
        header: &Header<'_>,
    ) -> Result<HashMap<String, String>> {
        let caller = self.caller(header).await?;
        let user = users::lookup(caller.uid).await?;
        let configuration = config::settings_for(&user).await;
        let settings = configuration.settings;
        let mut map = HashMap::from([
            ("default_container".to_owned(), settings.default_container),
            ("default_image".to_owned(), settings.default_image),
            (isolation::KEY.to_owned(), settings.isolation),
        ]);
        if !configuration.warnings.is_empty() {
            map.insert("warnings".to_owned(), configuration.warnings.join("\n"));
        }
        Ok(map)
    }
}

pub(super) fn to_json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Error::failed(format!("cannot be written as JSON: {error}")))
}
