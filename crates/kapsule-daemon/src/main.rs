// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The Kapsule system service.
//!
//! | module | holds |
//! |---|---|
//! | [`arguments`], [`log`], [`run`] | the program: command line, journal, start and end |
//! | [`bus`] | the objects on D-Bus |
//! | [`caller`], [`login_session`], [`policy`] | who calls, and what they may do |
//! | [`ops`] | long work |
//! | [`service`] | what is done to containers and images |
//! | [`agents`] | the sockets that agents in containers register at |
//! | [`config`], [`users`] | what the host says: settings, accounts |
//! | [`as_user`], [`threads`] | work that must not have root's rights, or may hang |

mod agents;
mod arguments;
mod as_user;
mod bus;
mod caller;
mod config;
mod container_id;
mod error;
mod log;
mod login_session;
mod ops;
mod policy;
mod run;
mod service;
mod threads;
mod users;

use std::process::ExitCode;

use arguments::Request;

fn main() -> ExitCode {
    let arguments = match arguments::parse(std::env::args_os().skip(1)) {
        Ok(Request::Run(arguments)) => arguments,
        Ok(Request::Print(text)) => {
            println!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("kapsule-daemon: {error}\n{}", arguments::USAGE);
            return ExitCode::from(2);
        }
    };
    log::begin();
    match run::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
