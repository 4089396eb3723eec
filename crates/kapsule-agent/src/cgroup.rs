// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Control groups in guests whose init makes none of its own, where they have cgroup v2.
//!
//! What systemd does in its guests: no process stays in the topmost group, because a group with
//! processes of its own has no controllers to hand down (cgroups(7), "no internal processes").
//! There is another reason. Where a host has no `pids` controller, Incus freezes a container before it
//! kills it; when processes are killed in a frozen group that has groups below it, Linux (seen in
//! 6.18) may go on calling it frozen, and LXC waits for ever for the contrary.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, chown};
use std::path::{Path, PathBuf};

use kapsule_proto::spec::Owner;

const TOP: &str = "/sys/fs/cgroup";
/// The group of the guest's init, and of what it starts.
const INIT: &str = "kapsule.init";
/// The group of the agent and its sessions.
const AGENT: &str = "kapsule.agent";

/// Moves this process, pid 1 before it becomes the guest's init, out of the topmost group.
pub(crate) fn leave_top() -> io::Result<()> {
    enter(INIT).map(drop)
}

/// Moves this process into a group that the owner may divide among sessions.
pub(crate) fn enter_own(owner: &Owner) -> io::Result<()> {
    let Some(group) = enter(AGENT)? else {
        return Ok(());
    };
    for file in [
        "",
        "cgroup.procs",
        "cgroup.threads",
        "cgroup.subtree_control",
    ] {
        chown(group.join(file), Some(owner.uid), Some(owner.gid))?;
    }
    Ok(())
}

/// Nothing where a process cannot be moved by writing there, which is to say in cgroup v1.
fn enter(name: &str) -> io::Result<Option<PathBuf>> {
    if !Path::new(TOP).join("cgroup.procs").exists() {
        return Ok(None);
    }
    let group = Path::new(TOP).join(name);
    if !group.is_dir() {
        DirBuilder::new().mode(0o755).create(&group)?;
    }
    let mut procs = OpenOptions::new()
        .write(true)
        .open(group.join("cgroup.procs"))?;
    procs.write_all(b"0")?;
    Ok(Some(group))
}
