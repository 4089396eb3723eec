// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Completion: the shell asks this program itself (`COMPLETE=bash kapsule`), so that names of
//! containers are completed, too.

use std::ffi::OsString;
use std::time::Duration;

use clap_complete::{CompleteEnv, CompletionCandidate};

use crate::bus::{Bus, block_on};
use crate::cli;
use crate::commands::list;

/// Longest that somebody who pressed Tab is kept waiting.
const PATIENCE: Duration = Duration::from_millis(100);

/// Answers the shell and ends, if it is a shell that asks.
pub(crate) fn answer_shell() {
    let argv0: Option<OsString> = std::env::args_os().next();
    let program = cli::program_name(argv0.as_deref());
    CompleteEnv::with_factory(move || cli::command(program)).complete();
}

/// The names of the user's containers, or nothing if they are not to be had at once.
pub(crate) fn container_names() -> Vec<CompletionCandidate> {
    let names = block_on(async {
        let listing = async { list::fetch_quietly(&Bus::connect().await?).await };
        Ok(tokio::time::timeout(PATIENCE, listing).await)
    });
    match names {
        Ok(Ok(Ok(containers))) => containers
            .into_iter()
            .map(|it| CompletionCandidate::new(it.name.as_str()).help(Some(it.status.into())))
            .collect(),
        _ => Vec::new(),
    }
}
