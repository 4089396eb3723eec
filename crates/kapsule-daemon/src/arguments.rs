// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

/// What to print for `--help` and after a mistake.
pub(crate) const USAGE: &str = "\
Usage: kapsule-daemon [--system | --session] [--socket PATH]

  --system       offer the service on the system bus (the default)
  --session      offer it on the session bus; for tests only
  --socket PATH  socket of Incus (default: /var/lib/incus/unix.socket)
  --version      print the version and exit
  --help         print this and exit";

const SOCKET: &str = "/var/lib/incus/unix.socket";

/// How to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// On the session bus instead of the system's.
    pub(crate) session: bool,
    /// Where Incus listens.
    pub(crate) socket: PathBuf,
}

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Run(Arguments),
    Print(String),
}

/// Why the command line is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArgumentError {
    #[error("unknown argument: {}", .0.display())]
    Unknown(OsString),
    #[error("--socket needs a path")]
    NoPath,
}

/// Reads the arguments after the program's name.
///
/// # Errors
/// [`ArgumentError`].
pub(crate) fn parse(
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Request, ArgumentError> {
    let mut parsed = Arguments {
        session: false,
        socket: PathBuf::from(SOCKET),
    };
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--system") => parsed.session = false,
            Some("--session") => parsed.session = true,
            Some("--socket") => {
                parsed.socket = arguments.next().ok_or(ArgumentError::NoPath)?.into()
            }
            Some("--version") => {
                return Ok(Request::Print(format!(
                    "kapsule-daemon {}",
                    kapsule_core::VERSION
                )));
            }
            Some("--help") => return Ok(Request::Print(USAGE.to_owned())),
            Some(other) if other.starts_with("--socket=") => {
                parsed.socket = PathBuf::from(&other["--socket=".len()..]);
            }
            _ => return Err(ArgumentError::Unknown(argument)),
        }
    }
    Ok(Request::Run(parsed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(words: &[&str]) -> Result<Request, ArgumentError> {
        parse(words.iter().map(OsString::from))
    }

    #[test]
    fn understands_what_units_say() {
        let run = |session, socket: &str| {
            Ok(Request::Run(Arguments {
                session,
                socket: socket.into(),
            }))
        };
        assert_eq!(parse_words(&[]), run(false, SOCKET));
        assert_eq!(
            parse_words(&["--system", "--socket", "/x"]),
            run(false, "/x")
        );
        assert_eq!(parse_words(&["--session", "--socket=/y"]), run(true, "/y"));
        assert_eq!(parse_words(&["--socket"]), Err(ArgumentError::NoPath));
        assert_eq!(
            parse_words(&["now"]),
            Err(ArgumentError::Unknown("now".into()))
        );
        assert!(matches!(parse_words(&["--version"]), Ok(Request::Print(_))));
    }
}
