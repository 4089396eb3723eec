// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Somebody who can be asked for a password. Desktops have an authentication agent of polkit's; in
//! a terminal without one, polkit's own text agent takes its place, as with `systemctl`. It is only
//! started when a call was refused for want of somebody to ask: nothing waits for it otherwise.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, getuid, kill_process};

use crate::ui;

/// How long the agent may take until it can be asked.
const PATIENCE: Duration = Duration::from_secs(10);

/// The text agent, until this is dropped.
#[derive(Debug)]
pub(super) struct TextAgent(Child);

impl TextAgent {
    /// Whether there is a person and a reason to start it.
    pub(super) fn would_help() -> bool {
        !getuid().is_root() && ui::is_interactive()
    }

    /// Starts it and waits until it can be asked. Nothing where that is not possible.
    pub(super) async fn start() -> Option<Self> {
        if !Self::would_help() {
            return None;
        }
        let child = Command::new("pkttyagent")
            .arg("--fallback")
            .args(["--process", &std::process::id().to_string()])
            // It closes this when it is ready, and talks to the terminal itself.
            .args(["--notify-fd", "1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut agent = Self(child);
        let mut ready = agent.0.stdout.take()?;
        let reading = tokio::task::spawn_blocking(move || ready.read_to_end(&mut Vec::new()));
        let waited = tokio::time::timeout(PATIENCE, reading).await;
        let runs = matches!(agent.0.try_wait(), Ok(None));
        (waited.is_ok() && runs).then_some(agent)
    }
}

impl Drop for TextAgent {
    fn drop(&mut self) {
        // Asked, not killed: it may have switched off the terminal's echo.
        if let Some(pid) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.0.wait();
    }
}
