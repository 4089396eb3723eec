// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `kapsule enter`
//!
//! When the container runs, this is one call to the daemon and then the relay; everything else
//! (which container is the default one, whether it is there and runs) is only asked for when
//! that call says that it is needed.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use clap::ValueHint;
use clap_complete::ArgValueCandidates;

use crate::bus::{Bus, block_on, explain};
use crate::error::{CommandError, ErrorKind};
use crate::option_flags::OptionFlags;
use crate::session::{self, SessionEnd, SessionRequest};
use crate::{completion, environment, exit, ui};

use super::{config, container_name, create, start};

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
  kapsule enter dev -- sh -c 'echo $HOME'  there is a shell only if you ask for one

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
    /// Pass this variable, too: with the value that it has here, or with VALUE
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<OsString>,
    /// Read the login shell's profile before COMMAND is run
    #[arg(short, long)]
    login: bool,
    /// What to run, without a shell in between
    // Two arguments, as only then clap tells `enter -- COMMAND` from `enter NAME`.
    #[arg(value_name = "COMMAND", num_args = 0.., allow_hyphen_values = true, value_hint = ValueHint::CommandString)]
    words: Vec<OsString>,
    #[arg(hide = true, last = true, num_args = 0.., allow_hyphen_values = true)]
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
    /// Program and arguments; empty for the login shell.
    pub(crate) fn argv(&self) -> Vec<OsString> {
        self.words.iter().chain(&self.command).cloned().collect()
    }
}

pub(crate) fn run(args: Args) -> Result<SessionEnd, CommandError> {
    let argv = args.argv();
    let env = environment::for_session(std::env::vars_os(), &args.env)
        .map_err(|error| CommandError::new(ErrorKind::NotEntered(exit::NOT_ENTERED), error))?;
    let cwd = working_directory(args.cwd.as_deref());
    let name = args.name.unwrap_or_default();
    let (container, socket) = block_on(open(&name)).map_err(not_entered)?;
    let request = SessionRequest {
        login: args.login || argv.is_empty(),
        argv,
        env,
        cwd,
        container,
    };
    session::run(socket, request).map_err(|error| {
        let kind = ErrorKind::NotEntered(error.exit_code());
        CommandError::new(kind, error)
    })
}

/// Whatever kept us out, the status says that it was not the command's.
fn not_entered(error: CommandError) -> CommandError {
    match error.kind {
        ErrorKind::Interrupted => error,
        _ => error.with_kind(ErrorKind::NotEntered(exit::NOT_ENTERED)),
    }
}

/// Opens a session, after creating or starting the container if that is what it takes.
async fn open(name: &str) -> Result<(String, OwnedFd), CommandError> {
    if !name.is_empty() {
        container_name(name)?;
    }
    let bus = Bus::connect().await?;
    let mut created = false;
    let mut started = false;
    let mut asked_again = false;
    loop {
        let error = match open_session(&bus, name).await {
            Ok(session) => return Ok(session),
            Err(error) => error,
        };
        match error.kind {
            ErrorKind::NotFound if !created => {
                create_default(&bus, name, error).await?;
                created = true;
            }
            ErrorKind::NotRunning if !started => {
                start::start(&bus, &resolve(&bus, name).await?).await?;
                started = true;
            }
            // The bus starts it again, and opening a session can be repeated without harm.
            ErrorKind::Gone if !asked_again => asked_again = true,
            _ => return Err(error),
        }
    }
}

async fn open_session(bus: &Bus, name: &str) -> Result<(String, OwnedFd), CommandError> {
    let (container, socket) = bus
        .containers()
        .await?
        .open_session(name)
        .await
        .map_err(explain)?;
    Ok((container, socket.into()))
}

/// The default container is made on first use; any other one is not.
async fn create_default(bus: &Bus, name: &str, error: CommandError) -> Result<(), CommandError> {
    let default = resolve(bus, "").await?;
    if !name.is_empty() && name != default {
        return Err(error);
    }
    ui::heading(&format!(
        "Creating container: {default} (your default one, on first use)"
    ));
    let result = create::create(bus, &default, "", &OptionFlags::default()).await;
    match result {
        Err(error) if error.kind == ErrorKind::Interrupted => Err(error),
        // Somebody else was quicker, such as a second tab: then there is one to enter.
        Err(_) if open_session(bus, &default).await.is_ok() => Ok(()),
        other => other.map_err(|error| {
            error.context(format!("cannot create the default container '{default}'"))
        }),
    }
}

/// The name that an empty one stands for.
async fn resolve(bus: &Bus, name: &str) -> Result<String, CommandError> {
    if !name.is_empty() {
        return Ok(name.to_owned());
    }
    config::fetch(bus)
        .await?
        .remove("default_container")
        .ok_or_else(|| {
            CommandError::failed("no default container is configured")
                .hint("name one: kapsule enter NAME")
        })
}

/// The directory to start in, absolute: the one that was asked for if it exists, else the current
/// one, if that still exists.
fn working_directory(asked: Option<&Path>) -> Option<PathBuf> {
    let current = current_directory();
    let Some(asked) = asked else { return current };
    if asked.is_dir() {
        // Not resolved: inside, links may lead elsewhere.
        return match &current {
            Some(current) => Some(current.join(asked)),
            None => std::path::absolute(asked).ok(),
        };
    }
    ui::warning(&format!(
        "the directory '{}' does not exist; starting in the current one",
        ui::escape(&asked.to_string_lossy())
    ));
    current
}

/// The current directory by the name that the user came to it (`PWD`), as a home may be reached
/// through a link that exists on both sides, and its target only here.
fn current_directory() -> Option<PathBuf> {
    let is_here = |path: &PathBuf| path.is_absolute() && is_same_directory(path, Path::new("."));
    let logical = std::env::var_os("PWD").map(PathBuf::from);
    logical
        .filter(is_here)
        .or_else(|| std::env::current_dir().ok())
}

fn is_same_directory(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (std::fs::metadata(one), std::fs::metadata(other)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_absolute_and_exist() {
        let current = current_directory().unwrap();
        assert_eq!(working_directory(None), Some(current.clone()));
        assert_eq!(
            working_directory(Some(Path::new("src"))),
            Some(current.join("src"))
        );
        assert_eq!(
            working_directory(Some(Path::new("/"))),
            Some(PathBuf::from("/"))
        );
        assert_eq!(
            working_directory(Some(Path::new("/nonexistent"))),
            Some(current)
        );
    }

    #[test]
    fn what_keeps_us_out_is_told_from_the_command() {
        let error = not_entered(CommandError::message(ErrorKind::NotFound, "x"));
        assert_eq!(error.code(), 125);
        let error = not_entered(CommandError::interrupted("x"));
        assert_eq!(error.code(), 130);
    }
}
