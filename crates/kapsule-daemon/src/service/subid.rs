// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The host's `/etc/subuid` and `/etc/subgid`: what root may map into containers.
//!
//! Incus maps a user's own number into their containers (`raw.idmap`) only where root has been
//! given it there. See subuid(5) for the format: `NAME-OR-UID:FIRST:COUNT` a line.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use crate::error::{Error, Result};

/// The range that distributions give to root for containers. Incus uses the same one where the
/// files do not name root at all; so it has to be written down as soon as anything else is.
const DEFAULT_RANGE: (u64, u64) = (1_000_000, 1_000_000_000);

/// What counts as a range for whole containers rather than for single numbers: Incus' own limit.
const CONTAINER_RANGE: u64 = 65_536;

/// Lets root map this user and group into containers. Returns the lines that were added, as
/// `FILE: LINE`.
///
/// # Errors
/// When a file can be neither read nor replaced.
pub(crate) fn allow(etc: &Path, uid: u32, gid: u32) -> Result<Vec<String>> {
    let mut added = allow_in(&etc.join("subuid"), uid)?;
    added.extend(allow_in(&etc.join("subgid"), gid)?);
    Ok(added)
}

fn allow_in(file: &Path, id: u32) -> Result<Vec<String>> {
    let problem = |error: io::Error| {
        Error::failed(format!(
            "cannot let containers use the number {id}: {}: {error}. Add the line 'root:{id}:1' to it as root",
            file.display()
        ))
    };
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(problem(error)),
    };
    let lines = missing_lines(&text, id);
    if lines.is_empty() {
        return Ok(Vec::new());
    }
    let mut new = text;
    if !new.is_empty() && !new.ends_with('\n') {
        new.push('\n');
    }
    for line in &lines {
        // Writing to a String does not fail.
        let _ = writeln!(new, "{line}");
    }
    replace(file, &new).map_err(problem)?;
    Ok(lines
        .into_iter()
        .map(|line| format!("{}: {line}", file.display()))
        .collect())
}

/// The lines that are missing for root to map `id`.
fn missing_lines(text: &str, id: u32) -> Vec<String> {
    let ranges: Vec<(u64, u64)> = text.lines().filter_map(root_range).collect();
    let mut lines = Vec::new();
    if !ranges.iter().any(|(_, count)| *count >= CONTAINER_RANGE) {
        lines.push(format!("root:{}:{}", DEFAULT_RANGE.0, DEFAULT_RANGE.1));
    }
    let id = u64::from(id);
    let covered = |(first, count): &(u64, u64)| *first <= id && id < first.saturating_add(*count);
    if !ranges.iter().any(covered) {
        lines.push(format!("root:{id}:1"));
    }
    lines
}

/// The first number and the count of a line that is about root.
fn root_range(line: &str) -> Option<(u64, u64)> {
    let mut fields = line.trim().split(':');
    let who = fields.next()?;
    let first = fields.next()?.parse().ok()?;
    let count = fields.next()?.parse().ok()?;
    ((who == "root" || who == "0") && fields.next().is_none()).then_some((first, count))
}

/// Replaces a file whole or not at all, with the old one's mode.
fn replace(file: &Path, text: &str) -> io::Result<()> {
    let mode = fs::metadata(file).map_or(0o644, |meta| meta.mode() & 0o777);
    let new = file.with_extension("kapsule-new");
    let mut out = fs::File::create(&new)?;
    out.set_permissions(fs::Permissions::from_mode(mode))?;
    out.write_all(text.as_bytes())?;
    out.sync_all()?;
    fs::rename(&new, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_only_what_is_missing() {
        let range = "root:1000000:1000000000";
        let cases: &[(&str, &[&str])] = &[
            ("", &[range, "root:1000:1"]),
            ("alice:100000:65536\n", &[range, "root:1000:1"]),
            ("root:1000000:1000000000\n", &["root:1000:1"]),
            ("root:1000000:1000000000\nroot:1000:1\n", &[]),
            ("0:1000000:65536\nroot:900:200", &[]),
            ("root:1000:1\n", &[range]),
            ("root:garbage\nroot:1:2:3\n", &[range, "root:1000:1"]),
        ];
        for (text, expected) in cases {
            assert_eq!(missing_lines(text, 1000), *expected, "{text:?}");
        }
    }

    #[test]
    fn keeps_the_file_and_is_idempotent() {
        let etc = tempfile::tempdir().unwrap();
        let file = etc.path().join("subuid");
        fs::write(&file, "alice:100000:65536").unwrap();
        assert_eq!(allow(etc.path(), 1000, 1000).unwrap().len(), 4);
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!(
            text,
            "alice:100000:65536\nroot:1000000:1000000000\nroot:1000:1\n"
        );
        assert_eq!(allow(etc.path(), 1000, 1000).unwrap(), [""; 0]);
    }
}
