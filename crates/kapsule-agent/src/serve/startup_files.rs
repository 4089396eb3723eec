// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Whether a shell that runs a command would read anything that matters.
//!
//! Most people's bash has nothing to do then: the files that distributions give begin with a line
//! that says so. Such a shell can be left out, which takes a third less time. What is not
//! understood here counts as something that matters.

use std::path::Path;

/// A start-up file longer than this is not looked at, and matters.
const MAX_FILE: u64 = 64 * 1024;

/// What bash reads when `ssh` runs it; which of the first two depends on the distribution.
const BASH_SYSTEM: [&str; 2] = ["/etc/bash.bashrc", "/etc/bashrc"];
const BASH_USER: &str = ".bashrc";

/// First lines of a file after which a shell that is not interactive does nothing more (Debian's,
/// Arch's and openSUSE's), without spaces.
const GUARDS: &[&str] = &[
    "case$-in*i*);;*)return;;esac",
    "[-z\"$PS1\"]&&return",
    "[-z\"${PS1-}\"]&&return",
    "[[$-!=*i*]]&&return",
    "[[$-==*i*]]||return",
];

/// Whether bash does nothing before it runs a command.
pub(crate) fn bash_reads_nothing(home: &Path) -> bool {
    BASH_SYSTEM
        .iter()
        .map(|path| Path::new(path).to_owned())
        .chain([home.join(BASH_USER)])
        .all(|path| does_nothing_at(&path))
}

fn does_nothing_at(path: &Path) -> bool {
    match crate::files::read_limited(path, MAX_FILE) {
        Ok(text) => does_nothing(&text),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

fn does_nothing(text: &[u8]) -> bool {
    let longest = GUARDS.iter().map(|guard| guard.len()).max().unwrap_or(0);
    let code: Vec<u8> = crate::account_file::lines(text)
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty() && !line.starts_with(b"#"))
        // The end of a line is kept: with something behind it, a guard is none.
        .flat_map(|line| line.iter().copied().chain([b'\n']))
        .filter(|byte| *byte != b' ' && *byte != b'\t')
        .take(longest * 2)
        .collect();
    let lines = |count: usize| {
        let lines: Vec<&[u8]> = code.split(|byte| *byte == b'\n').take(count).collect();
        lines.concat()
    };
    // A guard is one line, or a case of four.
    code.is_empty()
        || [1, 4]
            .into_iter()
            .any(|count| GUARDS.iter().any(|guard| guard.as_bytes() == lines(count)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_distributions_do_nothing() {
        for text in [
            "",
            "# only\n\n  # comments\n",
            "# Debian\ncase $- in\n    *i*) ;;\n      *) return;;\nesac\nexport X=1\n",
            "[ -z \"${PS1-}\" ] && return\nshopt -s checkwinsize\n",
            "[ -z \"$PS1\" ] && return",
            "# Arch\n[[ $- != *i* ]] && return\nalias ls=x\n",
        ] {
            assert!(does_nothing(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_matters() {
        for text in [
            "export X=1\n",
            "echo\n[ -z \"$PS1\" ] && return\n",
            "[ -z \"$PS1\" ] && return 1; export X=1\n",
            "[ -z \"$PS1\" ] && returned\n",
            "case $- in\n*i*) ;;\n*) export X=1; return;;\nesac\n",
            "case $- in\n*i*) ;;\n*) return;;\nesac; export X=1\n",
            "[ -n \"$PS1\" ] && return\n",
            ". /etc/bashrc\n",
            "\u{ff}",
        ] {
            assert!(!does_nothing(text.as_bytes()), "{text}");
        }
        let home = tempfile::tempdir().unwrap();
        assert!(does_nothing_at(&home.path().join("none")));
        assert!(!does_nothing_at(home.path()), "a directory");
        std::fs::write(home.path().join("x"), vec![b'#'; 100_000]).unwrap();
        assert!(!does_nothing_at(&home.path().join("x")), "too long to tell");
    }
}
