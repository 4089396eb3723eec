// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Where a session starts.

use std::path::{Path, PathBuf};

use kapsule_core::isolation::Isolation;

use super::answering::answers;
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

/// The one that was asked for if it exists, else the current one, if that still exists; nothing where it
/// does not answer.
fn here(asked: Option<&Path>) -> Option<PathBuf> {
    let current = current_directory();
    let wanted = asked
        .and_then(|asked| std::path::absolute(asked).ok())
        .or_else(|| current.clone());
    if let Some(wanted) = wanted
        && !answers(&wanted)
    {
        ui::warning(&format!(
            "the directory '{}' does not answer, so its server may be away; starting in the home",
            ui::escape(&wanted.to_string_lossy())
        ));
        return None;
    }
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
    let logical = std::env::var_os("PWD").map(PathBuf::from);
    // The kernel knows its name without looking at it.
    let Ok(physical) = std::env::current_dir() else {
        return logical.filter(|it| it.is_absolute() && is_same_directory(it, Path::new(".")));
    };
    let logical = logical.filter(|it| it.is_absolute() && leads_to(it, &physical));
    Some(logical.unwrap_or(physical))
}

/// Whether a path leads to a directory, whose real name is `physical`. What both end with is left away
/// first, as it is the same below the same directory: the directory itself may be one that does not
/// answer.
fn leads_to(path: &Path, physical: &Path) -> bool {
    let (mut above, mut above_physical) = (vec![path], vec![physical]);
    while let (Some(one), Some(other)) = (above.last(), above_physical.last())
        && one.file_name().is_some()
        && one.file_name() == other.file_name()
        && let (Some(one), Some(other)) = (one.parent(), other.parent())
    {
        above.push(one);
        above_physical.push(other);
    }
    let pairs = above.iter().zip(&above_physical).rev();
    pairs
        .into_iter()
        .any(|(one, other)| one == other || is_same_directory(one, other))
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
    fn a_name_for_a_directory_leads_there() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("var/home/a/b")).unwrap();
        std::fs::create_dir_all(root.join("other/home/a/b")).unwrap();
        std::os::unix::fs::symlink("var/home", root.join("home")).unwrap();
        std::os::unix::fs::symlink("a/b", root.join("home/short")).unwrap();
        let physical = root.join("var/home/a/b");
        for (path, leads) in [
            ("var/home/a/b", true),
            ("home/a/b", true),
            ("home/short", true),
            ("other/home/a/b", false),
            ("home/a", false),
            ("nonexistent/a/b", false),
        ] {
            assert_eq!(leads_to(&root.join(path), &physical), leads, "{path}");
        }
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
