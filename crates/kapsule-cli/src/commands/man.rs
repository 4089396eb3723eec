// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `kapsule man`: the manual pages, for packages.

use std::path::PathBuf;

use crate::cli;
use crate::error::{CommandError, ErrorKind};

/// Write the manual pages into a directory
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// An existing directory
    dir: PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<(), CommandError> {
    let command = cli::command("kapsule").version(env!("CARGO_PKG_VERSION"));
    clap_mangen::generate_to(command, &args.dir).map_err(|error| {
        CommandError::new(ErrorKind::Failed, error).context(format!(
            "cannot write manual pages into {}",
            args.dir.display()
        ))
    })
}
