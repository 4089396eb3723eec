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

use std::path::PathBuf;
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Two for each connection, and what is on its way.
const OPEN_FILES: u64 = 8192;

fn main() -> ExitCode {
    if let Some(argument) = std::env::args_os().nth(1) {
        if argument == "--version" {
            println!("kapsule-bus {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        eprintln!(
            "kapsule-bus: unknown argument {argument:?}. It takes none but --version, and is started by \
             systemd for programs that connect: systemctl --user start kapsule-bus.socket"
        );
        return ExitCode::from(2);
    }
    let Some(runtime_dir) = std::env::var_os("XDG_RUNTIME_DIR") else {
        eprintln!(
            "kapsule-bus: XDG_RUNTIME_DIR is not set, so there is no session bus to connect to"
        );
        return ExitCode::FAILURE;
    };
    raise_open_files();
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

fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit
        .maximum
        .map_or(OPEN_FILES, |most| most.min(OPEN_FILES));
    if limit.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit {
            current: Some(wanted),
            maximum: limit.maximum,
        };
        // With fewer, there are fewer connections.
        let _ = setrlimit(Resource::Nofile, raised);
    }
}
