// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `kapsule restart`

use crate::bus::Bus;
use crate::error::CommandError;

use super::named::{Containers, Deed};

const RESTART: Deed = Deed {
    doing: "Restarting",
    to_do: "restart",
};

/// Stop containers and start them again
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Do not ask the container's init: kill everything at once
    #[arg(short, long)]
    force: bool,
    #[command(flatten)]
    containers: Containers,
}

pub(crate) async fn run(args: Args, bus: &Bus) -> Result<(), CommandError> {
    let containers = bus.containers().await?;
    let admin = bus.admin().await?;
    let restart = async |owner: Option<&str>, name: &str| match owner {
        None => containers.restart(name, args.force).await,
        Some(owner) => admin.restart(owner, name, args.force).await,
    };
    args.containers.each(bus, RESTART, restart).await
}
