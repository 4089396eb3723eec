// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `kapsule start`

use clap_complete::ArgValueCandidates;

use crate::bus::{Bus, run_operation};
use crate::completion;
use crate::error::CommandError;
use crate::ui;

use super::owner::OwnerFlag;
use super::{container_names, for_each};

/// Start containers
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Containers to start
    #[arg(required = true, value_name = "NAME", add = ArgValueCandidates::new(completion::container_names))]
    names: Vec<String>,
    #[command(flatten)]
    owner: OwnerFlag,
}

pub(crate) async fn run(args: Args, bus: &Bus) -> Result<(), CommandError> {
    let names = container_names(&args.names)?;
    let owner = args.owner.other();
    for_each(&names, async |name| match owner {
        None => start(bus, name.as_str()).await,
        Some(owner) => start_others(bus, owner, name.as_str()).await,
    })
    .await
}

/// Starts a container and shows the progress.
pub(crate) async fn start(bus: &Bus, name: &str) -> Result<(), CommandError> {
    ui::heading(&format!("Starting container: {name}"));
    let manager = bus.manager().await?;
    run_operation(bus, async || manager.start_container(name).await)
        .await
        .map_err(|error| not_started(error, name))
}

/// Starts another user's container.
async fn start_others(bus: &Bus, owner: &str, name: &str) -> Result<(), CommandError> {
    ui::heading(&format!("Starting container: {name}"));
    let admin = bus.admin().await?;
    run_operation(bus, async || admin.start(owner, name).await)
        .await
        .map_err(|error| not_started(error, name))
}

fn not_started(error: CommandError, name: &str) -> CommandError {
    error.context(format!("cannot start container '{name}'"))
}
