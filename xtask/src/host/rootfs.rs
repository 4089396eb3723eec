// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The host's root file system: built once with mmdebstrap, kept as an archive under the digest of its
//! recipe.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::digest::Digest;
use crate::dirs;
use crate::run::{cmd, run};

/// Close to what KDE Linux ships.
const SUITE: &str = "forky";

/// Options that every mmdebstrap here needs. The suites' `InRelease` may be past their date on a mirror,
/// and the setting has to stay in the root for a later `apt-get update`.
pub(crate) const MMDEBSTRAP: &[&str] = &[
    "--aptopt=Acquire::Check-Valid-Until \"false\"",
    "--aptopt=Acquire::Check-Date \"false\"",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
];

const VARIANT: &str = "--variant=minbase";

/// alice may use sudo and is an administrator to polkit, bob is not.
const HOOKS: &[&str] = &[
    "--customize-hook=chroot \"$1\" useradd --create-home --shell /bin/bash --uid 1000 --groups sudo alice",
    "--customize-hook=chroot \"$1\" useradd --create-home --shell /bin/bash --uid 1001 bob",
    // Each root gets its own when it is unpacked.
    "--customize-hook=rm -f \"$1\"/etc/machine-id \"$1\"/var/lib/dbus/machine-id",
    "--customize-hook=echo kapsule-host > \"$1\"/etc/hostname",
    "--customize-hook=echo 127.0.1.1 kapsule-host >> \"$1\"/etc/hosts",
];

/// The packages of a list: one a line, `#` begins a comment.
pub(crate) fn packages(list: &str) -> Vec<&str> {
    list.lines()
        .map(|line| line.split('#').next().unwrap_or("").trim())
        .filter(|line| !line.is_empty())
        .collect()
}

/// The archive, and the digest of what it was made from.
pub(crate) fn archive() -> Result<(PathBuf, String)> {
    let list = dirs::workspace().join("xtask/host/packages");
    let list =
        fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
    let include = format!("--include={}", packages(&list).join(","));
    let mut digest = Digest::new();
    for part in [VARIANT]
        .iter()
        .chain(MMDEBSTRAP)
        .chain(HOOKS)
        .chain([&SUITE, &include.as_str()])
    {
        digest.add(part);
    }
    let digest = digest.hex();
    let dir = dirs::cache().join("rootfs");
    let archive = dir.join(format!("host-{digest}.tar.zst"));
    if !archive.exists() {
        eprintln!("xtask: building the host's root file system (Debian {SUITE}), about a minute");
        fs::create_dir_all(&dir)?;
        // The suffix tells mmdebstrap the format; only a whole archive gets its final name.
        let part = dir.join(format!("part-{}.tar.zst", std::process::id()));
        let made = run(cmd("mmdebstrap", MMDEBSTRAP)
            .args([VARIANT, &include])
            .args(HOOKS)
            .arg(SUITE)
            .arg(&part));
        if made.is_err() {
            let _ = fs::remove_file(&part);
        }
        made?;
        fs::rename(&part, &archive)?;
        dirs::prune(&dir, "host-", ".tar.zst", &digest)?;
    }
    Ok((archive, digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_blank_lines_are_no_packages() {
        assert_eq!(
            packages("# head\n\nsystemd  # why\n dbus\n"),
            ["systemd", "dbus"]
        );
    }
}
