// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The environment of a session.
//!
//! The agent's own (which under systemd is that of the user manager, made by PAM), without what
//! belongs to the agent as a service; then what a login would set; then what the client sends.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;

use kapsule_proto::session::Bytes;

/// A set of variables.
pub(crate) type Environment = BTreeMap<Vec<u8>, Vec<u8>>;

/// Variables by which systemd speaks to the agent as a service (systemd.exec(5), "Environment
/// Variables Set or Propagated by the Service Manager").
const OF_THE_SERVICE: &[&str] = &[
    "CREDENTIALS_DIRECTORY",
    "FDSTORE",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "LISTEN_FDNAMES",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_PIDFDID",
    "LOGS_DIRECTORY",
    "MAINPID",
    "MANAGERPID",
    "MANAGERPIDFDID",
    "MEMORY_PRESSURE_WATCH",
    "MEMORY_PRESSURE_WRITE",
    "NOTIFY_SOCKET",
    "REMOTE_ADDR",
    "RUNTIME_DIRECTORY",
    "SYSTEMD_EXEC_PID",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    // Of the agent's own making.
    "OLDPWD",
    "PWD",
    "SHLVL",
    "_",
];

/// What a login gives where the guest says nothing else (Debian's and Fedora's common ground).
const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Files with `NAME=value` lines that logins read through PAM, and what is taken from them.
const GUEST_FILES: &[&str] = &[
    "/etc/environment",
    "/etc/locale.conf",
    "/etc/default/locale",
];

/// Longest of these files that is read, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// What all sessions of this agent share.
pub(crate) fn base(uid: u32) -> Environment {
    let mut environment: Environment = std::env::vars_os()
        .map(|(name, value)| (name.into_vec(), value.into_vec()))
        .filter(|(name, _)| !OF_THE_SERVICE.iter().any(|other| other.as_bytes() == name))
        .collect();
    for path in GUEST_FILES {
        if let Ok(file) = crate::files::read_limited(path.as_ref(), MAX_FILE) {
            for (name, value) in assignments(&file) {
                environment.entry(name).or_insert(value);
            }
        }
    }
    environment
        .entry(b"PATH".to_vec())
        .or_insert_with(|| DEFAULT_PATH.to_vec());
    let runtime = format!("/run/user/{uid}");
    if std::fs::symlink_metadata(&runtime).is_ok_and(|it| it.is_dir() && it.uid() == uid) {
        environment
            .entry(b"XDG_RUNTIME_DIR".to_vec())
            .or_insert_with(|| runtime.into_bytes());
    }
    environment
}

/// Sets what the client sent. Says no to what cannot be a variable.
pub(crate) fn add(environment: &mut Environment, sent: &[(Bytes, Bytes)]) -> Option<()> {
    for (name, value) in sent {
        let bad = name.is_empty() || name.contains(&b'=') || name.contains(&0);
        if bad || value.contains(&0) {
            return None;
        }
        environment.insert(name.to_vec(), value.to_vec());
    }
    Some(())
}

/// As `execve` wants it.
pub(crate) fn to_strings(environment: &Environment) -> Option<Vec<CString>> {
    environment
        .iter()
        .map(|(name, value)| CString::new([name, b"=".as_slice(), value].concat()).ok())
        .collect()
}

/// Reads `NAME=value` lines as `pam_env` does: `#` comments, an optional `export`, quotes around
/// the value.
pub(crate) fn assignments(file: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    crate::account_file::lines(file)
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.starts_with(b"#"))
        .filter_map(|line| {
            let line = line.strip_prefix(b"export ").unwrap_or(line);
            let equals = line.iter().position(|byte| *byte == b'=')?;
            let (name, value) = (line[..equals].trim_ascii(), line[equals + 1..].trim_ascii());
            let plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
            if name.is_empty() || !name.iter().all(plain) || value.contains(&0) {
                return None;
            }
            let value = match value {
                [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => inner,
                other => other,
            };
            Some((name.to_vec(), value.to_vec()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_are_read_as_pam_env_reads_them() {
        let file = b"# c\nPATH=\"/a:/b\"\n export LANG='C.UTF-8'\nX=a=b\nbad name=1\n=x\nY\n\
            Z=\"half\nN=\x00\nE=";
        let expected: Vec<(Vec<u8>, Vec<u8>)> =
            [("PATH", "/a:/b"), ("X", "a=b"), ("Z", "\"half"), ("E", "")]
                .map(|(name, value)| (name.into(), value.into()))
                .into();
        let mut read = assignments(file);
        let lang = read.remove(1);
        assert_eq!(lang, (b"LANG".to_vec(), b"C.UTF-8".to_vec()));
        assert_eq!(read, expected);
    }

    #[test]
    fn what_the_client_sends_wins_and_must_be_possible() {
        let pair = |name: &[u8], value: &[u8]| (Bytes::from(name), Bytes::from(value));
        let mut environment = Environment::from([(b"A".to_vec(), b"old".to_vec())]);
        let sent = [pair(b"A", b"new\n\xff"), pair(b"B", b"")];
        assert!(add(&mut environment, &sent).is_some());
        assert_eq!(environment[b"A".as_slice()], b"new\n\xff");
        for bad in [
            pair(b"", b"x"),
            pair(b"A=B", b"x"),
            pair(b"A", b"\0"),
            pair(b"\0", b""),
        ] {
            assert!(add(&mut environment, &[bad]).is_none());
        }
    }
}
