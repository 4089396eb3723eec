// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The locale: `/etc/locale.conf` (locale.conf(5)), or `/etc/default/locale` where Debian has its
//! own. Only what the guest can speak: a language that is not there makes programs complain.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::files::{self, inside};

const CONF: &str = "/etc/locale.conf";
const DEBIAN_CONF: &str = "/etc/default/locale";
/// Where glibc keeps what localedef has made: folders, or all in one file.
const LOCALES: &str = "/usr/lib/locale";
const ARCHIVE: &str = "/usr/lib/locale/locale-archive";
/// What localedef makes them of.
const SOURCES: &str = "/usr/share/i18n/locales";
const LOCALEDEF: &str = "/usr/bin/localedef";

/// Makes it the container's, as far as the guest can speak it.
pub(super) fn set(root: &Path, locale: &BTreeMap<String, String>) -> io::Result<()> {
    let mut text = String::new();
    for (name, value) in locale
        .iter()
        .filter(|(name, value)| is_setting(name, value))
    {
        if name == "LANGUAGE" || is_spoken(root, value) {
            text.push_str(&format!("{name}={value}\n"));
        }
    }
    if text.is_empty() {
        return Ok(());
    }
    let debian = inside(root, DEBIAN_CONF);
    // In newer Debian, the one is a link to the other.
    if debian.is_file() && !debian.is_symlink() {
        files::replace(&debian, text.as_bytes(), 0o644)?;
    }
    files::replace(&inside(root, CONF), text.as_bytes(), 0o644)
}

/// Makes languages that the guest has only the sources of.
pub(super) fn make(root: &Path, locale: &BTreeMap<String, String>, problems: &mut Vec<String>) {
    let wanted: BTreeSet<&String> = locale
        .iter()
        .filter(|(name, value)| *name != "LANGUAGE" && is_setting(name, value))
        .map(|(_, value)| value)
        .collect();
    for value in wanted {
        if is_spoken(root, value) {
            continue;
        }
        let (source, character_map) = source_of(value);
        if !inside(root, SOURCES).join(&source).is_file() || !inside(root, LOCALEDEF).is_file() {
            continue;
        }
        let made = Command::new(LOCALEDEF)
            .args(["-i", &source, "-f", &character_map, value])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        match made {
            // It ends with 1 after mere warnings.
            Ok(status) if status.code().is_some_and(|code| code <= 1) => {}
            Ok(status) => problems.push(format!("localedef {value}: {status}")),
            Err(error) => problems.push(format!("localedef {value}: {error}")),
        }
    }
}

fn is_setting(name: &str, value: &str) -> bool {
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"_.@:-".contains(&c);
    (name == "LANG" || name == "LANGUAGE" || name.starts_with("LC_"))
        && name.bytes().all(|c| c.is_ascii_uppercase() || c == b'_')
        && !value.is_empty()
        && value.len() <= 128
        && !value.starts_with(['.', '-'])
        && value.bytes().all(plain)
}

/// Whether the guest's C library has a locale.
fn is_spoken(root: &Path, value: &str) -> bool {
    if ["C", "POSIX", "C.UTF-8", "C.utf8"].contains(&value) {
        return true;
    }
    let name = as_stored(value);
    inside(root, LOCALES).join(&name).is_dir()
        || contains(&inside(root, ARCHIVE), name.as_bytes()).unwrap_or(false)
}

/// `de_DE.UTF-8` is stored as `de_DE.utf8`: the character set in small letters and digits only.
fn as_stored(value: &str) -> String {
    let (rest, modifier) = match value.split_once('@') {
        Some((rest, modifier)) => (rest, format!("@{modifier}")),
        None => (value, String::new()),
    };
    match rest.split_once('.') {
        Some((language, set)) => {
            let set: String = set
                .chars()
                .filter(char::is_ascii_alphanumeric)
                .map(|c| c.to_ascii_lowercase())
                .collect();
            format!("{language}.{set}{modifier}")
        }
        None => format!("{rest}{modifier}"),
    }
}

/// Of what source, and in which character map, a locale is made.
fn source_of(value: &str) -> (String, String) {
    let (rest, modifier) = match value.split_once('@') {
        Some((rest, modifier)) => (rest, format!("@{modifier}")),
        None => (value, String::new()),
    };
    match rest.split_once('.') {
        Some((language, set)) => {
            let set = if set.eq_ignore_ascii_case("utf8") {
                "UTF-8"
            } else {
                set
            };
            (format!("{language}{modifier}"), set.to_owned())
        }
        None => (format!("{rest}{modifier}"), "UTF-8".to_owned()),
    }
}

/// Whether a file, of whatever size, holds these bytes and a zero after them.
fn contains(path: &Path, wanted: &[u8]) -> io::Result<bool> {
    let mut wanted = wanted.to_vec();
    wanted.push(0);
    let mut file = File::open(path)?;
    let mut window: Vec<u8> = Vec::new();
    let mut chunk = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            return Ok(false);
        }
        window.extend_from_slice(chunk.get(..read).unwrap_or_default());
        if window.windows(wanted.len()).any(|part| part == wanted) {
            return Ok(true);
        }
        let keep = window.len().min(wanted.len());
        window.drain(..window.len() - keep);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locale(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn only_what_is_spoken_is_set() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("etc")).unwrap();
        std::fs::create_dir_all(root.path().join("usr/lib/locale/de_DE.utf8")).unwrap();
        let wanted = locale(&[
            ("LANG", "de_DE.UTF-8"),
            ("LC_TIME", "sv_SE.UTF-8"),
            ("LANGUAGE", "de:en"),
            ("LC_ALL\nX", "C"),
            ("LC_PAPER", "C\nX=1"),
            ("PATH", "/tmp"),
        ]);
        set(root.path(), &wanted).unwrap();
        let conf = || std::fs::read_to_string(root.path().join("etc/locale.conf")).unwrap();
        assert_eq!(conf(), "LANG=de_DE.UTF-8\nLANGUAGE=de:en\n");
        // All in one file, as Debian's localedef has it.
        let archive = root.path().join("usr/lib/locale/locale-archive");
        std::fs::write(archive, [&[7; 70_000][..], b"sv_SE.utf8\0more"].concat()).unwrap();
        set(root.path(), &wanted).unwrap();
        assert!(conf().contains("LC_TIME=sv_SE.UTF-8\n"), "{}", conf());
    }

    #[test]
    fn nothing_to_say_leaves_the_guests_own() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("etc")).unwrap();
        set(root.path(), &locale(&[])).unwrap();
        set(root.path(), &locale(&[("LANG", "xx_XX.UTF-8")])).unwrap();
        assert!(!root.path().join("etc/locale.conf").exists());
    }

    #[test]
    fn names_of_locales() {
        assert_eq!(as_stored("de_DE.UTF-8"), "de_DE.utf8");
        assert_eq!(as_stored("ca_ES.UTF-8@valencia"), "ca_ES.utf8@valencia");
        assert_eq!(as_stored("de_DE"), "de_DE");
        assert_eq!(source_of("de_DE.utf8"), ("de_DE".into(), "UTF-8".into()));
        assert_eq!(
            source_of("ca_ES.UTF-8@valencia"),
            ("ca_ES@valencia".into(), "UTF-8".into())
        );
    }
}
