// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The messages of a session.

use serde::{Deserialize, Serialize};

/// A byte string: arguments and environment of Unix are not text.
pub type Bytes = serde_bytes::ByteBuf;

/// What a client sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToAgentSession {
    /// Starts the session; the first frame and only once. The descriptors named by
    /// [`Open::stdio`] are attached, in ascending order.
    Open(Open),
    /// Delivers a signal to the session's foreground process group (terminal) or to the process
    /// group of the started process (no terminal). Linux signal number.
    Signal(u8),
}

/// What to start and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// Program and arguments; empty for the user's login shell.
    pub argv: Vec<Bytes>,
    /// Variables to set on top of those that the agent sets (`HOME`, `USER`, `LOGNAME`, `SHELL`,
    /// `PATH`, `XDG_RUNTIME_DIR`, …). A later entry wins.
    pub env: Vec<(Bytes, Bytes)>,
    /// Working directory; the home with a [`Notice::WorkingDirectory`] where it is missing.
    pub cwd: Option<Bytes>,
    /// Makes a terminal inside the container. Its master comes back with
    /// [`FromAgent::Started`].
    pub terminal: Option<Terminal>,
    /// Which of the process's standard streams are the attached descriptors. Others are the
    /// terminal, or `/dev/null` when there is none.
    pub stdio: StdioSet,
    /// What the user's shell has to do with it.
    pub shell: Shell,
}

/// Which of its files the user's shell reads before the program runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shell {
    /// Those of a login.
    Login,
    /// Without a program, those of any interactive shell; with one, those that it reads when
    /// `ssh` runs a command.
    #[default]
    Plain,
    /// None: the program is executed without a shell. Without a program, as [`Shell::Plain`].
    Without,
}

/// A terminal to be made like the client's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terminal {
    /// Rows, in characters.
    pub rows: u16,
    /// Columns, in characters.
    pub columns: u16,
    /// Width, in pixels; 0 when unknown.
    pub width_px: u16,
    /// Height, in pixels; 0 when unknown.
    pub height_px: u16,
    /// Which keys mean what; the system's defaults when unknown.
    pub keys: Option<Keys>,
}

/// How a terminal reads its keys (termios(3)). A special character that is 0 is switched off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// Characters are UTF-8 (`IUTF8`), so that erasing one erases all its bytes.
    pub utf8: bool,
    /// `VINTR`
    pub interrupt: u8,
    /// `VQUIT`
    pub quit: u8,
    /// `VERASE`
    pub erase: u8,
    /// `VKILL`
    pub kill_line: u8,
    /// `VEOF`
    pub end_of_file: u8,
    /// `VEOL`
    pub end_of_line: u8,
    /// `VEOL2`
    pub end_of_line_2: u8,
    /// `VSTART`
    pub start: u8,
    /// `VSTOP`
    pub stop: u8,
    /// `VSUSP`
    pub suspend: u8,
    /// `VREPRINT`
    pub reprint: u8,
    /// `VWERASE`
    pub erase_word: u8,
    /// `VLNEXT`
    pub literal_next: u8,
}

/// A subset of standard input, output and error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StdioSet {
    /// Standard input is attached.
    pub stdin: bool,
    /// Standard output is attached.
    pub stdout: bool,
    /// Standard error is attached.
    pub stderr: bool,
}

impl StdioSet {
    /// How many descriptors the set stands for.
    #[must_use]
    pub fn count(self) -> usize {
        usize::from(self.stdin) + usize::from(self.stdout) + usize::from(self.stderr)
    }
}

/// What the agent sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromAgent {
    /// Something the user should know; the session goes on.
    Notice(Notice),
    /// The process runs. With a terminal, its master is attached.
    Started,
    /// The process could not be started; nothing more follows.
    Failed {
        /// What was being done.
        stage: FailedStage,
        /// Linux error number, 0 if there is none.
        errno: i32,
    },
    /// The process ended; nothing more follows.
    Exited(Exit),
}

/// Things that went otherwise than asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notice {
    /// The working directory does not exist inside; the home was taken instead.
    WorkingDirectory,
    /// The login shell does not exist inside; `/bin/sh` was taken instead.
    Shell,
}

/// At which step a session failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailedStage {
    /// The request was malformed (wrong descriptors, a NUL in an argument).
    Request,
    /// No terminal could be made.
    Terminal,
    /// No process could be made.
    Spawn,
    /// The program could not be executed; the error number tells why (`ENOENT`: not found).
    Exec,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// By itself, with this status.
    Code(u8),
    /// By this signal (Linux number).
    Signal(u8),
}
