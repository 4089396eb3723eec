// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `kapsule-ports`: what listens in a user's containers can be reached at the host's localhost.
//!
//! A service of the user's session, with no more rights than the user has. For each of the user's
//! containers that runs and is to offer its ports, it opens a session as `kapsule enter` does, in which
//! `kapsule-agent ports` tells what listens. It listens for that on the host, and for each connection
//! asks inside for one that it can be joined to.
//!
//! ```text
//!         host                                      │ container
//!  curl ──1──▶ kapsule-ports ──2 Connect 8080───────┼──▶ agent ──3──▶ server
//!              (127.0.0.1:8080) ◀─4 connected socket┼─────┘             ▲
//!                    └────────────5 bytes───────────┼───────────────────┘
//! ```
//!
//! No socket that listens on the host is ever handed in, and the inside has no say in anything but
//! numbers of ports. What comes from there is bounded in number, rate and size; a socket is looked at
//! before it is used, and never waited for.
//!
//! | module | |
//! |---|---|
//! | [`containers`] | which containers are served |
//! | [`opening`], [`inside`] | the session in one of them, and what is said there |
//! | [`offers`] | who has which port |
//! | [`relay`] | bytes between two sockets |
//! | [`report`] | what is shown to the user |
//! | [`waiting`] | a channel among other things to wait for |

mod containers;
mod inside;
mod offers;
mod opening;
mod relay;
mod report;
mod waiting;

use std::ffi::OsStr;
use std::process::ExitCode;

const HELP: &str = "\
usage: kapsule-ports

Has what listens on TCP ports in your containers on this system's localhost, at the same ports. It is a
service of your session, started by systemd; there is nothing to type:

  systemctl --user status kapsule-ports     whether it runs
  journalctl --user -u kapsule-ports        which ports came and went
  kapsule info NAME                         the ports of a container
  kapsule set NAME --no-ports               none of this container's

Options: --help, --version";

fn main() -> ExitCode {
    if let Some(argument) = std::env::args_os().nth(1) {
        return answer(&argument);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("kapsule-ports: cannot set up this program: {error}");
            return ExitCode::FAILURE;
        }
    };
    let local = tokio::task::LocalSet::new();
    match local.block_on(&runtime, containers::serve()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kapsule-ports: {error}");
            ExitCode::FAILURE
        }
    }
}

/// It takes no arguments, but tells what it is.
fn answer(argument: &OsStr) -> ExitCode {
    match argument.to_str() {
        Some("-h" | "--help") => println!("{HELP}"),
        Some("-V" | "--version") => println!("kapsule-ports {}", kapsule_core::VERSION),
        _ => {
            eprintln!("kapsule-ports: unknown argument {argument:?}; see kapsule-ports --help");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
