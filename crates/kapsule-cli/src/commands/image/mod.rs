// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `kapsule image`

mod delete;
mod import;
mod list;
mod refresh;

use clap::Subcommand;

use crate::bus::{Bus, block_on};
use crate::cli;
use crate::error::CommandError;

/// Manage the images that containers are made from
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Import(import::Args),
    #[command(visible_alias = "ls")]
    List(list::Args),
    #[command(visible_alias = "rm")]
    Delete(delete::Args),
    Refresh(refresh::Args),
}

pub(crate) fn run(args: Args, program: &'static str) -> Result<(), CommandError> {
    let Some(command) = args.command else {
        cli::print_help(program, "image");
        return Ok(());
    };
    block_on(async {
        match command {
            Command::Import(args) => import::run(args).await,
            Command::List(args) => list::run(args, &Bus::connect().await?).await,
            Command::Delete(args) => delete::run(args, &Bus::connect().await?).await,
            Command::Refresh(args) => refresh::run(args, &Bus::connect().await?).await,
        }
    })
}
