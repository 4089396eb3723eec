// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What we build on follows deny.toml: licences, where crates come from, none of them twice. cargo-deny
//! decides; it is built once, into the cache.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::dirs;
use crate::programs::cargo;
use crate::run::{cmd, stream};

const VERSION: &str = "0.20.2";

pub(super) fn check() -> Result<()> {
    let deny = tool()?;
    let mut command = cmd(
        deny.to_str().context("the cache's path is not UTF-8")?,
        ["--locked"],
    );
    // Advisories are left out: their database is no package, and a test must not need more than packages.
    stream(
        command
            .current_dir(dirs::workspace())
            .args(["check", "--hide-inclusion-graph"])
            .args(["bans", "licenses", "sources"]),
    )
}

/// The program, built unless the cache has it.
fn tool() -> Result<PathBuf> {
    let tools = dirs::cache().join("tools");
    let folder = tools.join(format!("cargo-deny-{VERSION}"));
    let program = folder.join("bin/cargo-deny");
    if program.exists() {
        return Ok(program);
    }
    eprintln!("xtask: building cargo-deny {VERSION} for the cache, a minute or two");
    fs::create_dir_all(&tools).with_context(|| format!("cannot make {}", tools.display()))?;
    let work = tempfile::Builder::new()
        .prefix("part-")
        .tempdir_in(&tools)?;
    let root = work.path().join("root");
    // Unoptimized: it runs for a second or two, and takes minutes to optimize.
    stream(
        cargo()
            .args(["install", "--quiet", "--locked", "--debug"])
            .args(["--config", "profile.dev.debug=false"])
            .args(["--no-default-features", "--version", VERSION, "cargo-deny"])
            .arg("--root")
            .arg(&root)
            .arg("--target-dir")
            .arg(work.path().join("target")),
    )
    .context("cannot build cargo-deny")?;
    // Someone else may have been quicker.
    if !program.exists() {
        fs::rename(&root, &folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    Ok(program)
}
