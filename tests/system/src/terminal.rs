// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! A command with a terminal, played by a test: type, and wait for what appears.

use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// A running command and its terminal. Dropping it is closing the terminal's window.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    stdin: ChildStdin,
    chunks: Receiver<Vec<u8>>,
    /// What appeared and was not waited for yet.
    seen: Vec<u8>,
}

impl Terminal {
    pub(crate) fn start(mut command: Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .context("cannot start xtask")?;
        let stdin = child.stdin.take().context("no stdin")?;
        let mut stdout = child.stdout.take().context("no stdout")?;
        let (sender, chunks) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stdout.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            child,
            stdin,
            chunks,
            seen: Vec::new(),
        })
    }

    /// Types `keys`; Enter is `\r`, Control-C is `\x03`.
    ///
    /// # Errors
    /// The command is gone.
    pub fn send(&mut self, keys: &str) -> Result<()> {
        self.stdin.write_all(keys.as_bytes())?;
        self.stdin.flush().context("cannot type")
    }

    /// Waits until `text` appears, and returns everything up to its end that was not returned before.
    ///
    /// # Errors
    /// It did not within `patience`, or the command ended first; says what appeared instead.
    pub fn expect(&mut self, text: &str, patience: Duration) -> Result<String> {
        let until = Instant::now() + patience;
        loop {
            if let Some(at) = self
                .seen
                .windows(text.len())
                .position(|window| window == text.as_bytes())
            {
                let rest = self.seen.split_off(at + text.len());
                let found = std::mem::replace(&mut self.seen, rest);
                return Ok(String::from_utf8_lossy(&found).into_owned());
            }
            match self
                .chunks
                .recv_timeout(until.saturating_duration_since(Instant::now()))
            {
                Ok(chunk) => self.seen.extend(chunk),
                Err(RecvTimeoutError::Timeout) => {
                    bail!("no {text:?} within {patience:?}, but {:?}", self.screen())
                }
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("it ended without {text:?}, but {:?}", self.screen())
                }
            }
        }
    }

    /// Waits for the end, and returns the exit status and all that appeared since the last [`Terminal::expect`].
    ///
    /// # Errors
    /// It does not end within `patience`.
    pub fn wait(mut self, patience: Duration) -> Result<(i32, String)> {
        let until = Instant::now() + patience;
        loop {
            match self
                .chunks
                .recv_timeout(until.saturating_duration_since(Instant::now()))
            {
                Ok(chunk) => self.seen.extend(chunk),
                Err(RecvTimeoutError::Timeout) => {
                    bail!("still running after {patience:?}: {:?}", self.screen())
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let status = self.child.wait()?.code().context("xtask was killed")?;
        Ok((status, self.screen()))
    }

    fn screen(&self) -> String {
        String::from_utf8_lossy(&self.seen).into_owned()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
