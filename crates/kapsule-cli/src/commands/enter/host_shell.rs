// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The shell of the host that `--or-host` opens when the container cannot be had.
//!
//! This program becomes the shell, so that nothing of it is left in between. It does so once in a
//! terminal's session: a shell whose own start-up files say `kapsule enter --or-host` would go
//! round for ever.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use rustix::process::getuid;

use crate::error::{CommandError, ErrorKind};
use crate::{exit, ui};

/// Set to the session in which a shell was opened, for what that shell starts.
const MARK: &str = "KAPSULE_OR_HOST";

/// A user of the host.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PasswdEntry {
    pub(super) name: OsString,
    shell: OsString,
}

/// Says `why` in one line and becomes the user's login shell. Returns only if that cannot be.
pub(super) fn become_it(why: &CommandError) -> CommandError {
    let why = one_line(why);
    let session = session();
    if session.is_some() && std::env::var_os(MARK) == session {
        return failed(&format!("{why}; this is a shell of the host already"));
    }
    eprintln!("kapsule: {why}; this is a shell of the host");
    for shell in candidates(std::env::var_os("SHELL"), passwd_entry()) {
        let mut command = Command::new(&shell);
        command.arg0(login_name(&shell));
        if let Some(session) = &session {
            command.env(MARK, session);
        }
        // Returns only if it failed; the next one may do.
        let _ = command.exec();
    }
    failed("no shell of the host can be run, not even /bin/sh")
}

fn failed(text: &str) -> CommandError {
    CommandError::message(ErrorKind::NotEntered(exit::NOT_ENTERED), text)
}

/// What keeps one out, without anything that could be more than a line.
fn one_line(why: &CommandError) -> String {
    let text = why.to_string();
    let words: Vec<&str> = text.split_whitespace().collect();
    ui::escape(words.join(" ").trim_end_matches('.'))
}

/// The terminal's session: the same for everything that a shell in it starts.
///
/// Read from `/proc`, because 0 is an answer, too: a session of outside this process namespace, as in
/// `unshare --pid` or a sandbox. `rustix` has no type for that (`getsid` panics).
fn session() -> Option<OsString> {
    let status = std::fs::read_to_string("/proc/self/stat").ok()?;
    Some(session_in(&status)?.into())
}

/// The sixth field (proc_pid_stat(5)); the second is a name in parentheses, in which anything may be.
fn session_in(stat: &str) -> Option<&str> {
    let (_, after_name) = stat.rsplit_once(") ")?;
    after_name.split(' ').nth(3)
}

/// Shells in the order in which to try: as the user is logged in, as the system has it, any.
fn candidates(login: Option<OsString>, passwd: Option<PasswdEntry>) -> Vec<OsString> {
    login
        .into_iter()
        .chain(passwd.map(|entry| entry.shell))
        .chain(["/bin/bash".into(), "/bin/sh".into()])
        .filter(|shell| Path::new(shell).is_absolute() && !is_this_program(shell))
        .collect()
}

/// Whether somebody made this program their shell.
fn is_this_program(path: &OsStr) -> bool {
    match (std::fs::metadata(path), std::fs::metadata("/proc/self/exe")) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

/// A shell knows that it is a login shell by a dash in front of its name.
fn login_name(shell: &OsStr) -> OsString {
    let name = Path::new(shell).file_name().unwrap_or(shell);
    let mut login_name = OsString::from("-");
    login_name.push(name);
    login_name
}

/// This user in the system's own table; users from elsewhere are not in there.
pub(super) fn passwd_entry() -> Option<PasswdEntry> {
    let table = std::fs::read("/etc/passwd").ok()?;
    find(&table, getuid().as_raw())
}

fn find(table: &[u8], uid: u32) -> Option<PasswdEntry> {
    let uid = uid.to_string();
    table.split(|byte| *byte == b'\n').find_map(|line| {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
        match fields[..] {
            [name, _, number, _, _, _, shell] if number == uid.as_bytes() => Some(PasswdEntry {
                name: OsString::from_vec(name.to_vec()),
                shell: OsStr::from_bytes(shell).to_owned(),
            }),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_number() {
        let table = b"root:x:0:0:root:/root:/bin/bash\nbad:x:7\nalice:x:1000:1000:A,B:/home/alice:/bin/zsh\n";
        let alice = find(table, 1000).unwrap();
        assert_eq!(
            (alice.name, alice.shell),
            ("alice".into(), "/bin/zsh".into())
        );
        assert_eq!(find(table, 7), None);
        assert_eq!(find(table, 100), None);
    }

    #[test]
    fn the_session_is_read_after_any_name() {
        assert_eq!(session_in("7 (kapsule) S 1 7 7 34816 7"), Some("7"));
        assert_eq!(session_in("7 (a) S 9 9 9 (b) S 1 0 0 0 -1"), Some("0"));
        assert_eq!(session_in("7 (kapsule"), None);
        assert!(session().is_some());
    }

    #[test]
    fn there_is_always_a_shell_to_try_and_never_this_program() {
        let this = std::env::current_exe().unwrap().into_os_string();
        let entry = PasswdEntry {
            name: "alice".into(),
            shell: "/bin/zsh".into(),
        };
        let found = candidates(Some("/bin/fish".into()), Some(entry));
        assert_eq!(found, ["/bin/fish", "/bin/zsh", "/bin/bash", "/bin/sh"]);
        for unusable in [Some(this), Some("fish".into()), Some(OsString::new()), None] {
            assert_eq!(candidates(unusable, None), ["/bin/bash", "/bin/sh"]);
        }
        assert_eq!(login_name(OsStr::new("/usr/bin/zsh")), "-zsh");
    }

    #[test]
    fn the_reason_is_one_line() {
        let why = CommandError::failed("two\nlines\r\n  and \x1b[31mred.\n");
        let line = one_line(&why);
        assert!(!line.contains(['\n', '\r', '\x1b']), "{line}");
        assert!(line.starts_with("two lines and "), "{line}");
    }
}
