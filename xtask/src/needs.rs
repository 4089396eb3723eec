// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What the commands need on the machine itself, brought in with apt.

use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::run::{cmd, run, stream};

/// Debian packages, each with a program that tells whether it is there.
pub(crate) type Need = (&'static str, &'static str);

/// For the sandboxed host and for images.
pub(crate) const HOST: &[Need] = &[
    ("mmdebstrap", "mmdebstrap"),
    ("systemd-container", "systemd-nspawn"),
    ("btrfs-progs", "mkfs.btrfs"),
    ("squashfs-tools", "mksquashfs"),
    ("iproute2", "ip"),
    ("nftables", "nft"),
    ("util-linux", "losetup"),
    ("mount", "mount"),
    ("tar", "tar"),
    ("xz-utils", "xz"),
    ("zstd", "zstd"),
];

/// For linking Rust programs.
pub(crate) const BUILD: &[Need] = &[
    ("gcc", "cc"),
    ("libc6-dev", "/usr/include/stdlib.h"),
    ("git", "git"),
];

/// Installs those that miss and says so; does nothing when all are there.
pub(crate) fn ensure(needs: &[Need]) -> Result<()> {
    let missing: Vec<&str> = needs
        .iter()
        .filter(|(_, program)| !is_there(program))
        .map(|(package, _)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !rustix::process::geteuid().is_root() {
        bail!(
            "these Debian packages are missing: {}; install them, or run this as root",
            missing.join(" ")
        );
    }
    eprintln!("xtask: installing Debian packages: {}", missing.join(" "));
    run(cmd("apt-get", ["update"]).env("LC_ALL", "C")).context("cannot read the package lists")?;
    stream(
        cmd(
            "apt-get",
            [
                "install",
                "--yes",
                "--quiet",
                "--quiet",
                "--no-install-recommends",
            ],
        )
        .args(&missing)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdout(std::process::Stdio::null()),
    )
}

fn is_there(program: &str) -> bool {
    if program.starts_with('/') {
        return Path::new(program).exists();
    }
    // A root shell without the sbin folders in its PATH is common (su).
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':')
        .chain(["/usr/sbin", "/sbin"])
        .any(|dir| Path::new(dir).join(program).exists())
}
