// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Reads `[environment]` from the configuration files, as the user. Entering is to be quick: a file
//! without such a section is not even parsed.

use std::path::{Path, PathBuf};

use kapsule_core::settings::files::{self, OF_USER, SYSTEM};
use kapsule_core::settings::{EnvironmentRules, Fragment};

use crate::ui;

const SECTION: &str = "[environment]";

/// The rules of each file that has some, the highest in rank first. What cannot be used is skipped
/// with a warning.
pub(super) fn read_all(home: Option<PathBuf>) -> Vec<EnvironmentRules> {
    let mut paths: Vec<PathBuf> = Vec::new();
    paths.extend(
        home.filter(|home| home.is_absolute())
            .map(|home| home.join(OF_USER)),
    );
    for folder in SYSTEM {
        // That drop-ins cannot be listed is the administrator's matter, and in the service's log.
        let (found, _) = files::in_folder(Path::new(folder));
        paths.extend(found);
    }
    paths.iter().filter_map(|path| read(path)).collect()
}

fn read(path: &Path) -> Option<EnvironmentRules> {
    let text = files::read_text(path).map_err(|error| warn(path, &error));
    let text = text.ok()??;
    if !text.contains(SECTION) {
        return None;
    }
    let fragment = Fragment::parse(&text).map_err(|error| warn(path, &error));
    Some(fragment.ok()?.environment)
}

fn warn(path: &Path, why: &dyn std::fmt::Display) {
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
        let file = home.path().join(OF_USER);
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
    }
}
