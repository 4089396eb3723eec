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
    deny(&[], &["bans", "licenses", "sources"])
}

/// Whether somebody has brought RustSec's database. It is no package, and a test must not need more than
/// packages; so it is looked at where it is there, and its absence is said.
pub(super) fn has_advisories() -> bool {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    // Where cargo-deny keeps it, unless deny.toml says otherwise.
    let databases = home.map(|home| fs::read_dir(home.join("advisory-dbs")));
    databases.is_some_and(|folder| folder.is_ok_and(|mut entries| entries.next().is_some()))
}

/// No known fault is in what we build on, as far as the database on this machine knows.
pub(super) fn check_advisories() -> Result<()> {
    deny(&["--offline"], &["advisories"])
}

fn deny(options: &[&str], checks: &[&str]) -> Result<()> {
    let deny = tool()?;
    let mut command = cmd(
        deny.to_str().context("the cache's path is not UTF-8")?,
        ["--locked"],
    );
    stream(
        command
            .current_dir(dirs::workspace())
            .args(options)
            .args(["check", "--hide-inclusion-graph"])
            .args(checks),
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
