// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `kapsule-agent`: Kapsule's part inside a container.
//!
//! Static and self-contained, so that it runs in any guest. It is delivered read-only from the
//! host and has several lives:
//!
//! | command | who | |
//! |---|---|---|
//! | `boot` | pid 1, the guest's root | sets up the owner's account and becomes the guest's init ([`boot`]) |
//! | `set-up` | the guest's root | the first half of that, in a process that may fail |
//! | `supervise` | the guest's root | keeps `serve` running where there is no systemd ([`supervise`]) |
//! | `follow` | the guest's root | makes the host's clock, language, trust, look and media the guest's ([`follow`], [`desktop`], [`media`]) |
//! | `ports` | the container's owner | offers what listens inside to the host's localhost ([`ports`]) |
//! | `serve` | the container's owner | starts the owner's sessions ([`serve`]) |

mod account_file;
mod arguments;
mod boot;
mod cgroup;
mod desktop;
mod files;
mod follow;
mod identity;
mod init;
mod media;
mod ports;
mod serve;
mod spawn;
mod spec;
mod supervise;

use std::process::ExitCode;

use arguments::Command;

fn main() -> ExitCode {
    match arguments::parse(std::env::args_os().skip(1)) {
        Ok(Command::Boot) => boot::boot(),
        Ok(Command::SetUp) => boot::set_up(),
        Ok(Command::Supervise) => supervise::supervise(),
        Ok(Command::Follow) => follow::follow(),
        Ok(Command::Ports) => ports::ports(),
        Ok(Command::Serve(options)) if options.detach => supervise::detach(&options),
        Ok(Command::Serve(options)) => {
            let error = serve::serve(&options);
            eprintln!("kapsule-agent: {error}");
            ExitCode::FAILURE
        }
        Ok(Command::Version) => {
            println!("kapsule-agent {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Err(wrong) => {
            eprintln!("kapsule-agent: {wrong}\n{}", arguments::USAGE);
            ExitCode::from(2)
        }
    }
}
