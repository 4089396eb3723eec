// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `cargo xtask demo`: Kapsule's main job from a bare machine, step by step with times.

mod transcript;

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::host::exec::client;
use crate::host::place::Place;
use crate::host::state::State;
use crate::host::users::User;
use crate::run::{output, succeeds};
use crate::{host, image, needs, programs};

/// Name of alice's container: what the host's configuration has as `default_container`.
const CONTAINER: &str = "dev";
const IMAGE: &str = "debian";
/// In the host: the digest of the image that the alias stands for.
const IMPORTED: &str = "imported";

/// From nothing to a shell in a container, or to a transcript of one where there is no terminal. `keep`:
/// leave the host running at the end, as after a shell.
pub(crate) fn demo(keep: bool) -> Result<ExitCode> {
    let begin = Instant::now();
    let ran_before = State::load(&Place::new()).is_some();
    step("install what this machine lacks", || {
        needs::ensure(needs::HOST)?;
        needs::ensure(needs::BUILD)
    })?;
    step("build Kapsule", || {
        programs::Programs::build(host::install::PROFILE).map(drop)
    })?;
    step("boot the sandboxed host", || host::up().map(drop))?;
    step("install Kapsule in it", || {
        host::install::install().map(drop)
    })?;
    step("build an image", || image::build(IMAGE).map(drop))?;
    step("import the image", import_image)?;
    step(
        &format!("alice creates her container `{CONTAINER}`"),
        create_container,
    )?;
    eprintln!("== ready after {:.1} s\n", begin.elapsed().as_secs_f64());

    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        eprintln!(
            "You are alice, in the container `{CONTAINER}`, with her home. `exit` leads back here;"
        );
        eprintln!(
            "`cargo xtask host shell` leads into the host, `cargo xtask host down` ends it.\n"
        );
        as_alice(&["kapsule", "enter", CONTAINER], true)?;
        return Ok(ExitCode::SUCCESS);
    }
    let shown = transcript::play(CONTAINER);
    if !ran_before && !keep {
        step("shut the host down; the container stays in it", host::down)?;
    }
    shown?;
    Ok(ExitCode::SUCCESS)
}

fn step(what: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let begin = Instant::now();
    eprintln!("== {what} …");
    work().with_context(|| format!("could not {what}"))?;
    eprintln!("== {what}: {:.1} s", begin.elapsed().as_secs_f64());
    Ok(())
}

/// Runs a command as alice with our stdin, stdout and stderr, and returns its exit status.
fn as_alice(argv: &[&str], tty: bool) -> Result<i32> {
    run_as("alice", argv, tty)
}

fn run_as(user: &str, argv: &[&str], tty: bool) -> Result<i32> {
    let state = State::need(&Place::new())?;
    let argv = argv.iter().map(OsString::from).collect();
    client::exec(&User::named(user)?.exec_socket(&state), argv, None, tty)
}

pub(crate) fn import_image() -> Result<()> {
    let folder = host::images::provide(IMAGE)?;
    let note = Place::new()
        .root()
        .join(folder.strip_prefix("/")?)
        .join(IMPORTED);
    let digest = image::build(IMAGE)?
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let listed = output(&mut host::install::inside(
        "root",
        &["kapsule", "image", "list", "--json"],
    )?)?;
    let there = listed.contains(&format!("\"{IMAGE}\""));
    if there && std::fs::read_to_string(&note).is_ok_and(|noted| noted == digest) {
        eprintln!("   it is there already");
        return Ok(());
    }
    // A new import throws away what Incus unpacked for quick clones, so it is not done for nothing.
    // By root, as the distribution would: it is everyone's. Whoever has taken the name gives it up.
    if there {
        must("root", &["kapsule", "image", "delete", IMAGE])?;
    }
    must(
        "root",
        &[
            "kapsule",
            "image",
            "import",
            path(&folder)?,
            "--alias",
            IMAGE,
        ],
    )?;
    std::fs::write(note, digest)?;
    Ok(())
}

fn create_container() -> Result<()> {
    if succeeds(&mut host::install::inside(
        "alice",
        &["kapsule", "info", CONTAINER],
    )?) {
        eprintln!("   it is there already");
        return Ok(());
    }
    must(
        "alice",
        &[
            "kapsule",
            "create",
            CONTAINER,
            "--image",
            &format!("local:{IMAGE}"),
        ],
    )
}

fn must(user: &str, argv: &[&str]) -> Result<()> {
    let status = run_as(user, argv, false)?;
    if status != 0 {
        bail!("`{}` failed with exit status {status}", argv.join(" "));
    }
    Ok(())
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is not UTF-8")
}
