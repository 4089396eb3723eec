// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The guest's own init.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;

use crate::files::inside;

/// Where an init may be, in LXC's and the kernel's order, and a shell as the last resort.
const CANDIDATES: &[&str] = &[
    "/sbin/init",
    "/usr/sbin/init",
    "/lib/systemd/systemd",
    "/usr/lib/systemd/systemd",
    "/etc/init",
    "/bin/init",
    "/bin/sh",
];

/// The init that will be started.
pub(crate) fn find(root: &Path) -> Option<&'static str> {
    CANDIDATES
        .iter()
        .copied()
        .find(|path| rustix::fs::access(inside(root, path), rustix::fs::Access::EXEC_OK).is_ok())
}

/// Whether the guest's init is systemd; having it installed is not enough.
pub(crate) fn has_systemd(root: &Path) -> bool {
    let init = find(root);
    let real = init.and_then(|init| std::fs::canonicalize(inside(root, init)).ok());
    real.is_some_and(|real| real.file_name().is_some_and(|name| name == "systemd"))
}

/// Becomes the guest's init; the environment stays. Returns only if none could be started.
pub(crate) fn become_init() -> io::Error {
    let mut error = io::Error::from(io::ErrorKind::NotFound);
    for path in CANDIDATES {
        // Also resets what Rust changed about signals.
        error = std::process::Command::new(OsStr::new(path)).exec();
        if error.kind() != io::ErrorKind::NotFound {
            eprintln!("kapsule-agent: cannot start {path}: {error}");
        }
    }
    error
}
