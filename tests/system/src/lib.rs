// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What the system tests stand on: commands in the booted host, as one of its users.
//!
//! `cargo xtask test` boots the host, installs Kapsule in it and runs the tests in `tests/`. To run one by
//! hand, after `cargo xtask host up`:
//!
//! ```text
//! KAPSULE_TEST_HOST=1 cargo test -p kapsule-system-tests NAME
//! ```

mod terminal;

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

pub use terminal::Terminal;

/// The folder, as seen in the host, of the image that `cargo xtask test` put there.
pub const DEBIAN_IMAGE: &str = "/var/cache/kapsule-images/debian";

/// The booted host.
#[derive(Debug, Clone)]
pub struct Host {
    xtask: PathBuf,
}

/// How a command in the host ended, and what it wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The exit status; 128 + number after a signal, as shells have it.
    pub status: i32,
    /// Everything it wrote to stdout.
    pub stdout: Vec<u8>,
    /// Everything it wrote to stderr.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Stdout as text, without the line's end.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end().to_owned()
    }

    /// Stderr as text.
    #[must_use]
    pub fn error_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).trim_end().to_owned()
    }

    /// Stdout as text of a command that must have succeeded.
    ///
    /// # Errors
    /// The exit status was not 0; says what the command wrote.
    pub fn success(&self) -> Result<String> {
        if self.status != 0 {
            bail!(
                "exit status {}: {}\n{}",
                self.status,
                self.error_text(),
                self.text()
            );
        }
        Ok(self.text())
    }
}

impl Host {
    /// The host that the tests were given.
    ///
    /// # Errors
    /// `KAPSULE_TEST_HOST` is not set: these tests change a system, and only ever that one.
    pub fn get() -> Result<Self> {
        if std::env::var_os("KAPSULE_TEST_HOST").is_none() {
            bail!(
                "system tests need the booted host: run `cargo xtask test`, or see tests/system/src/lib.rs"
            );
        }
        let xtask = match std::env::var_os("KAPSULE_XTASK") {
            Some(path) => PathBuf::from(path),
            // Beside the test program, which is in target/<profile>/deps.
            None => std::env::current_exe()?
                .parent()
                .and_then(|deps| deps.parent())
                .context("no folder")?
                .join("xtask"),
        };
        Ok(Self { xtask })
    }

    /// A command in the session of `user` (`root`, `alice` or `bob`), not yet started and without a
    /// terminal: for setting stdin, and for what runs beside the test. Ends, with all it started, when its
    /// child process is killed.
    pub fn command<S: AsRef<OsStr>>(
        &self,
        user: &str,
        argv: impl IntoIterator<Item = S>,
    ) -> Command {
        let mut command = Command::new(&self.xtask);
        command
            .args(["host", "exec", "--no-tty", "--user", user, "--"])
            .args(argv);
        command
    }

    /// Runs a command to its end, with nothing on stdin.
    ///
    /// # Errors
    /// The command could not be brought to the host. Its own failure is in [`Output::status`].
    pub fn exec<S: AsRef<OsStr>>(
        &self,
        user: &str,
        argv: impl IntoIterator<Item = S>,
    ) -> Result<Output> {
        self.exec_with_input(user, argv, b"")
    }

    /// Runs a line of the shell to its end, with nothing on stdin.
    ///
    /// # Errors
    /// As of [`Host::exec`].
    pub fn sh(&self, user: &str, line: &str) -> Result<Output> {
        self.exec(user, ["sh", "-c", line])
    }

    /// Runs a command to its end, with `input` on stdin.
    ///
    /// # Errors
    /// As of [`Host::exec`].
    pub fn exec_with_input<S: AsRef<OsStr>>(
        &self,
        user: &str,
        argv: impl IntoIterator<Item = S>,
        input: &[u8],
    ) -> Result<Output> {
        let mut command = self.command(user, argv);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start xtask")?;
        let mut stdin = child.stdin.take().context("no stdin")?;
        let input = input.to_owned();
        // Beside reading: neither a full pipe there nor one here may stop both. A command need not read.
        let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let output = child.wait_with_output()?;
        let _ = writer.join();
        let status = output.status.code().context("xtask was killed")?;
        Ok(Output {
            status,
            stdout: output.stdout,
            stderr: output.stderr,
        })
    }

    /// Starts a command with a terminal of 24 rows and 80 columns.
    ///
    /// # Errors
    /// The command could not be brought to the host.
    pub fn terminal<S: AsRef<OsStr>>(
        &self,
        user: &str,
        argv: impl IntoIterator<Item = S>,
    ) -> Result<Terminal> {
        let mut command = Command::new(&self.xtask);
        command.args(["host", "exec", "--tty", "--user", user, "--"]);
        command.args(argv.into_iter().map(|arg| OsString::from(arg.as_ref())));
        Terminal::start(command)
    }
}
