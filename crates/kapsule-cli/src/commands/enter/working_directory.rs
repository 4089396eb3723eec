// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Where a session starts.

use std::path::{Path, PathBuf};

use kapsule_core::isolation::Isolation;

use crate::ui;

/// The directory to start in, absolute; nothing for the home. A sealed container has none of the
/// directories here, and does not learn their names.
pub(super) fn working_directory(asked: Option<&Path>, isolation: Isolation) -> Option<PathBuf> {
    if isolation != Isolation::Sealed {
        return here(asked);
    }
    let asked = asked?;
    if !asked.is_absolute() {
        ui::warning(&format!(
            "the directory '{}' is one of the container and has to begin with '/'; starting in the home",
            ui::escape(&asked.to_string_lossy())
        ));
    }
    asked.is_absolute().then(|| asked.to_owned())
}

/// The one that was asked for if it exists, else the current one, if that still exists.
fn here(asked: Option<&Path>) -> Option<PathBuf> {
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
        assert_eq!(here(None), Some(current.clone()));
        assert_eq!(here(Some(Path::new("src"))), Some(current.join("src")));
        assert_eq!(here(Some(Path::new("/"))), Some(PathBuf::from("/")));
        assert_eq!(here(Some(Path::new("/nonexistent"))), Some(current));
    }

    #[test]
    fn a_sealed_container_has_directories_of_its_own() {
        let sealed =
            |asked: Option<&str>| working_directory(asked.map(Path::new), Isolation::Sealed);
        assert_eq!(sealed(None), None);
        assert_eq!(sealed(Some("src")), None);
        assert_eq!(sealed(Some("/nonexistent")), Some("/nonexistent".into()));
    }
}
