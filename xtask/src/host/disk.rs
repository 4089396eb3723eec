// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The host's disk: btrfs in a sparse file, with the root as a subvolume of it. As on KDE Linux, Incus
//! finds btrfs below it and can clone instead of copy.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context as _, Result};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use super::place::Place;
use super::rootfs;
use crate::run::{cmd, output, run, succeeds};

/// Sparse: takes what is written.
const SIZE: u64 = 64 << 30;

/// What outlives a new root file system; each is a subvolume, which btrfs renames from one root to the next.
const KEPT: &[&str] = &["home", "var/lib/incus", "var/lib/kapsule"];

/// In the root, names the recipe it was made from.
const STAMP: &str = "etc/kapsule-xtask-recipe";

/// Mounts the disk, and makes it, or a new root on it, where that is due.
pub(crate) fn mount(place: &Place) -> Result<()> {
    let (archive, recipe) = rootfs::archive()?;
    let fresh = !place.disk().exists();
    if fresh {
        let part = place.dir().join("disk.part");
        File::create(&part)?.set_len(SIZE)?;
        run(cmd("mkfs.btrfs", ["--quiet", "--label", "kapsule-host"]).arg(&part))?;
        fs::rename(&part, place.disk())?;
    }
    fs::create_dir_all(place.mount())?;
    if !is_mounted(&place.mount()) {
        make_loop_node()?;
        run(cmd("mount", ["-t", "btrfs", "-o", "loop,noatime"])
            .arg(place.disk())
            .arg(place.mount()))
        .context("cannot mount the host's disk")?;
    }
    let made_from = fs::read_to_string(place.root().join(STAMP)).unwrap_or_default();
    if made_from.trim() != recipe {
        renew_root(place, &archive, &recipe)?;
    }
    Ok(())
}

fn renew_root(place: &Place, archive: &Path, recipe: &str) -> Result<()> {
    let (root, next) = (place.root(), place.mount().join("root.next"));
    delete_subvolume(place, "root.next")?;
    run(cmd("btrfs", ["subvolume", "create"]).arg(&next))?;
    for kept in KEPT {
        let path = next.join(kept);
        fs::create_dir_all(path.parent().context("no parent")?)?;
        run(cmd("btrfs", ["subvolume", "create"]).arg(path))?;
    }
    eprintln!("xtask: unpacking the host's root file system");
    run(cmd(
        "tar",
        [
            "--zstd",
            "--numeric-owner",
            "--xattrs",
            "--xattrs-include=*",
            "-xpf",
        ],
    )
    .arg(archive)
    .arg("-C")
    .arg(&next))?;
    // With none, systemd would take every boot of a new root for the first one and apply presets.
    let machine_id = fs::read_to_string("/proc/sys/kernel/random/uuid")?.replace('-', "");
    fs::write(next.join("etc/machine-id"), machine_id)?;
    fs::write(next.join(STAMP), recipe)?;
    if root.exists() {
        for kept in KEPT {
            let old = root.join(kept);
            if old.exists() {
                delete_subvolume(place, &format!("root.next/{kept}"))?;
                fs::rename(&old, next.join(kept)).with_context(|| {
                    format!("cannot carry {} over to the new root", old.display())
                })?;
            }
        }
        delete_subvolume(place, "root")?;
    }
    fs::rename(next, root)?;
    Ok(())
}

/// Deletes a subvolume with those below it; the host's systemd makes some by itself.
fn delete_subvolume(place: &Place, name: &str) -> Result<()> {
    if !place.mount().join(name).exists() {
        return Ok(());
    }
    let list = output(cmd("btrfs", ["subvolume", "list"]).arg(place.mount()))?;
    // Lines read "ID 256 gen 30 top level 5 path root/home"; those further down come first.
    let mut paths: Vec<&str> = list
        .lines()
        .filter_map(|line| line.split_once(" path "))
        .map(|(_, path)| path)
        .filter(|path| *path == name || path.starts_with(&format!("{name}/")))
        .collect();
    paths.sort_by_key(|path| std::cmp::Reverse(path.len()));
    for path in paths {
        let path = place.mount().join(path);
        run(cmd("btrfs", ["subvolume", "delete"]).arg(path))?;
    }
    Ok(())
}

/// Unmounts the disk; its loop device goes by itself.
pub(crate) fn unmount(place: &Place) -> Result<()> {
    // More than once when an earlier call was killed at a bad moment.
    while is_mounted(&place.mount()) {
        run(&mut cmd("umount", [place.mount()]))?;
    }
    Ok(())
}

pub(crate) fn is_mounted(path: &Path) -> bool {
    succeeds(cmd("mountpoint", ["--quiet"]).arg(path))
}

/// Where no udev runs, nobody makes the node of a loop device that the kernel just added.
fn make_loop_node() -> Result<()> {
    let node = output(&mut cmd("losetup", ["--find"]))?;
    if let (false, Some(number)) = (Path::new(&node).exists(), node.strip_prefix("/dev/loop")) {
        let number = number
            .parse()
            .with_context(|| format!("what loop device is {node}?"))?;
        mknodat(
            CWD,
            &node,
            FileType::BlockDevice,
            Mode::from_raw_mode(0o660),
            makedev(7, number),
        )
        .with_context(|| format!("cannot make {node}"))?;
    }
    Ok(())
}
