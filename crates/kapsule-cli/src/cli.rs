// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Which commands there are, and the way from `argv` to one of them.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::bus::{Bus, block_on};
use crate::commands::{
    config, create, device, enter, image, info, list, man, remove, restart, set, start, stop,
};
use crate::error::CommandError;
use crate::exit::{self, Outcome};

const EXAMPLES: &str = "\
Examples:
  kap                              go into the default container, made on first use
  kapsule create dev --image images:debian/13
  kapsule enter dev                a shell in it, in the current directory
  kapsule enter dev -- make -j4    one command in it, and its exit status
  kapsule list --json | jq -r '.[].name'
  kapsule rm --force dev";

/// Persistent Linux systems that feel like this one
///
/// Each container is a whole Linux system with its own packages and services, in which you are
/// yourself: same user, same home folder, same place. Nothing that you install in one touches
/// this system.
#[derive(Debug, Parser)]
#[command(name = "kapsule", version = VERSION, disable_help_subcommand = true)]
#[command(after_help = EXAMPLES, after_long_help = AFTER_LONG_HELP.as_str())]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

const VERSION: &str = concat!("version ", env!("CARGO_PKG_VERSION"));

static AFTER_LONG_HELP: std::sync::LazyLock<String> =
    std::sync::LazyLock::new(|| format!("{EXAMPLES}\n\n{}", exit::HELP));

#[derive(Debug, Subcommand)]
enum Command {
    Create(create::Args),
    Enter(enter::Args),
    #[command(visible_alias = "ls")]
    List(list::Args),
    Info(info::Args),
    Set(set::Args),
    Device(device::Args),
    Start(start::Args),
    Stop(stop::Args),
    Restart(restart::Args),
    #[command(alias = "remove")]
    Rm(remove::Args),
    Config(config::Args),
    Image(image::Args),
    #[command(hide = true)]
    Man(man::Args),
}

/// The command line as data, under the name that this program was called by.
pub(crate) fn command(program: &'static str) -> clap::Command {
    Cli::command()
        .name(program)
        .bin_name(program)
        .mut_subcommand("enter", |enter| enter.override_usage(enter::usage(program)))
}

/// `kap` if that is what this program was called, else `kapsule`.
pub(crate) fn program_name(argv0: Option<&OsStr>) -> &'static str {
    match argv0.map(|path| Path::new(path).file_name()) {
        Some(Some(name)) if name == "kap" => "kap",
        _ => "kapsule",
    }
}

/// Runs the program. The exit status is the one that [`exit::HELP`] promises.
pub(crate) fn main(argv: Vec<OsString>) -> ExitCode {
    let program = program_name(argv.first().map(OsString::as_os_str));
    let cli = command(program)
        .try_get_matches_from(argv)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match cli {
        Ok(cli) => cli,
        Err(error) => {
            // Nowhere to tell that it could not be told.
            let _ = error.print();
            return if error.use_stderr() {
                ExitCode::from(exit::USAGE)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    match dispatch(cli.command, program) {
        Ok(outcome) => outcome.into_exit_code(),
        Err(error) => {
            error.print();
            ExitCode::from(error.code())
        }
    }
}

fn dispatch(command: Option<Command>, program: &'static str) -> Result<Outcome, CommandError> {
    let command = match command {
        Some(command) => command,
        // One word gets you in.
        None if program == "kap" => Command::Enter(enter::Args::default()),
        None => {
            anstream::eprint!("{}", self::command(program).render_help().ansi());
            return Ok(Outcome::Done);
        }
    };
    match command {
        Command::Enter(args) => return enter::run(args).map(Outcome::Ended),
        Command::Man(args) => man::run(&args)?,
        Command::Create(args) => with_bus(async |bus| create::run(args, &bus).await)?,
        Command::List(args) => with_bus(async |bus| list::run(args, &bus).await)?,
        Command::Info(args) => with_bus(async |bus| info::run(args, &bus).await)?,
        Command::Set(args) => with_bus(async |bus| set::run(args, &bus).await)?,
        Command::Start(args) => with_bus(async |bus| start::run(args, &bus).await)?,
        Command::Stop(args) => with_bus(async |bus| stop::run(args, &bus).await)?,
        Command::Restart(args) => with_bus(async |bus| restart::run(args, &bus).await)?,
        Command::Rm(args) => with_bus(async |bus| remove::run(args, &bus).await)?,
        Command::Config(args) => with_bus(async |bus| config::run(args, &bus).await)?,
        Command::Device(args) => device::run(args, program)?,
        Command::Image(args) => image::run(args, program)?,
    }
    Ok(Outcome::Done)
}

/// Tells about a command that has commands of its own.
pub(crate) fn print_help(program: &'static str, name: &str) {
    let mut command = command(program);
    command.build();
    if let Some(command) = command.find_subcommand_mut(name) {
        anstream::eprint!("{}", command.render_help().ansi());
    }
}

fn with_bus(work: impl AsyncFnOnce(Bus) -> Result<(), CommandError>) -> Result<(), CommandError> {
    block_on(async { work(Bus::connect().await?).await })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[&str]) -> Result<Cli, clap::Error> {
        let argv = ["kapsule"].iter().chain(line);
        command("kapsule")
            .try_get_matches_from(argv)
            .and_then(|matches| Cli::from_arg_matches(&matches))
    }

    #[test]
    fn is_consistent() {
        command("kapsule").debug_assert();
    }

    #[test]
    fn is_called_kap_only_by_that_name() {
        for (argv0, name) in [
            ("kap", "kap"),
            ("/usr/bin/kap", "kap"),
            ("kapsule", "kapsule"),
            ("/tmp/kapsule-new", "kapsule"),
            ("", "kapsule"),
        ] {
            assert_eq!(program_name(Some(OsStr::new(argv0))), name, "{argv0}");
        }
        assert_eq!(program_name(None), "kapsule");
    }

    #[test]
    fn knows_the_names_that_existing_scripts_use() {
        for line in [
            &["ls", "-r"][..],
            &["list", "--all"],
            &["list", "--running", "--json"],
            &["rm", "-f", "a"],
            &["remove", "a"],
            &["stop", "--force", "a"],
            &["config"],
            &["config", "default_image"],
            &["image"],
            &["image", "ls"],
            &["image", "rm", "x"],
            &["image", "import", "dir", "-a", "alias"],
            &["image", "refresh"],
            &["image", "refresh", "images:debian/13"],
            &[
                "create",
                "a",
                "-i",
                "local:debian",
                "--no-gpu",
                "--mount-home",
            ],
        ] {
            assert!(parse(line).is_ok(), "{line:?}");
        }
        for line in [
            &["create"][..],
            &["rm"],
            &["nonsense"],
            &["create", "a", "--nonsense"],
        ] {
            assert!(parse(line).unwrap_err().use_stderr(), "{line:?}");
        }
    }

    /// What the forms of `enter` mean: name, directory, command.
    #[test]
    fn enter_takes_the_words_after_the_name_as_the_command() {
        type Meaning<'a> = (Option<&'a str>, Option<&'a str>, &'a [&'a str]);
        let cases: &[(&[&str], Meaning<'_>)] = &[
            (&[], (None, None, &[])),
            (&[""], (Some(""), None, &[])),
            (&["n"], (Some("n"), None, &[])),
            (&["n", "ls"], (Some("n"), None, &["ls"])),
            (
                &["n", "ls", "-la", "--cwd", "x"],
                (Some("n"), None, &["ls", "-la", "--cwd", "x"]),
            ),
            (&["n", "-x"], (Some("n"), None, &["-x"])),
            (&["n", "ls", "--help"], (Some("n"), None, &["ls", "--help"])),
            (
                &["n", "ls", "--", "-l"],
                (Some("n"), None, &["ls", "--", "-l"]),
            ),
            (&["n", "--", "ls", "-la"], (Some("n"), None, &["ls", "-la"])),
            (&["n", "--", "-x"], (Some("n"), None, &["-x"])),
            (&["n", "--", "--", "x"], (Some("n"), None, &["--", "x"])),
            (
                &["n", "--", "a", "--", "b"],
                (Some("n"), None, &["a", "--", "b"]),
            ),
            (
                &["n", "--", "--cwd", "x"],
                (Some("n"), None, &["--cwd", "x"]),
            ),
            (&["--", "ls", "-l"], (None, None, &["ls", "-l"])),
            (&["", "--", "ls"], (Some(""), None, &["ls"])),
            (&["--cwd", "X"], (None, Some("X"), &[])),
            (
                &["--cwd", "X", "n", "--", "cmd"],
                (Some("n"), Some("X"), &["cmd"]),
            ),
            (
                &["n", "--cwd", "X", "--", "cmd"],
                (Some("n"), Some("X"), &["cmd"]),
            ),
            (
                &["n", "--cwd=X", "cmd", "-v"],
                (Some("n"), Some("X"), &["cmd", "-v"]),
            ),
            (&["--cwd", "X", "--", "cmd"], (None, Some("X"), &["cmd"])),
            (
                &["n", "sh", "-c", "exit 7"],
                (Some("n"), None, &["sh", "-c", "exit 7"]),
            ),
            (
                &["n", "printf", "a b", "", "\n", "'\""],
                (Some("n"), None, &["printf", "a b", "", "\n", "'\""]),
            ),
            (&["help", "config"], (Some("help"), None, &["config"])),
        ];
        for (line, (name, cwd, command)) in cases {
            let full: Vec<&str> = ["enter"].iter().chain(*line).copied().collect();
            let Some(Command::Enter(args)) = parse(&full).unwrap().command else {
                panic!("{line:?}");
            };
            assert_eq!(args.name.as_deref(), *name, "{line:?}");
            assert_eq!(args.cwd.as_deref(), cwd.map(Path::new), "{line:?}");
            assert_eq!(args.argv(), *command, "{line:?}");
        }
        for line in [
            &["enter", "--nonsense"][..],
            &["enter", "-x", "n"],
            &["enter", "--cwd"],
        ] {
            assert!(parse(line).is_err(), "{line:?}");
        }
    }
}
