// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Waiting for a name on the system bus, with the bus' own monitor.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::run::{cmd, run};

const PATIENCE: Duration = Duration::from_secs(30);

/// A message as `busctl monitor --json=short` prints it.
#[derive(Debug, Deserialize)]
struct Message {
    /// When it arrived, in microseconds since 1970.
    #[serde(rename = "timestamp-realtime")]
    arrived: u64,
    member: String,
    payload: Payload,
}

#[derive(Debug, Deserialize)]
struct Payload {
    /// Of NameOwnerChanged: the name, its old owner, its new one.
    #[serde(default)]
    data: Vec<String>,
}

/// A running monitor.
#[derive(Debug)]
pub(super) struct Watch {
    monitor: Child,
    messages: Receiver<Message>,
}

impl Watch {
    /// From here on, a change of the name's owner is seen.
    pub(super) fn begin(bus_name: &str) -> Result<Self> {
        let owner = format!("type='signal',member='NameOwnerChanged',arg0='{bus_name}'");
        let ready = "type='signal',interface='org.kde.kapsule.Bench'";
        let mut monitor = cmd("busctl", ["monitor", "--json=short"])
            .args(["--match", &owner, "--match", ready])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot watch the bus")?;
        let stdout = BufReader::new(monitor.stdout.take().context("no stdout")?);
        let (sender, messages) = channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let Ok(message) = serde_json::from_str(&line) else {
                    continue;
                };
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let watch = Self { monitor, messages };
        watch.wait_until_it_sees()?;
        Ok(watch)
    }

    /// It does not say when it is there, so it is shown something until it tells.
    fn wait_until_it_sees(&self) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let signal = ["emit", "/", "org.kde.kapsule.Bench", "Ready"];
            run(&mut cmd("busctl", signal))?;
            match self.messages.recv_timeout(Duration::from_millis(20)) {
                Ok(_) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        bail!("`busctl monitor` shows nothing");
    }

    /// When the name got an owner, in microseconds since 1970; waits for it.
    pub(super) fn new_owner(&self) -> Result<u64> {
        loop {
            let message = self
                .messages
                .recv_timeout(PATIENCE)
                .context("nobody took the name")?;
            let owner = message.payload.data.get(2);
            if message.member == "NameOwnerChanged" && owner.is_some_and(|it| !it.is_empty()) {
                return Ok(message.arrived);
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.monitor.kill();
        let _ = self.monitor.wait();
    }
}
