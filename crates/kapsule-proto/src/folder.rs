// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Which folder is meant, whatever leads to it at the moment.
//!
//! A path can lead elsewhere a moment later: whoever owns a folder on the way puts a symlink in its
//! place. So the daemon writes down which folder the user could open, and the agent compares that
//! with what has been mounted.

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, StatxFlags, fstatfs, statx};
use rustix::io;
use serde::{Deserialize, Serialize};

/// What tells a folder from all others, also after the machine was started anew. Users choose none
/// of it, but in a file system of their own making (FUSE), which the type of the file system tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderId {
    /// Type of the file system, as statfs(2) has it.
    file_system: u64,
    /// Number in the file system. That of a removed folder is given to a new one.
    inode: u64,
    /// When it was made, in seconds and nanoseconds: the new one has another time.
    born: Option<(i64, u32)>,
    /// The device, where the file system does not tell the time. Some get another one when they are
    /// mounted anew.
    device: Option<(u32, u32)>,
}

impl FolderId {
    /// That of an open folder. `O_PATH` is enough.
    ///
    /// # Errors
    /// Those of statx(2) and fstatfs(2).
    pub fn of(folder: impl AsFd) -> io::Result<Self> {
        let wanted = StatxFlags::INO | StatxFlags::BTIME;
        let about = statx(&folder, "", AtFlags::EMPTY_PATH, wanted)?;
        let born = StatxFlags::from_bits_retain(about.stx_mask)
            .contains(StatxFlags::BTIME)
            .then_some((about.stx_btime.tv_sec, about.stx_btime.tv_nsec));
        // A signed number on some machines; only sameness counts.
        let file_system = fstatfs(&folder)?.f_type as u64;
        Ok(Self {
            file_system,
            inode: about.stx_ino,
            device: match born {
                Some(_) => None,
                None => Some((about.stx_dev_major, about.stx_dev_minor)),
            },
            born,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn each_folder_has_its_own_whatever_its_path() {
        let base = std::env::temp_dir().join(format!("kapsule-folder-{}", std::process::id()));
        let (one, other, moved) = (base.join("one"), base.join("other"), base.join("moved"));
        std::fs::create_dir_all(&one).unwrap();
        std::fs::create_dir_all(&other).unwrap();
        let id = |path: &std::path::Path| FolderId::of(File::open(path).unwrap()).unwrap();
        let first = id(&one);
        assert_ne!(first, id(&other));
        std::fs::rename(&one, &moved).unwrap();
        std::os::unix::fs::symlink(&moved, &one).unwrap();
        assert_eq!(first, id(&one));
        // A new one in place of a removed one, which may well have its number. The kernel's clock for
        // files goes in steps of some milliseconds.
        std::thread::sleep(std::time::Duration::from_millis(50));
        std::fs::remove_dir(&moved).unwrap();
        std::fs::create_dir(&moved).unwrap();
        assert_ne!(first, id(&moved));
        std::fs::remove_dir_all(&base).unwrap();
    }
}
