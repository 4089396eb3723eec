// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `kapsule-bus`: connects programs in a user's containers to the user's session bus, as a program of the
//! host.
//!
//! Services on the bus look at the process that has made a connection. The desktop portal opens its root
//! folder, to see whether it is an application in a sandbox; the kernel lets nobody do that with a process
//! in a user namespace of somebody else's, as those of a standard container are, and the portal serves
//! nobody whom it could not look at. So programs inside connect to this one, which passes what they say to
//! the bus over a connection of its own, one for each of theirs.
//!
//! It runs as the user and has nothing that the user does not have. The user's service manager listens in
//! its place, starts it for the first program, and it ends when there has been none for a while.
//!
//! | module | |
//! |---|---|
//! | [`server`] | who is let in, and how many |
//! | [`pipe`] | what is said in one direction |
//! | [`frame`] | where a message ends |

mod frame;
mod pipe;
mod server;

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::ExitCode;

const HELP: &str = "\
usage: kapsule-bus

Connects programs in your containers to your session bus. It is a service of your session, started by
systemd for the first program that connects; there is nothing to type:

  systemctl --user status kapsule-bus.socket           whether it listens
  systemctl --user status app-org.kde.kapsule.service  whether somebody is connected
  kapsule set NAME --no-session-bus                    none of it for this container

Options: --help, --version";

fn main() -> ExitCode {
    if let Some(argument) = std::env::args_os().nth(1) {
        return answer(&argument);
    }
    let Some(runtime_dir) = std::env::var_os("XDG_RUNTIME_DIR") else {
        eprintln!(
            "kapsule-bus: XDG_RUNTIME_DIR is not set, so there is no session bus to connect to"
        );
        return ExitCode::FAILURE;
    };
    let done = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .and_then(|runtime| {
            let bus = PathBuf::from(runtime_dir).join("bus");
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, async {
                server::serve(server::listener_on_stdin()?, bus).await;
                Ok(())
            })
        });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kapsule-bus: {error}");
            ExitCode::FAILURE
        }
    }
}

/// It takes no arguments, but tells what it is.
fn answer(argument: &OsStr) -> ExitCode {
    match argument.to_str() {
        Some("--help" | "-h") => println!("{HELP}"),
        Some("--version" | "-V") => println!("kapsule-bus {}", env!("CARGO_PKG_VERSION")),
        _ => {
            eprintln!("kapsule-bus: unknown argument {argument:?}; see kapsule-bus --help");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
