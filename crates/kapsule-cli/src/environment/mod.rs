// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Which variables of the host a session gets: those in the table, what the configuration adds and
//! takes away, and what the user names.
//!
//! Everything else stays outside. A desktop's environment holds secrets
//! (`KONSOLE_DBUS_ACTIVATION_COOKIE`, tokens) and paths that mean nothing inside (`PATH`,
//! `LD_LIBRARY_PATH`, `XDG_DATA_DIRS`); and what identifies the user inside (`HOME`, `USER`,
//! `SHELL`, `XDG_RUNTIME_DIR`) is the agent's to say. Values go over the session's socket, never
//! on a command line, where everybody could read them.
//!
//! What decides about a variable, the first that says something:
//!
//! 1. `--env` on the command line;
//! 2. `drop` and then `pass` in `[environment]` of each configuration file, the highest in rank
//!    first, where a `*` in `pass` stands for no name that is kept out;
//! 3. the table.
//!
//! A sealed container is for programs that one does not trust: it gets what is named on the command
//! line, and of the table only what tells about the terminal and the language.
//!
//! | module | |
//! |---|---|
//! | `table` | what is passed by default, and what no `*` stands for |
//! | `pattern` | names with `*` |
//! | `files` | the configuration |
//! | `xauthority` | the X server's cookie, for a container to find it |

mod files;
mod pattern;
mod table;
mod xauthority;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use kapsule_core::isolation::Isolation;
use kapsule_core::settings::EnvironmentRules;

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

/// The variables that there are, and those that the user named: all that can be known before it is
/// known where they are to go.
#[derive(Debug)]
pub(crate) struct Variables {
    all: Vec<(OsString, OsString)>,
    named: Vec<(OsString, OsString)>,
}

impl Variables {
    /// Those of this process. `named` are the ones of the command line: `NAME`, with the value that it
    /// has here, or `NAME=VALUE`.
    ///
    /// # Errors
    /// For a name that cannot be, and one that is not set.
    pub(crate) fn read(named: &[OsString]) -> Result<Self, EnvironmentError> {
        Self::of(std::env::vars_os(), named)
    }

    fn of(
        all: impl IntoIterator<Item = (OsString, OsString)>,
        named: &[OsString],
    ) -> Result<Self, EnvironmentError> {
        let all: Vec<(OsString, OsString)> = all.into_iter().collect();
        let named = named
            .iter()
            .map(|one| read_named(one, &all))
            .collect::<Result<_, _>>()?;
        Ok(Self { all, named })
    }

    /// What a session in a container of this level gets, by the user's configuration.
    pub(crate) fn for_session(self, isolation: Isolation) -> Vec<(OsString, OsString)> {
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let rules = files::read_all(home.clone());
        let mut chosen = self.choose(&rules, isolation);
        let shares_session = isolation != Isolation::Sealed;
        if shares_session && is_passed(XAUTHORITY.as_bytes(), &rules, isolation) {
            add_cookie(&mut chosen, home);
        }
        chosen
    }

    /// Those that were named come last and win.
    fn choose(self, rules: &[EnvironmentRules], isolation: Isolation) -> Vec<(OsString, OsString)> {
        let mut chosen: Vec<(OsString, OsString)> = self
            .all
            .into_iter()
            .filter(|(name, _)| is_passed(name.as_bytes(), rules, isolation))
            .collect();
        chosen.extend(self.named);
        chosen
    }
}

const XAUTHORITY: &str = "XAUTHORITY";

/// Where a session has a display, also has it find the cookie of that.
fn add_cookie(chosen: &mut Vec<(OsString, OsString)>, home: Option<PathBuf>) {
    let value = |name: &str| {
        let mut all = chosen.iter().rev();
        all.find(|(known, _)| known == name)
            .map(|(_, value)| value.clone())
    };
    let file = value(XAUTHORITY).filter(|path| !path.is_empty());
    let found = value("DISPLAY").and_then(|display| {
        xauthority::for_container(&xauthority::Session {
            display: display.into_vec(),
            file: file
                .map(PathBuf::from)
                .or_else(|| Some(home?.join(".Xauthority")))?,
            runtime: std::env::var_os("XDG_RUNTIME_DIR")?.into(),
        })
    });
    if let Some(path) = found {
        chosen.push((XAUTHORITY.into(), path.into()));
    }
}

fn is_passed(name: &[u8], rules: &[EnvironmentRules], isolation: Isolation) -> bool {
    let is = |pattern: &String| pattern::matches(pattern.as_bytes(), name);
    if isolation == Isolation::Sealed {
        // What the configuration passes on, it passes on to those that are trusted.
        return table::is_harmless(name) && !rules.iter().any(|it| it.drop.iter().any(is));
    }
    for rules in rules {
        if rules.drop.iter().any(is) {
            return false;
        }
        let may = |pattern: &&String| !pattern::is_pattern(pattern) || !table::is_kept_out(name);
        if rules.pass.iter().filter(may).any(is) {
            return true;
        }
    }
    table::is_passed(name)
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
        passed_by(&[], names, named)
    }

    fn passed_by(rules: &[EnvironmentRules], names: &[&str], named: &[&str]) -> Vec<String> {
        let named: Vec<OsString> = named.iter().map(OsString::from).collect();
        Variables::of(variables(names), &named)
            .unwrap()
            .choose(rules, Isolation::Standard)
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
            "XAUTHORITY",
            "SSH_AUTH_SOCK",
            "DBUS_SESSION_BUS_ADDRESS",
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
            "SSH_AGENT_PID",
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
            "DBUS_STARTER_ADDRESS",
            "LS_COLORS",
            "ICEAUTHORITY",
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
            let result = Variables::of(variables(&["TERM"]), &[OsString::from(bad)]);
            assert_eq!(result.unwrap_err(), error);
        }
    }

    fn rules(pass: &[&str], drop: &[&str]) -> EnvironmentRules {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        EnvironmentRules {
            pass: own(pass),
            drop: own(drop),
        }
    }

    #[test]
    fn the_configuration_adds_and_takes_away() {
        let mine = rules(&["MY_*", "TZ"], &["DISPLAY", "MY_OWN"]);
        let systems = rules(&["DISPLAY", "OTHER"], &["TZ", "LANG"]);
        let names = [
            "MY_A", "MY_OWN", "TZ", "DISPLAY", "OTHER", "LANG", "TERM", "X",
        ];
        let expected = ["MY_A=value", "TZ=value", "OTHER=value", "TERM=value"];
        assert_eq!(passed_by(&[mine.clone(), systems], &names, &[]), expected);
        assert_eq!(
            passed_by(&[mine], &["DISPLAY"], &["DISPLAY"]),
            ["DISPLAY=value"]
        );
    }

    #[test]
    fn no_pattern_passes_secrets_or_what_is_the_containers() {
        let everything = [rules(&["*", "KONSOLE_*", "*_TOKEN"], &[])];
        let kept_out = [
            "KONSOLE_DBUS_ACTIVATION_COOKIE",
            "GITHUB_TOKEN",
            "AWS_SECRET_ACCESS_KEY",
            "HOME",
            "PATH",
            "LD_PRELOAD",
            "XDG_RUNTIME_DIR",
            "DBUS_SYSTEM_BUS_ADDRESS",
        ];
        assert_eq!(passed_by(&everything, &kept_out, &[]), [""; 0]);
        assert_eq!(passed_by(&everything, &["ANY"], &[]), ["ANY=value"]);
        let by_name = [rules(&["GITHUB_TOKEN"], &[])];
        assert_eq!(passed_by(&by_name, &kept_out, &[]), ["GITHUB_TOKEN=value"]);
        assert_eq!(passed_by(&by_name, &kept_out, &["PATH"]).len(), 2);
    }

    #[test]
    fn a_sealed_container_learns_nothing_of_the_session() {
        let names = [
            "TERM",
            "LANG",
            "LC_TIME",
            "COLORTERM",
            "EDITOR",
            "DISPLAY",
            "WAYLAND_DISPLAY",
            "XDG_CURRENT_DESKTOP",
            "SSH_AUTH_SOCK",
            "DBUS_SESSION_BUS_ADDRESS",
            "GITHUB_TOKEN",
            "MY_OWN",
        ];
        let all = rules(
            &["*", "SSH_AUTH_SOCK", "GITHUB_TOKEN", "DISPLAY"],
            &["EDITOR"],
        );
        let named = [OsString::from("MY_OWN")];
        let passed: Vec<OsString> = Variables::of(variables(&names), &named)
            .unwrap()
            .choose(&[all], Isolation::Sealed)
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(passed, ["TERM", "LANG", "LC_TIME", "COLORTERM", "MY_OWN"]);
    }
}
