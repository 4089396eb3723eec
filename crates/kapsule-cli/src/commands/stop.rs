// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `kapsule stop`

use crate::bus::Bus;
use crate::error::CommandError;

use super::named::{Containers, Deed};

const STOP: Deed = Deed {
    doing: "Stopping",
    to_do: "stop",
};

/// Stop containers, and everything that runs in them
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Do not ask the container's init: kill everything at once
    #[arg(short, long)]
    force: bool,
    #[command(flatten)]
    containers: Containers,
}

pub(crate) async fn run(args: Args, bus: &Bus) -> Result<(), CommandError> {
    let manager = bus.manager().await?;
    let admin = bus.admin().await?;
    let stop = async |owner: Option<&str>, name: &str| match owner {
        None => manager.stop_container(name, args.force).await,
        Some(owner) => admin.stop(owner, name, args.force).await,
    };
    args.containers.each(bus, STOP, stop).await
}
