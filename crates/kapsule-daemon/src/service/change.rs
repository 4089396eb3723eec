// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Changing the options of a container that there is. What can be changed is what the agent inside
//! follows: the daemon writes it down in Incus and in the container's folder, and the agent looks.

use std::collections::BTreeMap;

use incus::{Instance, InstancePatch, InstancePut, Versioned};
use kapsule_core::name::ContainerName;
use kapsule_core::options::{OptionValue, Options};

use super::follow::follow;
use super::{Changed, Consent, Service, devices, incus_error, metadata, spec};
use crate::container_id::ContainerId;
use crate::error::Result;
use crate::ops::Reporter;
use crate::users::User;

impl Service {
    /// Whether these changes give the container USB devices that it does not have.
    ///
    /// # Errors
    /// As [`Self::set_options`].
    pub(crate) async fn adds_devices(
        &self,
        owner: u32,
        name: &ContainerName,
        changes: &BTreeMap<String, OptionValue>,
    ) -> Result<bool> {
        if !changes.contains_key("devices") {
            return Ok(false);
        }
        let instance = self.instance(&ContainerId::new(owner, name)).await?;
        let before = metadata::options(&instance.config);
        let after = before.change(changes)?;
        let adds = devices::added(&before.devices, &after.devices).next();
        Ok(adds.is_some())
    }

    /// Changes options, and leaves all others as they are. With consent to USB devices, also where these
    /// are more than before.
    ///
    /// # Errors
    /// For an option that there is not, that cannot be so at the container's level of isolation, or that
    /// only the making of a container decides; then nothing is changed.
    pub(crate) async fn set_options(
        &self,
        owner: &User,
        name: &ContainerName,
        changes: &BTreeMap<String, OptionValue>,
        consent: Consent,
        reporter: &Reporter,
    ) -> Result<Changed> {
        let id = ContainerId::new(owner.uid, name);
        let _alone = self.locks.lock(&id).await;
        let instance = self.instance(&id).await?;
        let before = metadata::options(&instance.config);
        let after = before.change(changes)?;
        // It may have lost some since somebody was asked.
        devices::check_consent(&before.devices, &after.devices, consent)?;
        if after == before {
            reporter.success(format!("Container '{name}' is so already"));
            return Ok(Changed::No);
        }
        self.write_down(owner, &instance, &before, &after, reporter)
            .await?;
        // Should this fail, the next start does it. The folders stay those that were mounted.
        let shares = spec::read(&self.folders.container(&id)).map_or_else(Vec::new, |it| it.shares);
        self.introduce(&id, owner, &after, shares, &instance.config)?;
        self.tell_about_bus(&id, &after, reporter);
        reporter.success(format!("Container '{name}' is changed"));
        Ok(Changed::Yes)
    }

    /// Has Incus take the options over.
    async fn write_down(
        &self,
        owner: &User,
        instance: &Versioned<Instance>,
        before: &Options,
        after: &Options,
        reporter: &Reporter,
    ) -> Result<()> {
        let project = self.project(owner.uid);
        let changes = metadata::changeable(after);
        if before.devices == after.devices {
            let patch = InstancePatch {
                config: changes,
                ..InstancePatch::default()
            };
            return project
                .patch_instance(&instance.name, &patch, None)
                .await
                .map_err(incus_error);
        }
        // A patch takes no device away.
        let mut whole = instance.to_put();
        whole.config.extend(changes);
        devices::replace_usb(&mut whole.devices, owner, after);
        self.replace(owner.uid, instance, &whole, reporter).await
    }

    /// Has Incus give an instance other devices, unless somebody else changes it meanwhile.
    pub(super) async fn replace(
        &self,
        owner: u32,
        instance: &Versioned<Instance>,
        whole: &InstancePut,
        reporter: &Reporter,
    ) -> Result<()> {
        let operation = self
            .project(owner)
            .put_instance(&instance.name, whole, Some(&instance.etag))
            .await
            .map_err(incus_error)?;
        follow(operation, reporter, "Changing the devices").await?;
        Ok(())
    }
}
