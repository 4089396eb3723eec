// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Kapsule's developer commands, called as `cargo xtask …`.

mod bench;
mod cli;
mod deb;
mod demo;
mod digest;
mod dirs;
mod fuzz;
mod host;
mod image;
mod install;
mod needs;
mod programs;
mod run;
mod template;
mod test;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::main() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
