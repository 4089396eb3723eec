// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Where the sandboxed host keeps its things, and the lock on them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use rustix::fs::{FlockOperation, flock};

use crate::digest::Digest;
use crate::dirs;

/// Chooses among several hosts in the same cache: the name of the host's folder.
pub(crate) const HOST_VARIABLE: &str = "KAPSULE_XTASK_HOST";

/// One sandboxed host: the one called `host`, unless `KAPSULE_XTASK_HOST` names another.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    dir: PathBuf,
    tag: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        let name = std::env::var_os(HOST_VARIABLE).filter(|name| !name.is_empty());
        let dir = dirs::cache().join(name.unwrap_or_else(|| "host".into()));
        let tag = tag_of(&dir);
        Self { dir, tag }
    }

    /// Four hexadecimal digits that keep several hosts apart.
    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The sparse file with the btrfs file system.
    pub(crate) fn disk(&self) -> PathBuf {
        self.dir.join("disk.img")
    }

    /// Where that file system is mounted on the machine while the host runs.
    pub(crate) fn mount(&self) -> PathBuf {
        self.dir.join("fs")
    }

    /// The host's root: a subvolume of that file system.
    pub(crate) fn root(&self) -> PathBuf {
        self.mount().join("root")
    }

    pub(crate) fn console_log(&self) -> PathBuf {
        self.dir.join("console.log")
    }

    pub(crate) fn state_file(&self) -> PathBuf {
        self.dir.join("state.json")
    }

    /// Name of its control group and network namespace.
    pub(crate) fn name(&self) -> String {
        format!("kapsule-{}", self.tag)
    }

    /// Keeps others from changing the host meanwhile; waits for them. Released when dropped.
    pub(crate) fn lock(&self) -> Result<File> {
        if !rustix::process::geteuid().is_root() {
            bail!(
                "the sandboxed host needs root: it mounts, and makes namespaces and network devices"
            );
        }
        fs::create_dir_all(&self.dir)
            .with_context(|| format!("cannot make {}", self.dir.display()))?;
        let file = File::create(self.dir.join("lock"))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            eprintln!("xtask: waiting for another xtask that works on the host");
            flock(&file, FlockOperation::LockExclusive)?;
        }
        Ok(file)
    }
}

fn tag_of(dir: &Path) -> String {
    let mut digest = Digest::new();
    digest.add(dir.as_os_str().as_encoded_bytes());
    // The last digits: a path's last letters hardly reach the first ones.
    digest.hex()[12..].to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn hosts_with_like_names_are_told_apart() {
        let tags: BTreeSet<_> = ('a'..='z')
            .map(|letter| tag_of(Path::new(&format!("/var/cache/kapsule-xtask/h{letter}"))))
            .collect();
        assert_eq!(tags.len(), 26, "{tags:?}");
        assert!(tags.iter().all(|tag| tag.len() == 4), "{tags:?}");
    }
}
