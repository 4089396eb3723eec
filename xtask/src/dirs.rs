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

/// Removes from a cache folder what was made of other states of the same recipe: everything called
/// `<prefix><16 hexadecimal digits><suffix>` but `keep`.
pub(crate) fn prune(folder: &Path, prefix: &str, suffix: &str, keep: &str) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let digest = name
            .strip_prefix(prefix)
            .and_then(|rest| rest.strip_suffix(suffix));
        let is_one = digest
            .is_some_and(|it| it.len() == 16 && it.bytes().all(|byte| byte.is_ascii_hexdigit()));
        if !is_one || digest == Some(keep) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            std::fs::remove_dir_all(entry.path())?;
        } else {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// This program, for starting it again. Not by the name of its file: `cargo test` may put a new one in its
/// place while we run.
pub(crate) fn own_program() -> PathBuf {
    PathBuf::from(format!("/proc/{}/exe", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_older_ones_of_the_same_name_are_pruned() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = ("0123456789abcdef", "fedcba9876543210");
        let names = [
            format!("a-{old}"),
            format!("a-{new}"),
            format!("a-b-{old}"),
            "a-part".to_owned(),
        ];
        for name in &names {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        prune(dir.path(), "a-", "", new).unwrap();
        let left = names
            .iter()
            .map(|name| dir.path().join(name).exists())
            .collect::<Vec<_>>();
        assert_eq!(left, [false, true, true, true]);
    }
}
