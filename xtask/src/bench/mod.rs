// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `cargo xtask bench`: what users wait for, as whole processes in the sandboxed host, next to what else
//! does the like. Machines differ and drift, so peers are measured in the same rounds, and ratios are what
//! to look at. [`rows`] says what is measured; [`worker`] does it in the host, where nothing of ours is in
//! between; [`statistics`] and [`report`] tell.

mod measure;
mod report;
mod rows;
mod statistics;
mod watch;
mod worker;

use std::process::ExitCode;

use anyhow::Result;
use clap::ValueEnum;

use self::report::Format;
use self::rows::Setting;
use crate::host;
use crate::host::place::Place;
use crate::host::state::State;

pub(crate) use self::worker::serve;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Bench {
    /// Memory of the idle daemon.
    Memory,
    /// The daemon's start, until it owns its bus name.
    Start,
    /// A command in a running container.
    Enter,
    /// The same, from a terminal.
    EnterTerminal,
    /// The list of containers.
    List,
    /// A login shell, until its prompt.
    Shell,
    /// Fifty commands in a running container at once.
    Crowd,
    /// A stream through pipes.
    Stream,
    /// Output to a terminal.
    Print,
    /// Memory of an idle agent.
    AgentMemory,
    /// Memory of a client in a session.
    ClientMemory,
    /// A new container, until it is ready.
    Create,
}

/// Measures these, or all, and prints a table or, with `json`, one object a line.
pub(crate) fn bench(which: &[Bench], runs: u32, json: bool) -> Result<ExitCode> {
    let ran_before = State::load(&Place::new()).is_some();
    host::up()?;
    host::install::install()?;
    crate::demo::import_image()?;
    let mut format = Format::new(json);
    let result = Setting::prepare().and_then(|mut setting| {
        let measured = Bench::value_variants()
            .iter()
            .filter(|bench| which.is_empty() || which.contains(bench))
            .try_for_each(|bench| format.show(*bench, setting.measure(*bench, runs)?));
        setting.clean_up();
        measured
    });
    if !ran_before {
        host::down()?;
    }
    result?;
    Ok(ExitCode::SUCCESS)
}
