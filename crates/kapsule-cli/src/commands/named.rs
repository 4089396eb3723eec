// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Commands that do the same with each of the containers that are named.

use clap_complete::ArgValueCandidates;
use kapsule_core::name::ContainerName;
use zbus::OwnedObjectPath;

use crate::bus::{Bus, run_operation};
use crate::completion;
use crate::error::CommandError;
use crate::ui;

use super::owner::OwnerFlag;
use super::{container_names, for_each};

/// The containers that are meant, and whose they are.
#[derive(Debug, clap::Args)]
pub(crate) struct Containers {
    /// The containers
    #[arg(required = true, value_name = "NAME", add = ArgValueCandidates::new(completion::container_names))]
    names: Vec<String>,
    #[command(flatten)]
    owner: OwnerFlag,
}

/// What is done, for headings ("Stopping") and errors ("stop").
#[derive(Clone, Copy, Debug)]
pub(super) struct Deed {
    pub(super) doing: &'static str,
    pub(super) to_do: &'static str,
}

impl Containers {
    /// # Errors
    /// When one of the names cannot be that of a container.
    pub(super) fn names(&self) -> Result<Vec<ContainerName>, CommandError> {
        container_names(&self.names)
    }

    /// Runs an operation on each container and shows its progress. `start` gets the owner, where that is
    /// somebody else, and the name.
    pub(super) async fn each(
        &self,
        bus: &Bus,
        deed: Deed,
        start: impl AsyncFn(Option<&str>, &str) -> zbus::Result<OwnedObjectPath>,
    ) -> Result<(), CommandError> {
        let owner = self.owner.other();
        for_each(&self.names()?, async |name| {
            ui::heading(&format!("{} container: {name}", deed.doing));
            run_operation(bus, async || start(owner, name.as_str()).await)
                .await
                .map_err(|error| error.context(format!("cannot {} container '{name}'", deed.to_do)))
        })
        .await
    }
}
