// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Which variables of the host a session gets: those in the table, and what the user names.
//!
//! Everything else stays outside. A desktop's environment holds secrets
//! (`KONSOLE_DBUS_ACTIVATION_COOKIE`, tokens) and paths that mean nothing inside (`PATH`,
//! `LD_LIBRARY_PATH`, `XDG_DATA_DIRS`); and what identifies the user inside (`HOME`, `USER`,
//! `SHELL`, `XDG_RUNTIME_DIR`) is the agent's to say. Values go over the session's socket, never
//! on a command line, where everybody could read them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

/// What is passed, and why. A name that ends in `*` stands for all that begin so.
const PASSED: &[(&[&str], &str)] = &[
    (
        &[
            "TERM",
            "COLORTERM",
            "COLORFGBG",
            "TERM_PROGRAM",
            "TERM_PROGRAM_VERSION",
            "VTE_VERSION",
            "KONSOLE_VERSION",
        ],
        "what the terminal can do",
    ),
    (
        &["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "FORCE_COLOR"],
        "whether to use colours",
    ),
    (&["LANG", "LANGUAGE", "LC_*", "TZ"], "language and time"),
    (
        &["EDITOR", "VISUAL", "PAGER", "LESS"],
        "what the user likes to work with",
    ),
    (
        &["DISPLAY", "WAYLAND_DISPLAY", "XDG_SESSION_TYPE"],
        "which display to look for",
    ),
    (
        &[
            "XDG_CURRENT_DESKTOP",
            "XDG_SESSION_DESKTOP",
            "DESKTOP_SESSION",
            "KDE_FULL_SESSION",
            "KDE_SESSION_VERSION",
        ],
        "which desktop to look like",
    ),
    (
        &[
            "QT_QPA_PLATFORMTHEME",
            "QT_SCALE_FACTOR",
            "QT_SCREEN_SCALE_FACTORS",
            "QT_FONT_DPI",
            "QT_AUTO_SCREEN_SCALE_FACTOR",
            "QT_ENABLE_HIGHDPI_SCALING",
            "GDK_SCALE",
            "GDK_DPI_SCALE",
            "GTK_THEME",
            "XCURSOR_THEME",
            "XCURSOR_SIZE",
        ],
        "how windows look",
    ),
    (
        &[
            "XMODIFIERS",
            "GTK_IM_MODULE",
            "QT_IM_MODULE",
            "QT_IM_MODULES",
        ],
        "how text is entered",
    ),
];

/// Why a variable that the user named cannot be passed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EnvironmentError {
    /// It has no name, or one that cannot be.
    #[error("{0:?} is not a variable: write NAME, or NAME=VALUE")]
    BadName(String),
    /// It is not set.
    #[error("the variable {0} is not set here, so there is no value to pass")]
    NotSet(String),
}

/// What a session gets out of `all`, and the variables that the user named (`NAME`, with the
/// value that it has in `all`, or `NAME=VALUE`), which come last and win.
pub(crate) fn for_session(
    all: impl IntoIterator<Item = (OsString, OsString)>,
    named: &[OsString],
) -> Result<Vec<(OsString, OsString)>, EnvironmentError> {
    let all: Vec<(OsString, OsString)> = all.into_iter().collect();
    let mut passed = Vec::new();
    for one in named {
        passed.push(read_named(one, &all)?);
    }
    let mut result: Vec<(OsString, OsString)> = all
        .into_iter()
        .filter(|(name, _)| is_passed(name))
        .collect();
    result.append(&mut passed);
    Ok(result)
}

fn is_passed(name: &OsStr) -> bool {
    let patterns = PASSED.iter().flat_map(|(names, _)| names.iter());
    patterns
        .into_iter()
        .any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => name.as_bytes().starts_with(prefix.as_bytes()),
            None => name == *pattern,
        })
}

fn read_named(
    named: &OsStr,
    all: &[(OsString, OsString)],
) -> Result<(OsString, OsString), EnvironmentError> {
    let bytes = named.as_bytes();
    let end = bytes.iter().position(|byte| *byte == b'=');
    let name = OsStr::from_bytes(&bytes[..end.unwrap_or(bytes.len())]);
    if name.is_empty() {
        return Err(EnvironmentError::BadName(
            named.to_string_lossy().into_owned(),
        ));
    }
    let value = match end {
        Some(end) => OsStr::from_bytes(&bytes[end + 1..]).to_owned(),
        None => all
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.clone())
            .ok_or_else(|| EnvironmentError::NotSet(name.to_string_lossy().into_owned()))?,
    };
    Ok((name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(names: &[&str]) -> Vec<(OsString, OsString)> {
        names
            .iter()
            .map(|name| (OsString::from(name), OsString::from("value")))
            .collect()
    }

    fn passed(names: &[&str], named: &[&str]) -> Vec<String> {
        let named: Vec<OsString> = named.iter().map(OsString::from).collect();
        for_session(variables(names), &named)
            .unwrap()
            .into_iter()
            .map(|(name, value)| format!("{}={}", name.display(), value.display()))
            .collect()
    }

    #[test]
    fn a_desktop_and_its_language_come_along() {
        for name in [
            "TERM",
            "COLORTERM",
            "LANG",
            "LC_ALL",
            "LC_TIME",
            "DISPLAY",
            "WAYLAND_DISPLAY",
        ] {
            assert_eq!(passed(&[name], &[]), [format!("{name}=value")]);
        }
    }

    #[test]
    fn secrets_and_what_means_nothing_inside_stay_out() {
        let names = [
            "KONSOLE_DBUS_ACTIVATION_COOKIE",
            "KONSOLE_DBUS_SESSION",
            "GITHUB_TOKEN",
            "AWS_SECRET_ACCESS_KEY",
            "SSH_AUTH_SOCK",
            "GPG_AGENT_INFO",
            "PATH",
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "HOME",
            "USER",
            "LOGNAME",
            "SHELL",
            "PWD",
            "OLDPWD",
            "SHLVL",
            "_",
            "HOSTNAME",
            "XDG_RUNTIME_DIR",
            "XDG_DATA_DIRS",
            "DBUS_SESSION_BUS_ADDRESS",
            "LS_COLORS",
            "XAUTHORITY",
            "INVOCATION_ID",
            "JOURNAL_STREAM",
            "TERMINFO",
            "LC",
            "LANGX",
        ];
        assert_eq!(passed(&names, &[]), [""; 0]);
    }

    #[test]
    fn what_the_user_names_wins() {
        assert_eq!(
            passed(&["TERM", "SECRET"], &["SECRET", "TERM=x=y", "EMPTY="]),
            ["TERM=value", "SECRET=value", "TERM=x=y", "EMPTY="]
        );
        for (bad, error) in [
            ("=x", EnvironmentError::BadName("=x".to_owned())),
            ("", EnvironmentError::BadName(String::new())),
            ("ABSENT", EnvironmentError::NotSet("ABSENT".to_owned())),
        ] {
            assert_eq!(
                for_session(variables(&["TERM"]), &[OsString::from(bad)]),
                Err(error)
            );
        }
    }

    #[test]
    fn no_name_stands_in_the_table_twice() {
        let mut names: Vec<&str> = PASSED
            .iter()
            .flat_map(|(names, _)| names.iter().copied())
            .collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
