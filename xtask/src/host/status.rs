// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `host status`.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use serde::Serialize;

use super::place::Place;
use super::state::State;

#[derive(Debug, Serialize)]
struct Status {
    running: bool,
    /// What `systemctl is-system-running` says.
    system: Option<String>,
    /// The host's process 1, by its number on the machine.
    leader: Option<i32>,
    /// From the machine, only while it runs.
    incus_socket: Option<PathBuf>,
    /// The file with the host's file system, if there is one.
    disk: Option<PathBuf>,
    /// What that takes on the machine's disk, in bytes.
    disk_used: Option<u64>,
    /// The host's root, while that is mounted.
    root: Option<PathBuf>,
}

/// Prints it; exit status 0 when the host runs, 3 when not (as systemctl has it).
pub(crate) fn show(json: bool) -> Result<ExitCode> {
    let place = Place::new();
    let state = State::load(&place);
    let disk = fs::metadata(place.disk()).ok();
    let status = Status {
        running: state.is_some(),
        system: state
            .as_ref()
            .and_then(|state| super::boot::system_state(state, false).ok()),
        leader: state.as_ref().map(|state| state.leader.pid),
        incus_socket: state
            .as_ref()
            .map(|state| state.root().join("var/lib/incus/unix.socket")),
        disk: disk.is_some().then(|| place.disk()),
        // Blocks of 512 bytes, whatever the file system's are: stat(2).
        disk_used: disk.map(|disk| disk.blocks() * 512),
        root: Some(place.root()).filter(|root| root.exists()),
    };
    let text = match json {
        true => serde_json::to_string_pretty(&status)?,
        false => for_people(&status),
    };
    match writeln!(std::io::stdout(), "{text}") {
        // Whoever asked has read enough, such as `head -n1`.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        written => written?,
    }
    Ok(if status.running {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(3)
    })
}

fn for_people(status: &Status) -> String {
    let mut lines = vec![match (&status.system, status.leader) {
        (Some(system), Some(leader)) => format!("host      {system}, process {leader}"),
        _ => "host      down; start it with `cargo xtask host up`".to_owned(),
    }];
    lines.push(match (&status.disk, status.disk_used) {
        (Some(disk), Some(used)) => {
            let megabytes = used / 1_000_000;
            format!("disk      {}, {megabytes} MB used", disk.display())
        }
        _ => "disk      none yet".to_owned(),
    });
    for (name, path) in [("files", &status.root), ("incus", &status.incus_socket)] {
        if let Some(path) = path {
            lines.push(format!("{name:<9} {}", path.display()));
        }
    }
    lines.join("\n")
}
