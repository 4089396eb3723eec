// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Changing the options of a container that there is. What can be changed is what the agent inside
//! follows: the daemon writes it down in Incus and in the container's folder, and the agent looks.

use std::collections::BTreeMap;

use incus::InstancePatch;
use kapsule_core::name::ContainerName;
use kapsule_core::options::OptionValue;

use super::{Changed, Service, incus_error, metadata, spec};
use crate::container_id::ContainerId;
use crate::error::Result;
use crate::ops::Reporter;
use crate::users::User;

impl Service {
    /// Changes options, and leaves all others as they are.
    ///
    /// # Errors
    /// For an option that there is not, that cannot be so at the container's level of isolation, or that
    /// only the making of a container decides; then nothing is changed.
    pub(crate) async fn set_options(
        &self,
        owner: &User,
        name: &ContainerName,
        changes: &BTreeMap<String, OptionValue>,
        reporter: &Reporter,
    ) -> Result<Changed> {
        let id = ContainerId::new(owner.uid, name);
        let _alone = self.locks.lock(&id).await;
        let instance = self.instance(&id).await?;
        let before = metadata::options(&instance.config);
        let after = before.change(changes)?;
        if after == before {
            reporter.success(format!("Container '{name}' is so already"));
            return Ok(Changed::No);
        }
        let patch = InstancePatch {
            config: metadata::changeable(&after),
            ..InstancePatch::default()
        };
        self.project(id.owner)
            .patch_instance(name.as_str(), &patch, None)
            .await
            .map_err(incus_error)?;
        // Should this fail, the next start does it. The folders stay those that were mounted.
        let shares = spec::read(&self.folders.container(&id)).map_or_else(Vec::new, |it| it.shares);
        self.introduce(&id, owner, &after, shares, &instance.config)?;
        reporter.success(format!("Container '{name}' is changed"));
        Ok(Changed::Yes)
    }
}
