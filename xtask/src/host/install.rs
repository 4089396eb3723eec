// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `host install`: Kapsule into the running host, through the same rules that a packager uses.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::place::Place;
use super::state::State;
use crate::digest::Digest;
use crate::run::{cmd, run};
use crate::{dirs, install, needs};

/// In the host's root: what is installed, a digest and then the paths.
const STAMP: &str = "etc/kapsule-xtask-installed";

/// Cargo profile of what is installed here.
pub(crate) const PROFILE: &str = "dist-dev";

/// Builds, and installs when something changed. Says whether it did.
pub(crate) fn install() -> Result<bool> {
    needs::ensure(needs::BUILD)?;
    let place = Place::new();
    State::need(&place)?;
    let stage = place.dir().join("stage");
    let _lock = place.lock()?;
    if stage.exists() {
        fs::remove_dir_all(&stage)?;
    }
    let mut paths = install::install(&stage, Path::new("/usr"), PROFILE)?;
    paths.sort();
    let digest = Digest::new().add_path(&stage)?.hex();
    let stamp = place.root().join(STAMP);
    let before = fs::read_to_string(&stamp).unwrap_or_default();
    let mut before = before.lines();
    if before.next() == Some(&digest) {
        return Ok(false);
    }
    let gone: Vec<PathBuf> = before
        .map(PathBuf::from)
        .filter(|path| !paths.contains(path))
        .collect();
    for path in gone {
        let _ = fs::remove_file(place.root().join(path));
    }
    // A running program cannot be overwritten, only replaced.
    run(cmd(
        "cp",
        [
            "--recursive",
            "--no-dereference",
            "--preserve=mode",
            "--remove-destination",
        ],
    )
    .arg(stage.join("."))
    .arg(place.root()))?;
    tell_the_host()?;
    let lines: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    fs::write(&stamp, format!("{digest}\n{}\n", lines.join("\n")))
        .context("cannot note what is installed")?;
    Ok(true)
}

/// What a package's scripts do after installing; polkit notices its files by itself.
fn tell_the_host() -> Result<()> {
    run(&mut inside("root", &["systemctl", "daemon-reload"])?)?;
    run(&mut inside(
        "root",
        &["systemctl", "preset", "kapsule-daemon.service"],
    )?)?;
    // Incus runs it at its start, and may run already.
    run(&mut inside("root", &["/usr/lib/kapsule/incus-mounts"])?)?;
    run(&mut inside(
        "root",
        &[
            "busctl",
            "call",
            "org.freedesktop.DBus",
            "/org/freedesktop/DBus",
            "org.freedesktop.DBus",
            "ReloadConfig",
        ],
    )?)?;
    // The next call on the bus starts the new one.
    run(&mut inside(
        "root",
        &["systemctl", "stop", "kapsule-daemon.service"],
    )?)?;
    // As if they had logged in again.
    for user in ["alice", "bob"] {
        run(&mut inside(
            user,
            &["systemctl", "--user", "daemon-reload"],
        )?)?;
        run(&mut inside(
            user,
            &["systemctl", "--user", "restart", "kapsule-ports.service"],
        )?)?;
        run(&mut inside(
            user,
            &["systemctl", "--user", "restart", "kapsule-bus.socket"],
        )?)?;
    }
    Ok(())
}

/// A command in the host, for capturing what it says.
pub(crate) fn inside(user: &str, argv: &[&str]) -> Result<Command> {
    let mut command = Command::new(dirs::own_program());
    command
        .args(["host", "exec", "--no-tty", "--user", user, "--"])
        .args(argv);
    Ok(command)
}
