// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Building Kapsule's programs for installing.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::dirs;
use crate::run::{cmd, output, stream};

/// How a program is linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Linking {
    /// Runs in any container, whatever libc that has. The client is too, so that it can be lent to one.
    Static,
    /// Against the system's libc, through which the daemon asks for users (NSS).
    Dynamic,
}

/// Where the programs of one build lie.
#[derive(Debug)]
pub(crate) struct Programs {
    dynamic: PathBuf,
    statics: PathBuf,
}

impl Programs {
    /// Builds all of them.
    pub(crate) fn build(profile: &str) -> Result<Self> {
        let triple = host_triple()?;
        let crt_static = "-C target-feature=+crt-static";
        stream(
            cargo()
                .args([
                    "build",
                    "--quiet",
                    "--profile",
                    profile,
                    "--target",
                    &triple,
                ])
                .args(["-p", "kapsule-agent", "-p", "kapsule-cli"])
                .args(["-p", "kapsule-open", "-p", "kapsule-dbus-mux"])
                .env("RUSTFLAGS", crt_static),
        )
        .context("cannot build the command line and what runs in containers")?;
        stream(cargo().args([
            "build",
            "--quiet",
            "--profile",
            profile,
            "-p",
            "kapsule-daemon",
            "-p",
            "kapsule-ports",
            "-p",
            "kapsule-bus",
        ]))
        .context("cannot build the services")?;
        let folder = if profile == "dev" { "debug" } else { profile };
        Ok(Self {
            dynamic: dirs::target().join(folder),
            statics: dirs::target().join(triple).join(folder),
        })
    }

    pub(crate) fn path(&self, name: &str, linking: Linking) -> PathBuf {
        match linking {
            Linking::Static => self.statics.join(name),
            Linking::Dynamic => self.dynamic.join(name),
        }
    }
}

/// Builds the program that plays the root of a container in the system tests; it has to run in any.
pub(crate) fn hostile_agent() -> Result<PathBuf> {
    let triple = host_triple()?;
    stream(
        cargo()
            .args(["build", "--quiet", "--target", &triple])
            .args(["-p", "kapsule-system-tests", "--bin", "hostile-agent"])
            .env("RUSTFLAGS", "-C target-feature=+crt-static"),
    )
    .context("cannot build the hostile agent")?;
    Ok(dirs::target().join(triple).join("debug/hostile-agent"))
}

/// Cargo in the checkout: the one that runs us, when one does.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(dirs::workspace());
    command
}

/// For example `x86_64-unknown-linux-gnu`. With `--target`, flags for static linking stay away from build
/// scripts and procedural macros.
pub(crate) fn host_triple() -> Result<String> {
    let version = output(&mut cmd("rustc", ["-vV"]))?;
    let triple = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(triple.context("rustc -vV names no host")?.to_owned())
}
