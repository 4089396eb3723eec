// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `kapsule stop`

use clap_complete::ArgValueCandidates;

use crate::bus::{Bus, run_operation};
use crate::completion;
use crate::error::CommandError;
use crate::ui;

use super::owner::OwnerFlag;
use super::{container_names, for_each};

/// Stop containers, and everything that runs in them
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Do not ask the container's init: kill everything at once
    #[arg(short, long)]
    force: bool,
    /// Containers to stop
    #[arg(required = true, value_name = "NAME", add = ArgValueCandidates::new(completion::container_names))]
    names: Vec<String>,
    #[command(flatten)]
    owner: OwnerFlag,
}

pub(crate) async fn run(args: Args, bus: &Bus) -> Result<(), CommandError> {
    let names = container_names(&args.names)?;
    let owner = args.owner.other();
    let manager = bus.manager().await?;
    let admin = bus.admin().await?;
    for_each(&names, async |name| {
        ui::heading(&format!("Stopping container: {name}"));
        let done = match owner {
            None => {
                run_operation(bus, async || {
                    manager.stop_container(name.as_str(), args.force).await
                })
                .await
            }
            Some(owner) => {
                run_operation(bus, async || {
                    admin.stop(owner, name.as_str(), args.force).await
                })
                .await
            }
        };
        done.map_err(|error| error.context(format!("cannot stop container '{name}'")))
    })
    .await
}
