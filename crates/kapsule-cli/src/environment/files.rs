// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Reads `[environment]` from the configuration files (see `kapsule_core::settings` for which there
//! are), as the user. Entering is to be quick: a file without such a section is not even parsed.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use kapsule_core::settings::{EnvironmentRules, Fragment, MAX_FILE};
use rustix::fs::{FileType, Mode, OFlags};

use crate::ui;

/// The directories of the administrator and of the distribution, the higher in rank first.
const SYSTEM: [&str; 2] = ["/etc/kapsule", "/usr/lib/kapsule"];
/// What a user's file is called below the home.
const USERS: &str = ".config/kapsule/kapsule.conf";
const SECTION: &str = "[environment]";

/// The rules of each file that has some, the highest in rank first. What cannot be used is skipped
/// with a warning.
pub(super) fn read_all(home: Option<PathBuf>) -> Vec<EnvironmentRules> {
    let mut files: Vec<PathBuf> = Vec::new();
    files.extend(
        home.filter(|home| home.is_absolute())
            .map(|home| home.join(USERS)),
    );
    for directory in SYSTEM {
        let directory = Path::new(directory);
        files.extend(drop_ins(&directory.join("kapsule.conf.d")));
        files.push(directory.join("kapsule.conf"));
    }
    files.iter().filter_map(|path| read(path)).collect()
}

fn read(path: &Path) -> Option<EnvironmentRules> {
    let text = match read_text(path) {
        Ok(text) => text?,
        Err(why) => {
            warn(path, &why.to_string());
            return None;
        }
    };
    match Fragment::parse(&text) {
        Ok(fragment) => Some(fragment.environment),
        Err(why) => {
            warn(path, &why.to_string());
            None
        }
    }
}

/// The text of a file that has something to say about it.
fn read_text(path: &Path) -> io::Result<Option<String>> {
    // Never waits for another process, whatever is in the place of the file.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => file,
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    let invalid = |why| io::Error::new(io::ErrorKind::InvalidData, why);
    if FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) != FileType::RegularFile {
        return Err(invalid("not a regular file"));
    }
    let mut bytes = Vec::new();
    std::fs::File::from(file)
        .take(MAX_FILE + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(invalid("too large"));
    }
    let text = String::from_utf8(bytes).map_err(|_| invalid("not UTF-8 text"))?;
    Ok(text.contains(SECTION).then_some(text))
}

/// The `*.conf` files in a directory, the last name first.
fn drop_ins(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "conf")
        })
        .collect();
    files.sort_unstable_by(|a, b| b.cmp(a));
    files
}

fn warn(path: &Path, why: &str) {
    ui::warning(&format!(
        "{} is ignored: {why}",
        ui::escape(&path.to_string_lossy())
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_file_counts_and_a_bad_one_does_not_stop_anybody() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join(USERS);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let with = |text: &[u8]| {
            std::fs::write(&file, text).unwrap();
            read(&file)
        };
        let rules = with(b"[environment]\npass = A B_*\n").unwrap();
        assert_eq!(rules.pass, ["A", "B_*"]);
        assert_eq!(with(b"[kapsule]\ndefault_container = x\n"), None);
        assert_eq!(with(b"[environment]\n[broken\n"), None);
        assert_eq!(with(b"[environment]\npass = \xff\n"), None);
        assert_eq!(with(&[b'#'; 70_000]), None);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(read(&file), None);
        let fifo = Mode::RUSR | Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &file, FileType::Fifo, fifo, 0).unwrap();
        assert_eq!(read(&file), None);
    }
}
