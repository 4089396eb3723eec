// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Where things lie: the checkout, and the cache outside of it.

use std::path::{Path, PathBuf};

/// The checkout that this xtask was built from.
pub(crate) fn workspace() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// Cargo's target directory: `CARGO_TARGET_DIR`, or `target` in the checkout.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => workspace().join(dir),
        None => workspace().join("target"),
    }
}

/// Root file systems, images and the sandboxed host. It lies outside the checkout, so that a fresh clone
/// on the same machine finds what an earlier one built. `KAPSULE_XTASK_DIR` moves it.
pub(crate) fn cache() -> PathBuf {
    match std::env::var_os("KAPSULE_XTASK_DIR") {
        Some(dir) if !dir.is_empty() => PathBuf::from(dir),
        _ => PathBuf::from("/var/cache/kapsule-xtask"),
    }
}

/// This program, for starting it again. Not by the name of its file: `cargo test` may put a new one in its
/// place while we run.
pub(crate) fn own_program() -> PathBuf {
    PathBuf::from(format!("/proc/{}/exe", std::process::id()))
}
