// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! A command in the host, through `cargo xtask host exec`, which passes on everything exactly.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// After this time, a command is taken for hung. Nothing that is tested takes more than a few seconds.
pub const HANG: Duration = Duration::from_secs(120);

const PAUSE: Duration = Duration::from_millis(5);

/// Somebody who has a session in the host.
#[derive(Clone, Copy, Debug)]
pub struct Session {
    /// The user's name.
    pub user: &'static str,
    /// The user's id.
    pub uid: u32,
}

impl Session {
    /// Runs a command to its end, with nothing on stdin.
    ///
    /// # Panics
    /// When it hangs, or the host is not there.
    pub fn run<A: AsRef<OsStr>>(&self, argv: impl IntoIterator<Item = A>) -> Output {
        self.command(argv).run()
    }

    /// Runs `kapsule` with these arguments.
    pub fn kapsule<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Output {
        self.kapsule_command(args).run()
    }

    /// Runs a command inside a container.
    pub fn enter<A: AsRef<OsStr>>(
        &self,
        container: &str,
        argv: impl IntoIterator<Item = A>,
    ) -> Output {
        self.enter_command(container, argv).run()
    }

    /// Runs a script with the host's `/bin/sh`.
    pub fn sh(&self, script: &str) -> Output {
        self.run(["sh", "-c", script])
    }

    /// A command, to be set up further.
    pub fn command<A: AsRef<OsStr>>(&self, argv: impl IntoIterator<Item = A>) -> Line {
        Line {
            session: *self,
            argv: argv
                .into_iter()
                .map(|arg| arg.as_ref().to_owned())
                .collect(),
            cwd: None,
            tty: false,
            stdin: Vec::new(),
        }
    }

    /// `kapsule` with these arguments, to be set up further.
    pub fn kapsule_command<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Line {
        let mut line = self.command(["kapsule"]);
        line.argv
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        line
    }

    /// A command inside a container, to be set up further.
    pub fn enter_command<A: AsRef<OsStr>>(
        &self,
        container: &str,
        argv: impl IntoIterator<Item = A>,
    ) -> Line {
        let mut line = self.kapsule_command(["enter", container, "--"]);
        line.argv
            .extend(argv.into_iter().map(|arg| arg.as_ref().to_owned()));
        line
    }
}

/// A command line with what it is run in.
#[derive(Clone, Debug)]
pub struct Line {
    session: Session,
    argv: Vec<OsString>,
    cwd: Option<String>,
    tty: bool,
    stdin: Vec<u8>,
}

impl Line {
    /// In this folder instead of the user's home.
    #[must_use]
    pub fn cwd(mut self, folder: &str) -> Self {
        self.cwd = Some(folder.to_owned());
        self
    }

    /// With a terminal of 24 lines of 80 characters.
    #[must_use]
    pub fn tty(mut self) -> Self {
        self.tty = true;
        self
    }

    /// With this on stdin, and then its end.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// When it hangs, or the host is not there.
    pub fn run(self) -> Output {
        let stdin = self.stdin.clone();
        let mut running = self.start();
        if let Some(mut pipe) = running.stdin.take() {
            // The command may end without reading all of it.
            std::thread::spawn(move || drop(pipe.write_all(&stdin)));
        }
        running.wait()
    }

    /// Starts it, and leaves its stdin open.
    ///
    /// # Panics
    /// When the host is not there.
    pub fn start(self) -> Running {
        let mut command = xtask();
        command.args(["host", "exec", "--user", self.session.user]);
        command.arg(if self.tty { "--tty" } else { "--no-tty" });
        if let Some(cwd) = &self.cwd {
            command.args(["--cwd", cwd]);
        }
        command.arg("--").args(&self.argv);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => panic!("cannot run {command:?}: {error}"),
        };
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        Running {
            what: format!("{}: {}", self.session.user, self.shown()),
            child,
            stdin,
            stdout: Collected::from(stdout),
            stderr: Collected::from(stderr),
        }
    }

    fn shown(&self) -> String {
        let words: Vec<_> = self.argv.iter().map(|arg| format!("{arg:?}")).collect();
        words.join(" ")
    }
}

/// The program of the developer commands.
pub(crate) fn xtask() -> Command {
    if let Some(program) = std::env::var_os("KAPSULE_XTASK") {
        return Command::new(program);
    }
    // Beside this program, which is in target/PROFILE/deps. Not `cargo xtask`, which would wait for cargo.
    let own = std::env::current_exe().unwrap_or_default();
    let profile = own.ancestors().nth(2).unwrap_or(&own);
    Command::new(profile.join("xtask"))
}

/// What a pipe has given so far, read by a thread of its own so that the command never waits for us.
#[derive(Debug)]
struct Collected {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Collected {
    fn from(pipe: Option<impl Read + Send + 'static>) -> Self {
        let bytes = Arc::<Mutex<Vec<u8>>>::default();
        let sink = Arc::clone(&bytes);
        let reader = pipe.map(|mut pipe| {
            std::thread::spawn(move || {
                let mut buffer = vec![0; 1 << 16];
                while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                    let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
                    sink.extend_from_slice(&buffer[..count]);
                }
            })
        });
        Self { bytes, reader }
    }

    fn so_far(&self) -> Vec<u8> {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.clone()
    }

    fn all(&mut self) -> Vec<u8> {
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
        self.so_far()
    }
}

/// A command that runs. Dropping it ends it.
#[derive(Debug)]
pub struct Running {
    what: String,
    child: Child,
    /// The open end of its stdin; dropping it is the end of the input.
    pub stdin: Option<ChildStdin>,
    stdout: Collected,
    stderr: Collected,
}

impl Running {
    /// Writes to its stdin.
    ///
    /// # Panics
    /// When the command does not take it.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let Some(pipe) = &mut self.stdin else {
            panic!("{}: stdin is closed", self.what);
        };
        let written = pipe.write_all(bytes.as_ref()).and_then(|()| pipe.flush());
        assert!(written.is_ok(), "{}: {written:?}", self.what);
    }

    /// Its standard output so far.
    pub fn stdout(&self) -> String {
        lossy(&self.stdout.so_far())
    }

    /// Its standard error so far.
    pub fn stderr(&self) -> String {
        lossy(&self.stderr.so_far())
    }

    /// Waits until its standard output holds a text.
    ///
    /// # Panics
    /// When that does not happen.
    pub fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + HANG;
        while !self.stdout().contains(text) {
            let ended = matches!(self.child.try_wait(), Ok(Some(_)));
            if ended || Instant::now() > deadline {
                // What it wrote last may still be on its way.
                std::thread::sleep(Duration::from_millis(200));
                assert!(
                    self.stdout().contains(text),
                    "{} {} without {text:?}\nstdout: {}\nstderr: {}",
                    self.what,
                    if ended { "ended" } else { "hung" },
                    self.stdout(),
                    self.stderr()
                );
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it hangs.
    pub fn wait(mut self) -> Output {
        let deadline = Instant::now() + HANG;
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if Instant::now() < deadline => std::thread::sleep(PAUSE),
                Ok(None) => {
                    let _ = self.child.kill();
                    panic!(
                        "{} hung\nstdout: {}\nstderr: {}",
                        self.what,
                        self.stdout(),
                        self.stderr()
                    );
                }
                Err(error) => panic!("{}: {error}", self.what),
            }
        };
        Output {
            what: std::mem::take(&mut self.what),
            // Of the client's own death, there is no status.
            status: status.code().unwrap_or(-1),
            stdout: self.stdout.all(),
            stderr: self.stderr.all(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The host ends the command when its client goes.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a command ended.
#[derive(Clone, Debug)]
pub struct Output {
    what: String,
    /// Exit status; 128 + number for a signal.
    pub status: i32,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Standard output, without the last line's end, of a command that must have succeeded.
    ///
    /// # Panics
    /// When it has not.
    #[track_caller]
    pub fn ok(&self) -> String {
        self.ended(0).trim_end_matches('\n').to_owned()
    }

    /// Standard output of a command that must have ended with this status.
    ///
    /// # Panics
    /// When it has not.
    #[track_caller]
    pub fn ended(&self, status: i32) -> String {
        assert_eq!(self.status, status, "{self}");
        lossy(&self.stdout)
    }

    /// Everything that a command said which must have failed: not with 0, and not with a panic.
    ///
    /// # Panics
    /// When it has not.
    #[track_caller]
    pub fn failed(&self) -> String {
        assert!(self.status != 0, "{self}");
        let all = self.all();
        assert!(
            self.status != 101 && !all.contains("panicked"),
            "a panic: {self}"
        );
        assert!(!all.trim().is_empty(), "it does not say why: {self}");
        all
    }

    /// Standard output as text.
    pub fn text(&self) -> String {
        lossy(&self.stdout)
    }

    /// Standard error as text.
    pub fn errors(&self) -> String {
        lossy(&self.stderr)
    }

    /// Both streams.
    pub fn all(&self) -> String {
        format!("{}{}", self.text(), self.errors())
    }

    /// Standard output, of a command that must have succeeded, as JSON.
    ///
    /// # Panics
    /// When it failed, or wrote something else.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        let text = self.ok();
        match serde_json::from_str(&text) {
            Ok(value) => value,
            Err(error) => panic!("no JSON ({error}): {self}"),
        }
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}\nstatus: {}\nstdout: {}\nstderr: {}",
            self.what,
            self.status,
            self.text(),
            self.errors()
        )
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
