// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! A measuring process in the host, one a user, told through its stdin what to measure next. So commands
//! of several users can take turns, and nothing but the kernel is between the clock and the command.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use super::measure;
use crate::host;

/// Where `host up` puts this program.
const PROGRAM: &str = "/usr/local/libexec/kapsule-xtask";

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// Run a command to its end: seconds, and what it printed.
    Run {
        argv: Vec<String>,
        /// With a terminal as stdin, stdout and stderr.
        terminal: bool,
    },
    /// Start a unit that is stopped: seconds until it owns this name on the system bus.
    Start { unit: String, bus_name: String },
    /// The memory of a unit's main process: bytes, shared pages by their share (PSS).
    Memory { unit: String },
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    Measured { value: f64, printed: String },
    Failed(String),
}

/// In the host: answers requests until there are no more.
pub(crate) fn serve() -> Result<()> {
    for line in io::stdin().lock().lines() {
        let answer = match answer(&serde_json::from_str(&line?)?) {
            Ok((value, printed)) => Answer::Measured { value, printed },
            Err(error) => Answer::Failed(format!("{error:#}")),
        };
        let mut stdout = io::stdout().lock();
        serde_json::to_writer(&mut stdout, &answer)?;
        stdout.write_all(b"\n")?;
        stdout.flush()?;
    }
    Ok(())
}

fn answer(request: &Request) -> Result<(f64, String)> {
    match request {
        Request::Run { argv, terminal } => measure::run(argv, *terminal),
        Request::Start { unit, bus_name } => Ok((measure::start(unit, bus_name)?, String::new())),
        Request::Memory { unit } => Ok((measure::memory(unit)?, String::new())),
    }
}

/// The side on the machine.
#[derive(Debug)]
pub(super) struct Worker {
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    pub(super) fn start(user: &str) -> Result<Self> {
        let mut child = host::install::inside(user, &[PROGRAM, "bench-inside"])?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start measuring in the host")?;
        let requests = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().context("no stdout")?);
        Ok(Self {
            child,
            requests,
            answers,
        })
    }

    pub(super) fn ask(&mut self, request: &Request) -> Result<(f64, String)> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        let requests = self.requests.as_mut().context("it was ended")?;
        requests.write_all(&line)?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        match serde_json::from_str(&answer).context("the measuring process in the host ended")? {
            Answer::Measured { value, printed } => Ok((value, printed)),
            Answer::Failed(why) => bail!("{why}"),
        }
    }

    /// Runs a command whose time does not matter, and returns what it printed.
    pub(super) fn run(&mut self, argv: &[&str]) -> Result<String> {
        Ok(self.ask(&Request::command(argv, false))?.1)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // The end of its stdin is what ends it.
        self.requests = None;
        let _ = self.child.wait();
    }
}

impl Request {
    pub(super) fn command(argv: &[&str], terminal: bool) -> Self {
        Self::Run {
            argv: argv.iter().map(|word| (*word).to_owned()).collect(),
            terminal,
        }
    }
}
