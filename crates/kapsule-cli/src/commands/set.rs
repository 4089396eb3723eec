// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `kapsule set`

use std::collections::HashMap;

use clap_complete::ArgValueCandidates;
use kapsule_core::name::ContainerName;
use zbus::Variant;

use crate::bus::{Bus, run_operation};
use crate::completion;
use crate::error::CommandError;
use crate::option_flags::ChangeFlags;
use crate::ui;

use super::container_name;
use super::owner::OwnerFlag;

/// Change options of a container, also while it runs
///
/// Sessions that are opened from then on have what is new. `kapsule info` tells what is in force.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kapsule set dev --no-sound
  kapsule set dev --agents --no-session-bus
  kapsule set --owner alice dev --no-ports")]
pub(crate) struct Args {
    /// The container
    #[arg(add = ArgValueCandidates::new(completion::container_names))]
    name: String,
    #[command(flatten)]
    owner: OwnerFlag,
    #[command(flatten)]
    options: ChangeFlags,
}

pub(crate) async fn run(args: Args, bus: &Bus) -> Result<(), CommandError> {
    let name = container_name(&args.name)?;
    let options = args.options.0.to_variants();
    if options.is_empty() {
        return Err(CommandError::usage("it is not said what to change")
            .hint("see what can be changed: kapsule set --help"));
    }
    change(bus, &args.owner, &name, &options)
        .await
        .map_err(|error| error.context(format!("cannot change container '{name}'")))?;
    let whose = args.owner.other().map(|it| format!("--owner {it} "));
    let whose = whose.unwrap_or_default();
    ui::hint(&format!("see what is in force: kapsule info {whose}{name}"));
    Ok(())
}

/// Changes options of a container.
pub(crate) async fn change(
    bus: &Bus,
    owner: &OwnerFlag,
    name: &ContainerName,
    options: &HashMap<&str, Variant<'_>>,
) -> Result<(), CommandError> {
    let containers = bus.containers().await?;
    let admin = bus.admin().await?;
    run_operation(bus, async || match owner.other() {
        None => containers.set_options(name.as_str(), options).await,
        Some(owner) => admin.set_options(owner, name.as_str(), options).await,
    })
    .await
}
