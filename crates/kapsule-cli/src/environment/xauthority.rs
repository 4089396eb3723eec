// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The X server's cookie for a container. Cookies are kept under the host's name as a rule, and programs
//! in a container, which has another name, do not find them. So the one for the display is written into a
//! file of its own, under no name at all (`FamilyWild`), in the user's runtime directory: the container
//! sees that whatever else it sees, nobody else does, and it ends with the login.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use kapsule_core::settings::files::open_regular;

/// Longer than any file of cookies.
const MAX_FILE: u64 = 1024 * 1024;
/// The one kind of cookie that needs no more than to be known.
const COOKIE: &[u8] = b"MIT-MAGIC-COOKIE-1";
/// Of a connection within the machine (Xauth.h).
const FAMILY_LOCAL: u16 = 256;
/// Of any connection.
const FAMILY_WILD: u16 = 65535;

/// What a program here would use.
#[derive(Clone, Debug)]
pub(super) struct Session {
    /// `DISPLAY`.
    pub(super) display: Vec<u8>,
    /// `XAUTHORITY`, or where cookies are without it.
    pub(super) file: PathBuf,
    /// `XDG_RUNTIME_DIR`.
    pub(super) runtime: PathBuf,
}

/// Writes the cookie of the display for containers, and returns the path of its file. Nothing where
/// there is none: then the server may do without, or be none of this machine's.
pub(super) fn for_container(session: &Session) -> Option<PathBuf> {
    let text = read(&session.file).ok()?;
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let (number, cookie) = cookie(&session.display, &text, host.trim().as_bytes())?;
    let name = format!("xauthority-{}", std::str::from_utf8(number).ok()?);
    write(&session.runtime, &name, &wild(number, cookie)).ok()
}

/// The number of a display, and its cookie in the text of a file, on a machine of this name.
pub(crate) fn cookie<'a>(
    display: &'a [u8],
    text: &'a [u8],
    host: &[u8],
) -> Option<(&'a [u8], &'a [u8])> {
    let number = number(display)?;
    Some((number, choose(&parse(text)?, host, number)?))
}

/// The number of a display of this machine: `:0`, `:0.1`, `unix:0`.
fn number(display: &[u8]) -> Option<&[u8]> {
    let rest = display.strip_prefix(b"unix").unwrap_or(display);
    let rest = rest.strip_prefix(b":")?;
    let digits = rest.iter().take_while(|c| c.is_ascii_digit()).count();
    let plain = matches!(rest.get(digits), None | Some(b'.'));
    (plain && (1..=5).contains(&digits)).then(|| &rest[..digits])
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    open_regular(path, MAX_FILE)?
        .take(MAX_FILE)
        .read_to_end(&mut text)?;
    Ok(text)
}

/// An entry of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry<'a> {
    family: u16,
    address: &'a [u8],
    number: &'a [u8],
    name: &'a [u8],
    data: &'a [u8],
}

/// All entries; nothing for a file that ends in the middle of one.
fn parse(mut text: &[u8]) -> Option<Vec<Entry<'_>>> {
    let mut entries = Vec::new();
    while !text.is_empty() {
        let family = take_number(&mut text)?;
        entries.push(Entry {
            family,
            address: take_bytes(&mut text)?,
            number: take_bytes(&mut text)?,
            name: take_bytes(&mut text)?,
            data: take_bytes(&mut text)?,
        });
    }
    Some(entries)
}

fn take_number(text: &mut &[u8]) -> Option<u16> {
    let (number, rest) = text.split_first_chunk::<2>()?;
    *text = rest;
    Some(u16::from_be_bytes(*number))
}

fn take_bytes<'a>(text: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::from(take_number(text)?);
    let (bytes, rest) = text.split_at_checked(length)?;
    *text = rest;
    Some(bytes)
}

/// The cookie that a program on this machine would show to the display.
fn choose<'a>(entries: &[Entry<'a>], host: &[u8], number: &[u8]) -> Option<&'a [u8]> {
    let fits = |entry: &&Entry<'_>| {
        let here =
            entry.family == FAMILY_WILD || entry.family == FAMILY_LOCAL && entry.address == host;
        here && entry.name == COOKIE && (entry.number == number || entry.number.is_empty())
    };
    entries.iter().find(fits).map(|entry| entry.data)
}

/// A file with one entry, for whatever the host is called.
pub(crate) fn wild(number: &[u8], cookie: &[u8]) -> Vec<u8> {
    let mut text = FAMILY_WILD.to_be_bytes().to_vec();
    for field in [&b""[..], number, COOKIE, cookie] {
        let length = u16::try_from(field.len()).unwrap_or(0);
        text.extend(length.to_be_bytes());
        text.extend(&field[..usize::from(length)]);
    }
    text
}

fn write(runtime: &Path, name: &str, text: &[u8]) -> io::Result<PathBuf> {
    let own = |path: &Path| {
        let about = path.symlink_metadata()?;
        let ours = about.is_dir()
            && about.uid() == rustix::process::getuid().as_raw()
            && about.mode() & 0o077 == 0;
        ours.then_some(())
            .ok_or_else(|| io::Error::other("not a folder of the user's alone"))
    };
    own(runtime)?;
    let folder = runtime.join("kapsule");
    match DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => own(&folder)?,
    }
    let path = folder.join(name);
    if read(&path).is_ok_and(|old| old == text) {
        return Ok(path);
    }
    // Of this process alone: other tabs may be opened at the same moment.
    let new = folder.join(format!(".{name}.{}", std::process::id()));
    let _ = std::fs::remove_file(&new);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    let written = file
        .write_all(text)
        .and_then(|()| std::fs::rename(&new, &path));
    if written.is_err() {
        let _ = std::fs::remove_file(&new);
    }
    written.map(|()| path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn file(entries: &[Entry<'_>]) -> Vec<u8> {
        let mut text = Vec::new();
        for entry in entries {
            text.extend(entry.family.to_be_bytes());
            for field in [entry.address, entry.number, entry.name, entry.data] {
                text.extend(u16::try_from(field.len()).unwrap().to_be_bytes());
                text.extend(field);
            }
        }
        text
    }

    fn entry<'a>(family: u16, address: &'a str, number: &'a str, data: &'a str) -> Entry<'a> {
        Entry {
            family,
            address: address.as_bytes(),
            number: number.as_bytes(),
            name: COOKIE,
            data: data.as_bytes(),
        }
    }

    #[test]
    fn the_cookie_is_the_one_for_the_display() {
        let entries = [
            entry(FAMILY_LOCAL, "other", "0", "not this"),
            entry(0, "host", "0", "nor this"),
            Entry {
                name: b"XDM-AUTHORIZATION-1",
                ..entry(FAMILY_LOCAL, "host", "0", "nor that")
            },
            entry(FAMILY_LOCAL, "host", "1", "one"),
            entry(FAMILY_LOCAL, "host", "0", "zero"),
            entry(FAMILY_WILD, "", "7", "seven"),
        ];
        let text = file(&entries);
        let parsed = parse(&text).unwrap();
        assert_eq!(parsed, entries);
        for (number, expected) in [("0", Some("zero")), ("7", Some("seven")), ("2", None)] {
            let found = choose(&parsed, b"host", number.as_bytes());
            assert_eq!(found, expected.map(str::as_bytes), "{number}");
        }
    }

    #[test]
    fn what_is_no_file_of_cookies_is_none() {
        let text = file(&[entry(FAMILY_LOCAL, "host", "0", "cookie")]);
        for end in 1..text.len() {
            assert_eq!(parse(&text[..end]), None, "{end}");
        }
        assert_eq!(parse(b""), Some(Vec::new()));
        assert_eq!(parse(&[0xff; 64]), None);
    }

    #[test]
    fn displays_of_this_machine_have_numbers() {
        for (display, expected) in [
            (":0", Some("0")),
            (":12.3", Some("12")),
            ("unix:1", Some("1")),
            ("localhost:10.0", None),
            (":", None),
            (":x", None),
            (":1/../x", None),
            (":123456", None),
            ("", None),
        ] {
            let found = number(display.as_bytes());
            assert_eq!(found, expected.map(str::as_bytes), "{display}");
        }
    }

    #[test]
    fn it_is_written_for_the_user_alone() {
        let runtime = tempfile::tempdir().unwrap();
        let set = |mode| {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(runtime.path(), mode).unwrap();
        };
        set(0o755);
        assert!(write(runtime.path(), "x", b"text").is_err());
        set(0o700);
        let path = write(runtime.path(), "x", &wild(b"0", b"cookie")).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        let text = std::fs::read(&path).unwrap();
        assert_eq!(
            parse(&text).unwrap(),
            [entry(FAMILY_WILD, "", "0", "cookie")]
        );
        write(runtime.path(), "x", b"other").unwrap();
        let folder = path.parent().unwrap();
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1);
        assert_eq!(std::fs::read(&path).unwrap(), b"other");
    }
}
