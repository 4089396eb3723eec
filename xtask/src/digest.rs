// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Short digests that tell whether something changed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};

/// FNV-1a with 64 bits: enough to notice a change, and the same with every compiler, which the hasher of
/// the standard library does not promise.
#[derive(Debug, Clone)]
pub(crate) struct Digest(u64);

impl Digest {
    pub(crate) fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Adds bytes, and their number so that `ab`+`c` differs from `a`+`bc`.
    pub(crate) fn add(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let bytes = bytes.as_ref();
        for byte in bytes.len().to_le_bytes().iter().chain(bytes) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self
    }

    /// Adds a file, or a folder with everything below it: names, modes and contents.
    pub(crate) fn add_path(&mut self, path: &Path) -> Result<&mut Self> {
        let meta = fs::symlink_metadata(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        self.add(meta.permissions().mode().to_le_bytes());
        if meta.is_dir() {
            let mut entries = fs::read_dir(path)?.collect::<std::io::Result<Vec<_>>>()?;
            entries.sort_by_key(fs::DirEntry::file_name);
            for entry in entries {
                self.add(entry.file_name().as_encoded_bytes());
                self.add_path(&entry.path())?;
            }
        } else if meta.is_symlink() {
            self.add(fs::read_link(path)?.as_os_str().as_encoded_bytes());
        } else {
            self.add(fs::read(path)?);
        }
        Ok(self)
    }

    /// 16 hexadecimal digits.
    pub(crate) fn hex(&self) -> String {
        format!("{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borders_count() {
        assert_ne!(
            Digest::new().add("ab").add("c").hex(),
            Digest::new().add("a").add("bc").hex()
        );
    }

    #[test]
    fn a_changed_file_changes_the_digest_of_its_folder() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "1").unwrap();
        let before = Digest::new().add_path(dir.path()).unwrap().hex();
        assert_eq!(before, Digest::new().add_path(dir.path()).unwrap().hex());
        fs::write(dir.path().join("a"), "2").unwrap();
        assert_ne!(before, Digest::new().add_path(dir.path()).unwrap().hex());
    }
}
