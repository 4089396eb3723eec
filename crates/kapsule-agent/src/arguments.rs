// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The command line. Nobody types it: Incus, systemd and the agent itself do.

use std::ffi::OsString;
use std::path::PathBuf;

use kapsule_proto::paths;
use kapsule_proto::registration::Context;

use crate::serve::Options;

pub(crate) const USAGE: &str = "\
usage: kapsule-agent boot
       kapsule-agent set-up
       kapsule-agent supervise
       kapsule-agent follow
       kapsule-agent ports
       kapsule-agent serve [--context user-manager|plain] [--socket PATH] [--as-owner]
                           [--detach]
       kapsule-agent version";

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Boot,
    SetUp,
    Supervise,
    Follow,
    Ports,
    Serve(Options),
    Version,
}

/// Reads the arguments after the program's name; the error says what is wrong with them.
pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Command, String> {
    let mut arguments = arguments;
    let command = arguments.next().unwrap_or_default();
    let command = match command.to_str() {
        Some("boot") => Command::Boot,
        Some("set-up") => Command::SetUp,
        Some("supervise") => Command::Supervise,
        Some("follow") => Command::Follow,
        Some("ports") => Command::Ports,
        Some("serve") => return serve(arguments).map(Command::Serve),
        Some("version" | "--version") => Command::Version,
        _ => return Err(format!("unknown command {command:?}")),
    };
    match arguments.next() {
        None => Ok(command),
        Some(surplus) => Err(format!("unknown argument {surplus:?}")),
    }
}

fn serve(mut arguments: impl Iterator<Item = OsString>) -> Result<Options, String> {
    let mut options = Options {
        socket: PathBuf::from(paths::AGENT_SOCKET),
        context: Context::Plain,
        as_owner: false,
        detach: false,
        restarted_for: None,
    };
    while let Some(option) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .ok_or_else(|| format!("{option:?} needs a value"))
        };
        match option.to_str() {
            Some("--socket") => options.socket = value()?.into(),
            Some("--context") => {
                let value = value()?;
                options.context = match value.to_str() {
                    Some("user-manager") => Context::UserManager,
                    Some("plain") => Context::Plain,
                    _ => return Err(format!("unknown context {value:?}")),
                };
            }
            Some("--as-owner") => options.as_owner = true,
            Some("--detach") => options.detach = true,
            // The agent's own note to itself.
            Some("--restarted-for") => {
                let value = value()?;
                let version = value.to_str().and_then(|value| value.parse().ok());
                options.restarted_for =
                    Some(version.ok_or_else(|| format!("{value:?} is no version"))?);
            }
            _ => return Err(format!("unknown argument {option:?}")),
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(words: &[&str]) -> Result<Command, String> {
        parse(words.iter().map(OsString::from))
    }

    #[test]
    fn commands() {
        assert_eq!(parse_words(&["boot"]), Ok(Command::Boot));
        assert_eq!(parse_words(&["version"]), Ok(Command::Version));
        let serve = [
            "serve",
            "--context",
            "user-manager",
            "--socket",
            "/s",
            "--restarted-for",
            "2",
        ];
        assert_eq!(
            parse_words(&serve),
            Ok(Command::Serve(Options {
                socket: "/s".into(),
                context: Context::UserManager,
                as_owner: false,
                detach: false,
                restarted_for: Some(2),
            }))
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for words in [
            &[][..],
            &["dance"],
            &["boot", "now"],
            &["serve", "--socket"],
            &["serve", "--context", "x"],
            &["serve", "--restarted-for", "x"],
            &["serve", "x"],
        ] {
            assert!(parse_words(words).is_err(), "{words:?}");
        }
    }
}
