// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `kapsule enter`
//!
//! When the container runs, this is one call to the daemon and then the relay; everything else
//! (which container is the default one, whether it is there and runs) is only asked for when
//! that call says that it is needed.
//!
//! | module | |
//! |---|---|
//! | `open` | the way to a session: create, start, open |
//! | `patience` | how long each step of it may take |
//! | `who` | as whom |
//! | `working_directory` | where |
//! | `answering` | whether a directory answers |
//! | `host_shell` | what `--or-host` falls back to |

mod answering;
mod host_shell;
mod open;
mod patience;
mod who;
mod working_directory;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueHint;
use clap_complete::ArgValueCandidates;
use kapsule_proto::session::Shell;

use self::open::Opened;
use self::patience::Patience;
use self::who::Who;
use crate::bus::block_on;
use crate::error::{CommandError, ErrorKind};
use crate::session::{self, RunningSession, SessionEnd, SessionError, SessionRequest};
use crate::{completion, environment, exit};

/// How long the agent may take from the request to the running program.
const AGENT: Duration = Duration::from_secs(10);

/// Go into a container: a login shell, or one command
///
/// You are yourself in there, in the same directory if the container has it. Without a name, or
/// with an empty one, it is the default container, which is made when it is not there yet; see
/// `kapsule config`. A container that does not run is started.
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "\
Examples:
  kapsule enter dev
  kapsule enter dev -- make -j4
  kapsule enter -- htop                    in the default container
  kapsule enter dev --cwd /etc -- ls -l
  kapsule enter dev --user root
  kapsule enter dev -- sh -c 'echo $HOME'  nothing expands $HOME unless you ask a shell to
  kapsule enter --or-host                  for a terminal's profile: always ends in a shell

The command's arguments arrive exactly as they are here. Exit status: that of the command; 125 if
the container could not be entered, 126 if the command could not be executed, 127 if it was not
found.")]
pub(crate) struct Args {
    /// The container [default: as configured]
    #[arg(add = ArgValueCandidates::new(completion::container_names))]
    pub(crate) name: Option<String>,
    /// Directory to start in [default: the current one]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) cwd: Option<PathBuf>,
    /// Whom to be: root of the container, or yourself [default: yourself]
    #[arg(short, long, value_name = "NAME")]
    user: Option<String>,
    /// Pass this variable, too: with the value that it has here, or with VALUE
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<OsString>,
    /// Read the login shell's profile before COMMAND is run
    #[arg(short, long, overrides_with_all = ["no_login", "no_shell"])]
    login: bool,
    /// A plain shell instead of a login shell
    #[arg(long, overrides_with = "login")]
    no_login: bool,
    /// Run COMMAND without letting your shell read its start-up files
    #[arg(long, requires = "a command")]
    no_shell: bool,
    /// Open a shell of the host if the container cannot be had in time, and say why in one line
    #[arg(long, conflicts_with = "a command")]
    or_host: bool,
    /// How long a container may take to start with --or-host
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 30,
        requires = "or_host"
    )]
    or_host_after: u32,
    // Said to be refused, not taken for the name of a container.
    #[arg(long, value_name = "USER", hide = true)]
    owner: Option<String>,
    /// What to run
    // Two arguments, as only then clap tells `enter -- COMMAND` from `enter NAME`.
    #[arg(value_name = "COMMAND", group = "a command", num_args = 0.., allow_hyphen_values = true, value_hint = ValueHint::CommandString)]
    words: Vec<OsString>,
    #[arg(hide = true, group = "a command", last = true, num_args = 0.., allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// clap would show two arguments.
pub(crate) fn usage(program: &str) -> String {
    format!(
        "{program} enter [OPTIONS] [NAME] [COMMAND [ARG]...]\n       \
         {program} enter [OPTIONS] [NAME] -- COMMAND [ARG]..."
    )
}

impl Args {
    /// Program and arguments; empty for a shell.
    pub(crate) fn argv(&self) -> Vec<OsString> {
        self.words.iter().chain(&self.command).cloned().collect()
    }

    fn shell(&self, argv: &[OsString]) -> Shell {
        if self.login || (argv.is_empty() && !self.no_login) {
            Shell::Login
        } else if self.no_shell {
            Shell::Without
        } else {
            Shell::Plain
        }
    }

    fn patience(&self) -> Patience {
        if self.or_host {
            Patience::limited(Duration::from_secs(self.or_host_after.into()))
        } else {
            Patience::unlimited()
        }
    }
}

pub(crate) fn run(args: Args) -> Result<SessionEnd, CommandError> {
    match begin(&args) {
        Ok(running) => running.hold().map_err(session_error),
        // Whatever it was: somebody who opens a terminal gets a shell.
        Err(error) if args.or_host => Err(host_shell::become_it(&error)),
        Err(error) => Err(error),
    }
}

/// Everything up to the running program.
fn begin(args: &Args) -> Result<RunningSession, CommandError> {
    if args.owner.is_some() {
        return Err(not_entered(others_are_not_entered()));
    }
    let argv = args.argv();
    let who = Who::named(args.user.as_deref()).map_err(not_entered)?;
    let variables = environment::Variables::read(&args.env)
        .map_err(|error| CommandError::new(ErrorKind::NotEntered(exit::NOT_ENTERED), error))?;
    let name = args.name.as_deref().unwrap_or_default();
    let mut patience = args.patience();
    let Opened {
        container,
        socket,
        isolation,
    } = block_on(open::open(name, who, &mut patience)).map_err(not_entered)?;
    let cwd = working_directory::working_directory(args.cwd.as_deref(), isolation);
    let request = SessionRequest {
        shell: args.shell(&argv),
        argv,
        env: variables.for_session(isolation),
        cwd,
        container,
        patience: patience.at_most(AGENT),
    };
    session::begin(socket, request).map_err(session_error)
}

/// A session has its user's environment, and shares the terminal with a container that somebody
/// else is root of: an administrator who wants that asks Incus.
fn others_are_not_entered() -> CommandError {
    CommandError::message(
        ErrorKind::Usage,
        "another user's container cannot be entered: only its owner has sessions in it",
    )
    .hint("see it, stop it and delete it: kapsule info, stop or rm with --owner")
    .hint("look inside as root of the host: incus exec --project kapsule-UID NAME -- sh")
}

fn session_error(error: SessionError) -> CommandError {
    let kind = ErrorKind::NotEntered(error.exit_code());
    CommandError::new(kind, error)
}

/// Whatever kept us out, the status says that it was not the command's.
fn not_entered(error: CommandError) -> CommandError {
    match error.kind {
        ErrorKind::Interrupted => error,
        _ => error.with_kind(ErrorKind::NotEntered(exit::NOT_ENTERED)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_us_out_is_told_from_the_command() {
        let error = not_entered(CommandError::message(ErrorKind::NotFound, "x"));
        assert_eq!(error.code(), 125);
        let error = not_entered(CommandError::interrupted("x"));
        assert_eq!(error.code(), 130);
    }

    #[test]
    fn which_files_the_shell_reads() {
        let command = [OsString::from("make")];
        let with = |login, no_login, no_shell| Args {
            login,
            no_login,
            no_shell,
            ..Args::default()
        };
        for (args, argv, shell) in [
            (Args::default(), &[][..], Shell::Login),
            (Args::default(), &command, Shell::Plain),
            (with(true, false, false), &command, Shell::Login),
            (with(false, true, false), &[], Shell::Plain),
            (with(false, false, true), &command, Shell::Without),
        ] {
            assert_eq!(args.shell(argv), shell, "{args:?}");
        }
    }
}
