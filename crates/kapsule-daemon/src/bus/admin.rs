// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `org.kde.kapsule.Admin1`: what belongs to other users, and what holds for all of them. A user
//! is always named; nothing here happens to somebody else's things by mistake.

use std::collections::HashMap;
use std::sync::Arc;

use zbus::message::Header;
use zbus::{ObjectPath, OwnedObjectPath, OwnedVariant, interface};

use super::launch::{Change, Launched, Whose};
use super::look::to_json;
use super::{Shared, operation};
use crate::error::{Error, ErrorKind, Result};
use crate::policy::Act;
use crate::{config, users};

/// Path, user id, description, status.
type OperationStruct = (OwnedObjectPath, u32, String, String);

#[derive(Debug)]
pub(super) struct Admin1(pub(super) Arc<Shared>);

#[interface(name = "org.kde.kapsule.Admin1", introspection_docs = false)]
impl Admin1 {
    async fn list_all(&self, #[zbus(header)] header: Header<'_>) -> Result<String> {
        to_json(&self.0.list_all(&header).await?)
    }

    async fn get_info(
        &self,
        owner: String,
        name: String,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<String> {
        to_json(&self.0.info(&header, whose(&owner).await?, &name).await?)
    }

    async fn start(
        &self,
        owner: String,
        name: String,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Launched> {
        let whose = whose(&owner).await?;
        self.0.change(&header, whose, name, Change::Start).await
    }

    async fn stop(
        &self,
        owner: String,
        name: String,
        force: bool,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Launched> {
        let (whose, change) = (whose(&owner).await?, Change::Stop { force });
        self.0.change(&header, whose, name, change).await
    }

    async fn restart(
        &self,
        owner: String,
        name: String,
        force: bool,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Launched> {
        let (whose, change) = (whose(&owner).await?, Change::Restart { force });
        self.0.change(&header, whose, name, change).await
    }

    async fn set_options(
        &self,
        owner: String,
        name: String,
        options: HashMap<String, OwnedVariant>,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Launched> {
        let whose = whose(&owner).await?;
        self.0.set_options(&header, whose, name, options).await
    }

    async fn delete(
        &self,
        owner: String,
        name: String,
        force: bool,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Launched> {
        let (whose, change) = (whose(&owner).await?, Change::Delete { force });
        self.0.change(&header, whose, name, change).await
    }

    async fn list_operations(
        &self,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Vec<OperationStruct>> {
        self.0.permitted(&header, Act::ManageOthers).await?;
        let running = self.0.operations.running(None);
        let described = running.iter().map(|operation| {
            Ok((
                operation::path(operation.id)?.into(),
                operation.spec.asked_by,
                operation.spec.description.clone(),
                operation.status().as_str().to_owned(),
            ))
        });
        described.collect()
    }

    async fn cancel_operation(
        &self,
        operation: ObjectPath<'_>,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<bool> {
        let caller = self.0.permitted(&header, Act::ManageOthers).await?;
        let running = self.0.operations.running(None);
        let found = running
            .iter()
            .find(|known| operation::path(known.id).is_ok_and(|path| path == operation))
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::NotFound,
                    format!("there is no operation {operation} that runs"),
                )
            })?;
        tracing::info!(
            by = caller.uid,
            "{}: is to be cancelled",
            found.spec.description
        );
        Ok(found.cancel())
    }

    /// Gives the file that still decides otherwise, or nothing.
    async fn set_system_default(
        &self,
        key: String,
        value: String,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<String> {
        self.change_default(&header, &key, Some(&value)).await
    }

    async fn unset_system_default(
        &self,
        key: String,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<()> {
        self.change_default(&header, &key, None).await.map(drop)
    }
}

impl Admin1 {
    async fn change_default(
        &self,
        header: &Header<'_>,
        key: &str,
        value: Option<&str>,
    ) -> Result<String> {
        let act = Act::ChangeSystemDefaults;
        let caller = self.0.permitted(header, act).await?;
        let decides = config::set_for_all(key, value).await?;
        tracing::info!(by = caller.uid, "setting {key:?} of all users has changed");
        Ok(decides.map_or_else(String::new, |path| path.display().to_string()))
    }
}

/// Nobody is looked up for themselves: whether there is such a user is no secret.
async fn whose(owner: &str) -> Result<Whose> {
    Ok(Whose::Of(users::uid_of(owner).await?))
}
