// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Where a session starts.

use std::path::{Path, PathBuf};

use crate::ui;

/// The directory to start in, absolute: the one that was asked for if it exists, else the current
/// one, if that still exists.
pub(super) fn working_directory(asked: Option<&Path>) -> Option<PathBuf> {
    let current = current_directory();
    let Some(asked) = asked else { return current };
    if asked.is_dir() {
        // Not resolved: inside, links may lead elsewhere.
        return match &current {
            Some(current) => Some(current.join(asked)),
            None => std::path::absolute(asked).ok(),
        };
    }
    ui::warning(&format!(
        "the directory '{}' does not exist; starting in the current one",
        ui::escape(&asked.to_string_lossy())
    ));
    current
}

/// The current directory by the name that the user came to it (`PWD`), as a home may be reached
/// through a link that exists on both sides, and its target only here.
fn current_directory() -> Option<PathBuf> {
    let is_here = |path: &PathBuf| path.is_absolute() && is_same_directory(path, Path::new("."));
    let logical = std::env::var_os("PWD").map(PathBuf::from);
    logical
        .filter(is_here)
        .or_else(|| std::env::current_dir().ok())
}

fn is_same_directory(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (std::fs::metadata(one), std::fs::metadata(other)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_absolute_and_exist() {
        let current = current_directory().unwrap();
        assert_eq!(working_directory(None), Some(current.clone()));
        assert_eq!(
            working_directory(Some(Path::new("src"))),
            Some(current.join("src"))
        );
        assert_eq!(
            working_directory(Some(Path::new("/"))),
            Some(PathBuf::from("/"))
        );
        assert_eq!(
            working_directory(Some(Path::new("/nonexistent"))),
            Some(current)
        );
    }
}
