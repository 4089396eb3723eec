// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `kapsule restart`

use clap_complete::ArgValueCandidates;

use crate::bus::{Bus, run_operation};
use crate::completion;
use crate::error::CommandError;
use crate::ui;

use super::owner::OwnerFlag;
use super::{container_names, for_each};

/// Stop containers and start them again
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Do not ask the container's init: kill everything at once
    #[arg(short, long)]
    force: bool,
    /// Containers to restart
    #[arg(required = true, value_name = "NAME", add = ArgValueCandidates::new(completion::container_names))]
    names: Vec<String>,
    #[command(flatten)]
    owner: OwnerFlag,
}

pub(crate) async fn run(args: Args, bus: &Bus) -> Result<(), CommandError> {
    let names = container_names(&args.names)?;
    let owner = args.owner.other();
    let containers = bus.containers().await?;
    let admin = bus.admin().await?;
    for_each(&names, async |name| {
        ui::heading(&format!("Restarting container: {name}"));
        let done = match owner {
            None => {
                run_operation(bus, async || {
                    containers.restart(name.as_str(), args.force).await
                })
                .await
            }
            Some(owner) => {
                run_operation(bus, async || {
                    admin.restart(owner, name.as_str(), args.force).await
                })
                .await
            }
        };
        done.map_err(|error| error.context(format!("cannot restart container '{name}'")))
    })
    .await
}
