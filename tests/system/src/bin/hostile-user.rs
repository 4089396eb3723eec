// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! A user who wants the service to come to harm, or to serve nobody else. The tests run it inside the
//! host as bob.
//!
//! | called with | |
//! |---|---|
//! | `fuzz SEED SECONDS` | random calls of everything |
//! | `flood CONNECTIONS SECONDS` | all methods, as fast as it goes, no answer read |
//! | `flood-silent CONNECTIONS SECONDS` | as `flood`, with calls that want no answer |
//! | `big BYTES CONNECTIONS SECONDS` | arguments of that size |
//! | `connections MOST SECONDS` | as many connections as the bus allows |
//! | `operations COUNT` | that many operations at once |
//! | `list COUNT` | that many questions at once |
//! | `sessions NAME COUNT SECONDS` | that many sessions, held |
//! | `become NAME PROGRAM ARG…` | asks for a container, and is another program's process at once |
//! | `swap A B SECONDS` | exchanges two files as fast as it goes |
//!
//! It prints what came of it.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use kapsule_system_tests::bus::MANAGER;
use kapsule_system_tests::wire::connection::Connection;
use kapsule_system_tests::wire::value::Value;
use kapsule_system_tests::wire::{attack, fuzz};
use rustix::fs::{CWD, RenameFlags, renameat_with};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hostile-user: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[String]) -> io::Result<()> {
    let text = |at: usize| words.get(at).map_or("", String::as_str);
    let number = |at: usize| text(at).parse::<usize>().unwrap_or(0);
    let seconds = |at: usize| Duration::from_secs(text(at).parse().unwrap_or(1));
    match text(0) {
        "fuzz" => {
            let seed = text(1).parse().unwrap_or(1);
            show(fuzz::run(seed, seconds(2))?);
        }
        "flood" => println!("sent {}", attack::flood(number(1), seconds(2), false)?),
        "flood-silent" => println!("sent {}", attack::flood(number(1), seconds(2), true)?),
        "big" => println!("sent {}", attack::big(number(1), number(2), seconds(3))?),
        "connections" => println!("held {}", attack::connections(number(1), seconds(2))?),
        "operations" => {
            let call = attack::call(MANAGER, "StartContainer", vec!["t-nothing".into()]);
            show(attack::at_once(&call, number(1))?);
        }
        "list" => {
            let call = attack::call(MANAGER, "ListContainers", vec![]);
            show(attack::at_once(&call, number(1))?);
        }
        "sessions" => show(attack::sessions(text(1), number(2), seconds(3))?),
        "become" => {
            let mut bus = Connection::open()?;
            let options = Value::Array("{sv}".to_owned(), Vec::new());
            let arguments = vec![text(1).into(), "local:debian".into(), options];
            bus.send(&attack::call(MANAGER, "CreateContainer", arguments))?;
            bus.outlive()?;
            let arguments = words.get(3..).unwrap_or_default();
            return Err(Command::new(text(2)).args(arguments).exec());
        }
        "swap" => swap(text(1), text(2), seconds(3))?,
        _ => return Err(io::Error::other("what shall I do?")),
    }
    Ok(())
}

fn show<N: Display>(answers: BTreeMap<String, N>) {
    for (answer, count) in answers {
        println!("{count} {answer}");
    }
}

fn swap(one: &str, other: &str, time: Duration) -> io::Result<()> {
    let end = Instant::now() + time;
    println!("swapping");
    while Instant::now() < end {
        renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?;
    }
    Ok(())
}
