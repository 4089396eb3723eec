// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The sandboxed host: a whole Debian forky with systemd, D-Bus, polkit, logind and Incus, booted on the
//! machine without touching it. From the ground up: [`place`] and [`state`] know where it is, [`rootfs`]
//! and [`disk`] make its files, [`network`] its network, [`boot`] starts it, [`exec`] runs commands
//! in it, [`install`] puts Kapsule and [`images`] puts images into it, [`status`] tells how it is.

pub(crate) mod boot;
pub(crate) mod disk;
pub(crate) mod exec;
pub(crate) mod images;
pub(crate) mod install;
pub(crate) mod network;
pub(crate) mod place;
pub(crate) mod rootfs;
pub(crate) mod state;
pub(crate) mod status;
pub(crate) mod users;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use self::place::Place;
use self::state::State;
use crate::run::{cmd, run};
use crate::{dirs, needs};

/// Boots the host unless it runs.
pub(crate) fn up() -> Result<State> {
    let place = Place::new();
    let _lock = place.lock()?;
    if let Some(state) = State::load(&place) {
        boot::install_exec_server(&state.root())?;
        return Ok(state);
    }
    needs::ensure(needs::HOST)?;
    clean_up(&place)?;
    disk::mount(&place)?;
    prepare_root(&place.root())?;
    network::up(&place)?;
    let state = boot::start(&place)?;
    let sockets: Vec<PathBuf> = users::SESSIONS
        .iter()
        .map(|user| user.exec_socket(&state))
        .collect();
    boot::wait_until_usable(&place, &state, &sockets)?;
    let settled = boot::system_state(&state, true)?;
    if settled != "running" {
        eprintln!(
            "xtask: the host is {settled}: see `cargo xtask host exec -- systemctl --failed`"
        );
    }
    Ok(state)
}

/// Files that belong to the sandbox and not to Debian; written before each boot.
fn prepare_root(root: &Path) -> Result<()> {
    let files = dirs::workspace().join("xtask/host/files");
    // Not --archive: the checkout may belong to anyone.
    run(cmd(
        "cp",
        [
            "--recursive",
            "--no-dereference",
            "--preserve=mode",
            "--remove-destination",
        ],
    )
    .arg(files.join("."))
    .arg(root))?;
    // The distribution's is a link to what systemd-resolved writes; here it is resolved that reads it.
    let resolv_conf = root.join("etc/resolv.conf");
    let _ = fs::remove_file(&resolv_conf);
    fs::write(resolv_conf, network::resolv_conf()?)
        .context("cannot write the host's resolv.conf")?;
    boot::install_exec_server(root)
}

/// Shuts the host down and takes away everything but its files.
pub(crate) fn down() -> Result<()> {
    let place = Place::new();
    let _lock = place.lock()?;
    if let Some(state) = State::load(&place) {
        boot::stop(&place, &state)?;
    }
    clean_up(&place)
}

/// What may be left of a host that did not end by [`down`], or of one that just halted.
fn clean_up(place: &Place) -> Result<()> {
    let _ = fs::remove_file(place.state_file());
    boot::remove_cgroup(place)?;
    network::down(place)?;
    disk::unmount(place)
}

/// Takes the host's file system away too; archives and images stay in the cache.
pub(crate) fn destroy() -> Result<()> {
    let place = Place::new();
    let _lock = place.lock()?;
    if let Some(state) = State::load(&place) {
        // Nothing of it is needed any more, so nothing has to be written down in peace.
        boot::kill(&state)?;
    }
    clean_up(&place)?;
    for name in ["disk.img", "disk.part", "console.log"] {
        let path = place.dir().join(name);
        if path.exists() {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    for name in ["dev", "fs", "stage"] {
        let path = place.dir().join(name);
        if path.exists() {
            fs::remove_dir_all(&path)
                .with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}
