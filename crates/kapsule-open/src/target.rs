// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What is to be opened: a link, or a file of the container's.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode;

/// What is to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A link that is no file.
    Link(String),
    /// A file that is there: its path without links in it.
    File(PathBuf),
}

/// Why it is neither.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TargetError {
    #[error("{} cannot be found: {}", .0.display(), .1)]
    NoFile(PathBuf, std::io::Error),
    #[error("{0:?} is not a link")]
    NotText(OsString),
}

impl Target {
    /// What an argument means. A file that is there is one even if its name looks like a link.
    pub(crate) fn of(argument: &OsStr) -> Result<Self, TargetError> {
        let path = match file_of_link(argument.as_bytes()) {
            Some(path) => path,
            None if is_link(argument.as_bytes()) && !Path::new(argument).exists() => {
                let link = argument.to_str().map(str::to_owned);
                return link
                    .map(Self::Link)
                    .ok_or_else(|| TargetError::NotText(argument.to_owned()));
            }
            None => PathBuf::from(argument),
        };
        match std::fs::canonicalize(&path) {
            Ok(path) => Ok(Self::File(path)),
            Err(error) => Err(TargetError::NoFile(path, error)),
        }
    }
}

/// The path of a link `file:`, on this machine.
fn file_of_link(link: &[u8]) -> Option<PathBuf> {
    let scheme = link.get(..5)?;
    if !scheme.eq_ignore_ascii_case(b"file:") {
        return None;
    }
    let rest = &link[5..];
    let path = match rest.strip_prefix(b"//") {
        Some(rest) => &rest[rest.iter().position(|c| *c == b'/')?..],
        None => rest,
    };
    let end = path
        .iter()
        .position(|c| matches!(c, b'?' | b'#'))
        .unwrap_or(path.len());
    let path: Vec<u8> = percent_decode(&path[..end]).collect();
    path.starts_with(b"/")
        .then(|| PathBuf::from(OsString::from_vec(path)))
}

/// Whether it begins with a scheme (RFC 3986, 3.1) other than that of files.
fn is_link(text: &[u8]) -> bool {
    let end = text.iter().position(|c| *c == b':').unwrap_or(0);
    !text[..end].eq_ignore_ascii_case(b"file")
        && text[..end].first().is_some_and(u8::is_ascii_alphabetic)
        && text[..end]
            .iter()
            .all(|c| c.is_ascii_alphanumeric() || b"+.-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_files() {
        let dir = tempfile::tempdir().unwrap();
        let dir = std::fs::canonicalize(dir.path()).unwrap();
        let file = dir.join("a b");
        std::fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink(&file, dir.join("link")).unwrap();
        let of = |text: String| Target::of(OsStr::new(&text)).ok();
        for link in [
            "https://example.org/?q=1#x",
            "mailto:alice@example.org",
            "x+y.z-1:a",
        ] {
            assert_eq!(of(link.to_owned()), Some(Target::Link(link.to_owned())));
        }
        let expected = Some(Target::File(file.clone()));
        let text = file.to_str().unwrap();
        assert_eq!(of(text.to_owned()), expected);
        assert_eq!(of(format!("{}/link", dir.display())), expected);
        for form in ["file://", "file://localhost", "FILE:"] {
            let link = format!("{form}{}#part", text.replace(' ', "%20"));
            assert_eq!(of(link), expected, "{form}");
        }
        for nothing in [
            "/no/such/file",
            "",
            "1:2",
            "file:relative",
            "file://host",
            ":",
        ] {
            assert_eq!(of(nothing.to_owned()), None, "{nothing}");
        }
    }
}
