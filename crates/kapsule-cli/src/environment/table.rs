// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What is passed and what stays out unless somebody says otherwise, as data.

use super::pattern::matches;

/// Names, and why they are in the table.
type Table = &'static [(&'static [&'static str], &'static str)];

/// What every container gets, also one that one does not trust: how to write to the terminal, and
/// in which language. In a name, `*` stands for anything.
const HARMLESS: Table = &[
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
];

/// What is passed beside that to containers which share the session, and why.
const PASSED: Table = &[
    (
        &[
            "DISPLAY",
            "WAYLAND_DISPLAY",
            "XAUTHORITY",
            "XDG_SESSION_TYPE",
        ],
        "which display to look for",
    ),
    // The container makes paths of its own of these.
    (
        &["DBUS_SESSION_BUS_ADDRESS", "SSH_AUTH_SOCK"],
        "which session bus and key agent",
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
            "http_proxy",
            "https_proxy",
            "ftp_proxy",
            "all_proxy",
            "no_proxy",
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "FTP_PROXY",
            "ALL_PROXY",
            "NO_PROXY",
        ],
        "how to reach the network",
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

/// What no `*` of the configuration stands for, and why. It is passed only where it is named in
/// full.
const KEPT_OUT: Table = &[
    (
        &[
            "KONSOLE_DBUS_*",
            "*TOKEN*",
            "*SECRET*",
            "*PASSWORD*",
            "*PASSWD*",
            "*PASSPHRASE*",
            "*CREDENTIAL*",
            "*COOKIE*",
            "*API_KEY*",
            "*ACCESS_KEY*",
            "*PRIVATE_KEY*",
        ],
        "a secret",
    ),
    (
        &[
            "HOME",
            "USER",
            "LOGNAME",
            "SHELL",
            "MAIL",
            "PATH",
            "PWD",
            "OLDPWD",
            "SHLVL",
            "_",
            "HOSTNAME",
            "HOST",
            "TMPDIR",
            "XDG_RUNTIME_DIR",
            "XDG_SESSION_ID",
            "XDG_SEAT",
            "XDG_VTNR",
            "container",
        ],
        "who and where one is, which the container knows better",
    ),
    (
        &[
            "LD_*",
            "XDG_DATA_DIRS",
            "XDG_CONFIG_DIRS",
            "PYTHONHOME",
            "PYTHONPATH",
            "PERL5LIB",
            "GIO_*",
            "GTK_PATH",
            "GTK_MODULES",
            "QT_PLUGIN_PATH",
            "QML*_IMPORT_PATH",
            "LOCPATH",
            "TERMINFO*",
            "LS_COLORS",
            "LESS_TERMCAP_*",
            "BASH_FUNC_*",
            "BASH_ENV",
            "ENV",
        ],
        "what the host has in its files",
    ),
    (
        &[
            "DBUS_*",
            "SSH_*",
            "GPG_*",
            "SESSION_MANAGER",
            "ICEAUTHORITY",
            "TMUX*",
            "STY",
            "WINDOWID",
            "INVOCATION_ID",
            "JOURNAL_STREAM",
            "LISTEN_*",
            "NOTIFY_SOCKET",
            "MANAGERPID*",
            "SYSTEMD_*",
            "KAPSULE_*",
        ],
        "the way to something that is on the host",
    ),
];

pub(super) fn is_passed(name: &[u8]) -> bool {
    is_harmless(name) || names(PASSED).any(|pattern| matches(pattern, name))
}

pub(super) fn is_harmless(name: &[u8]) -> bool {
    names(HARMLESS).any(|pattern| matches(pattern, name))
}

/// However it is written: `http_token` is a secret too.
pub(super) fn is_kept_out(name: &[u8]) -> bool {
    let name = name.to_ascii_uppercase();
    names(KEPT_OUT).any(|pattern| matches(&pattern.to_ascii_uppercase(), &name))
}

fn names(table: Table) -> impl Iterator<Item = &'static [u8]> {
    table
        .iter()
        .flat_map(|(names, _)| names.iter().map(|name| name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_however_they_are_written() {
        for name in ["npm_config_token", "Password", "container", "_"] {
            assert!(is_kept_out(name.as_bytes()), "{name}");
        }
        assert!(!is_kept_out(b"MY_PROJECT"));
    }

    #[test]
    fn no_name_stands_in_the_tables_twice() {
        let mut names: Vec<&str> = HARMLESS
            .iter()
            .chain(PASSED)
            .chain(KEPT_OUT)
            .flat_map(|(names, _)| names.iter().copied())
            .collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    /// The page for users says what this table says.
    #[test]
    fn every_name_is_documented() {
        let page = include_str!("../../../../docs/enter.md");
        for (names, _) in HARMLESS.iter().chain(PASSED).chain(KEPT_OUT) {
            for name in *names {
                assert!(
                    page.contains(&format!("`{name}`")),
                    "{name} is not in docs/enter.md"
                );
            }
        }
    }
}
