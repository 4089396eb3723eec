// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `kapsule start`

use crate::bus::{Bus, run_operation};
use crate::error::CommandError;
use crate::ui;

use super::named::{Containers, Deed};

const START: Deed = Deed {
    doing: "Starting",
    to_do: "start",
};

/// Start containers
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    containers: Containers,
}

pub(crate) async fn run(args: Args, bus: &Bus) -> Result<(), CommandError> {
    let manager = bus.manager().await?;
    let admin = bus.admin().await?;
    let start = async |owner: Option<&str>, name: &str| match owner {
        None => manager.start_container(name).await,
        Some(owner) => admin.start(owner, name).await,
    };
    args.containers.each(bus, START, start).await
}

/// Starts one of the caller's containers and shows the progress.
pub(crate) async fn start(bus: &Bus, name: &str) -> Result<(), CommandError> {
    ui::heading(&format!("Starting container: {name}"));
    let manager = bus.manager().await?;
    run_operation(bus, async || manager.start_container(name).await)
        .await
        .map_err(|error| error.context(format!("cannot start container '{name}'")))
}
