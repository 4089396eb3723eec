// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `kapsule device`

mod change;
mod list;

use clap::Subcommand;

use crate::bus::{Bus, block_on};
use crate::cli;
use crate::error::CommandError;

/// Give containers USB and serial devices, and take them back
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(visible_alias = "ls")]
    List(list::Args),
    /// Let a container use devices, now and whenever they are plugged in
    ///
    /// The container's owner can use them there as in this system: at /dev/bus/usb, and as what the
    /// kernel makes of them, such as /dev/ttyUSB0. All devices of the same vendor and product are meant.
    /// An administrator has to agree.
    Add(change::Args),
    /// Take devices back
    #[command(visible_alias = "rm")]
    Remove(change::Args),
}

pub(crate) fn run(args: Args, program: &'static str) -> Result<(), CommandError> {
    let Some(command) = args.command else {
        cli::print_help(program, "device");
        return Ok(());
    };
    block_on(async {
        match command {
            Command::List(args) => list::run(args, &Bus::connect().await?).await,
            Command::Add(args) => change::add(args, &Bus::connect().await?).await,
            Command::Remove(args) => change::remove(args, &Bus::connect().await?).await,
        }
    })
}
