// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `kapsule`, also installed as `kap`: the command line of Kapsule.
//!
//! | module | holds |
//! |---|---|
//! | [`cli`] | which commands there are, and the way from `argv` to one of them |
//! | [`commands`] | what each command does, one file a command |
//! | [`option_flags`] | the flags of `create`, made from the schema of options |
//! | [`environment`] | which variables of the host a session gets |
//! | [`session`] | the relay between the terminal and a container |
//! | [`localhost`] | which ports of containers are on the host's localhost |
//! | [`bus`] | the way to the daemon: connection, operations, errors |
//! | [`ui`] | what is printed, and how |
//! | [`error`], [`exit`] | failures, and the exit status that they become |

mod bus;
mod cli;
mod commands;
mod completion;
mod environment;
mod error;
mod exit;
mod localhost;
mod option_flags;
mod session;
mod ui;
mod usb;

use std::process::ExitCode;

fn main() -> ExitCode {
    completion::answer_shell();
    cli::main(std::env::args_os().collect())
}
