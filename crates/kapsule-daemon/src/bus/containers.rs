// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Containers, beyond what the first interface can say.

use std::collections::HashMap;
use std::sync::Arc;

use zbus::message::Header;
use zbus::object_server::SignalEmitter;
use zbus::{OwnedFd, OwnedVariant, interface};

use super::Shared;
use super::launch::{Change, Launched, Whose};
use super::look::to_json;
use crate::agents::SessionUser;
use crate::error::Result;

#[derive(Debug)]
pub(super) struct Containers1(pub(super) Arc<Shared>);

#[interface(name = "org.kde.kapsule.Containers1", introspection_docs = false)]
impl Containers1 {
    /// Says besides how far the container is kept apart, for the caller to know what not to hand
    /// over.
    async fn open_session(
        &self,
        name: String,
        as_root: bool,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<(String, OwnedFd, String)> {
        let user = if as_root {
            SessionUser::Root
        } else {
            SessionUser::Owner
        };
        let (name, session, isolation) = self.0.session(&header, &name, user).await?;
        Ok((name, session, isolation.to_string()))
    }

    /// Sent by [`super::signals`], to those whom it concerns.
    #[zbus(signal)]
    async fn agent_changed(
        emitter: &SignalEmitter<'_>,
        name: &str,
        present: bool,
    ) -> zbus::Result<()>;

    async fn get_info(&self, name: String, #[zbus(header)] header: Header<'_>) -> Result<String> {
        to_json(&self.0.info(&header, Whose::Own, &name).await?)
    }

    async fn list(&self, #[zbus(header)] header: Header<'_>) -> Result<String> {
        to_json(&self.0.list(&header).await?)
    }

    async fn restart(
        &self,
        name: String,
        force: bool,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Launched> {
        let change = Change::Restart { force };
        self.0.change(&header, Whose::Own, name, change).await
    }

    async fn set_options(
        &self,
        name: String,
        options: HashMap<String, OwnedVariant>,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Launched> {
        self.0.set_options(&header, Whose::Own, name, options).await
    }
}
