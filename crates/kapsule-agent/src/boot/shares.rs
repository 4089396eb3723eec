// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Are the folders of the host in the container those that its owner may see there?
//!
//! The daemon opened each as the owner and wrote down which one it is. Incus mounts it later, as root,
//! by its path; until then the owner can put a symlink in the place of a folder on the way, to
//! something that they cannot reach. Here, before anything of the guest runs and whoever started the
//! container, what was mounted is compared with what was checked.

use std::io;

use kapsule_proto::folder::FolderId;
use kapsule_proto::spec::Share;
use rustix::fs::{Mode, OFlags};

/// Compares them all.
///
/// # Errors
/// The first that is another one, or is not there.
pub(super) fn check(shares: &[Share]) -> io::Result<()> {
    for share in shares {
        // Not opened for reading: its owner's rights are not root's, of this container.
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let found = rustix::fs::open(&share.path, flags, Mode::empty()).and_then(FolderId::of);
        match found {
            Ok(folder) if folder == share.folder => {}
            Ok(_) => {
                return Err(io::Error::other(format!(
                    "{} is not the folder of the host that it was when it was checked",
                    share.path
                )));
            }
            Err(error) => return Err(io::Error::other(format!("{}: {error}", share.path))),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn a_folder_that_was_exchanged_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let (mine, theirs) = (dir.path().join("mine"), dir.path().join("theirs"));
        std::fs::create_dir(&mine).unwrap();
        std::fs::create_dir(&theirs).unwrap();
        let share = Share {
            path: mine.to_str().unwrap().to_owned(),
            folder: FolderId::of(File::open(&mine).unwrap()).unwrap(),
        };
        let shares = [share];
        check(&shares).unwrap();
        std::fs::rename(&mine, dir.path().join("away")).unwrap();
        assert!(check(&shares).is_err(), "nothing there");
        std::os::unix::fs::symlink(&theirs, &mine).unwrap();
        assert!(check(&shares).is_err(), "another one");
        std::fs::remove_file(&mine).unwrap();
        std::fs::rename(dir.path().join("away"), &mine).unwrap();
        check(&shares).unwrap();
    }
}
