// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The command line of `cargo xtask`.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::bench::Bench;
use crate::host;
use crate::host::exec;
use crate::host::place::Place;
use crate::host::state::State;
use crate::host::users::User;

/// Kapsule's developer commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The main job, from a bare machine to a shell in a container; a transcript where there is no terminal.
    Demo {
        /// Leave the host running also when there is no terminal.
        #[arg(long)]
        keep: bool,
    },
    /// The sandboxed host: a whole system with systemd and Incus, booted on this machine.
    #[command(subcommand)]
    Host(Host),
    /// Images of containers, from the recipes in images/.
    #[command(subcommand)]
    Image(Image),
    /// Run every check and every test: unit, against a real Incus, and in the sandboxed host.
    Test {
        /// Leave out what needs the host.
        #[arg(long)]
        skip_host: bool,
        /// Only the Debian package, in a host of its own.
        #[arg(long, conflicts_with = "skip_host")]
        only_package: bool,
    },
    /// Feed made-up input to the parsers of what comes from elsewhere, and see that none of it does harm.
    Fuzz {
        /// One of the targets in fuzz/fuzz_targets instead of all.
        target: Option<String>,
        /// How long each target runs.
        #[arg(long, default_value_t = 60)]
        seconds: u32,
    },
    /// Measure Kapsule in the sandboxed host, next to what else does the like.
    Bench {
        /// What to measure instead of everything.
        which: Vec<Bench>,
        /// How often each command is run; memory is measured five times at most.
        #[arg(long, default_value_t = 30)]
        runs: u32,
        /// For programs: one object a line, with all samples.
        #[arg(long)]
        json: bool,
    },
    /// In the host: measure what stdin asks for.
    #[command(hide = true)]
    BenchInside,
    /// Build a Debian package in target/deb, and print its path.
    Deb {
        /// Cargo profile.
        #[arg(long, default_value = "release")]
        profile: String,
    },
    /// Build Kapsule and install it below a folder, as a packager does.
    Install {
        /// Put before each path.
        #[arg(long, default_value = "/")]
        destdir: PathBuf,
        /// Where the installed system has it.
        #[arg(long, default_value = "/usr")]
        prefix: PathBuf,
        /// Cargo profile.
        #[arg(long, default_value = "release")]
        profile: String,
    },
}

#[derive(Debug, Subcommand)]
enum Image {
    /// Build an image unless it is in the cache, and print the folder it is in.
    Build {
        /// A folder in images/.
        #[arg(default_value = "debian")]
        name: String,
        /// Copy it into the running host too, and print the folder there.
        #[arg(long)]
        host: bool,
    },
}

#[derive(Debug, Subcommand)]
enum Host {
    /// Build what is missing, boot the host, and install into it what changed.
    Up {
        /// Only boot: neither build nor install Kapsule.
        #[arg(long)]
        no_install: bool,
    },
    /// Run a command in the host: as root, or in the session of a user.
    Exec {
        /// alice (may use sudo), bob (may not), or root.
        #[arg(long, default_value = "root")]
        user: String,
        /// The working directory instead of the user's home.
        #[arg(long)]
        cwd: Option<String>,
        /// With a terminal, also when stdin and stdout are none.
        #[arg(long, conflicts_with = "no_tty")]
        tty: bool,
        /// Without a terminal, also when stdin and stdout are one.
        #[arg(long)]
        no_tty: bool,
        /// Program and arguments.
        #[arg(last = true, required = true)]
        argv: Vec<OsString>,
    },
    /// A login shell in the host.
    Shell {
        /// alice (may use sudo), bob (may not), or root.
        #[arg(long, default_value = "alice")]
        user: String,
    },
    /// Build Kapsule, and install it in the running host if something changed.
    Install,
    /// Tell whether the host runs, and where its things are. Exit status 3 when it does not run.
    Status {
        /// For programs.
        #[arg(long)]
        json: bool,
    },
    /// Shut the host down; its files, boxes included, stay.
    Down,
    /// Shut the host down and remove its file system with everything in it.
    Destroy,
    /// In the host: serve one command. Started by systemd there.
    #[command(hide = true)]
    ExecServer,
    /// In the host: become a command with a terminal.
    #[command(hide = true)]
    ExecTerminal {
        #[arg(last = true, required = true)]
        argv: Vec<OsString>,
    },
    /// In the host's network namespace: become systemd-nspawn.
    #[command(hide = true)]
    BootInner,
}

pub(crate) fn main() -> Result<ExitCode> {
    match Cli::parse().command {
        Command::Host(command) => run_host(command),
        Command::Image(Image::Build {
            name,
            host: in_host,
        }) => {
            let folder = if in_host {
                host::images::provide(&name)?
            } else {
                crate::image::build(&name)?
            };
            println!("{}", folder.display());
            Ok(ExitCode::SUCCESS)
        }
        Command::Demo { keep } => crate::demo::demo(keep),
        Command::Test {
            skip_host,
            only_package,
        } => crate::test::test(skip_host, only_package),
        Command::Fuzz { target, seconds } => {
            crate::fuzz::fuzz(target.as_deref(), seconds)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Bench { which, runs, json } => crate::bench::bench(&which, runs, json),
        Command::BenchInside => {
            crate::bench::serve()?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Deb { profile } => {
            println!("{}", crate::deb::build(&profile)?.display());
            Ok(ExitCode::SUCCESS)
        }
        Command::Install {
            destdir,
            prefix,
            profile,
        } => {
            for path in crate::install::install(&destdir, &prefix, &profile)? {
                println!("{}", destdir.join(path).display());
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn run_host(command: Host) -> Result<ExitCode> {
    match command {
        Host::Up { no_install } => {
            host::up()?;
            if !no_install {
                install_in_host()?;
            }
        }
        Host::Install => install_in_host()?,
        Host::Status { json } => return host::status::show(json),
        Host::Exec {
            user,
            cwd,
            tty,
            no_tty,
            argv,
        } => {
            let tty = tty || (!no_tty && io::stdin().is_terminal() && io::stdout().is_terminal());
            return exec_in_host(&user, argv, cwd, tty);
        }
        Host::Shell { user } => {
            // The shell that the user has, as login(1) would start it.
            let argv = ["sh", "-c", r#"exec "${SHELL:-/bin/sh}" -l"#]
                .map(OsString::from)
                .to_vec();
            return exec_in_host(&user, argv, None, true);
        }
        Host::Down => host::down()?,
        Host::Destroy => host::destroy()?,
        Host::ExecServer => exec::server::serve()?,
        Host::ExecTerminal { argv } => exec::server::become_command(&argv)?,
        Host::BootInner => host::boot::inner(&Place::new())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn exec_in_host(
    user: &str,
    argv: Vec<OsString>,
    cwd: Option<String>,
    tty: bool,
) -> Result<ExitCode> {
    let state = State::need(&Place::new())?;
    let status = exec::client::exec(&User::named(user)?.exec_socket(&state), argv, cwd, tty)?;
    Ok(ExitCode::from(u8::try_from(status).unwrap_or(255)))
}

fn install_in_host() -> Result<()> {
    let changed = host::install::install()?;
    eprintln!(
        "xtask: {}",
        if changed {
            "installed in the host"
        } else {
            "the host has everything as it is here"
        }
    );
    Ok(())
}
