// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The client's side of a session: the user's terminal or pipes on one hand, the container's on
//! the other.
//!
//! The agent inside is not trusted: it gets pipes made here and never a descriptor that the user's
//! shell gave to this process; of it, one descriptor is accepted, and only if it is the master of
//! a terminal; what it sends is treated as a terminal's output is; and its first answer is waited
//! for only so long.
//!
//! | module | |
//! |---|---|
//! | `start` | decide what to ask for, ask, and wait for the answer |
//! | `with_terminal` | the relay when there is a terminal |
//! | `with_pipes` | the relay when there is none |
//! | `relay`, `stream` | one direction of either, and its two ends |
//! | `writer` | a thread for a terminal that much is written to |
//! | `host_terminal` | raw mode, size and keys |
//! | `mark` | which container it is, as terminals understand it |
//! | `signals` | what is sent to this process meanwhile |
//! | `watchdog` | the end, when a call that the container blocks keeps us from it |
//! | `end` | how it ended, and passing that on |

mod end;
mod host_terminal;
mod mark;
mod relay;
mod signals;
mod start;
mod stream;
mod watchdog;
mod with_pipes;
mod with_terminal;
mod writer;

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use kapsule_proto::session::{Channel, ChannelError, FailedStage, Shell};

pub(crate) use end::SessionEnd;

/// What to run.
#[derive(Clone, Debug)]
pub(crate) struct SessionRequest {
    /// Program and arguments; empty for the login shell.
    pub(crate) argv: Vec<OsString>,
    /// Variables to pass.
    pub(crate) env: Vec<(OsString, OsString)>,
    /// Working directory inside; the home when `None`.
    pub(crate) cwd: Option<PathBuf>,
    /// Which of its files the user's shell reads first.
    pub(crate) shell: Shell,
    /// The container's name, for messages and for the terminal's mark.
    pub(crate) container: String,
    /// How long the agent may take from the request to the running program.
    pub(crate) patience: Duration,
}

/// Why a session could not be held.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    /// Nothing came from the agent in time.
    #[error(
        "the agent in container `{container}` does not answer; \
         try `kapsule restart {container}`"
    )]
    NoAnswer {
        /// The container.
        container: String,
    },
    /// The agent went away before the session had ended.
    #[error(
        "the connection to container `{container}` was lost: \
         its agent or the container itself was stopped"
    )]
    Lost {
        /// The container.
        container: String,
    },
    /// The program let go of its terminal, and nothing was heard of it since.
    #[error(
        "the terminal in container `{container}` was closed, and its agent does not say how the \
         program ended"
    )]
    Blind {
        /// The container.
        container: String,
    },
    /// The agent could not start the program.
    #[error("{}", end::explain_failure(program, *stage, *errno))]
    Failed {
        /// What was to be run.
        program: String,
        /// At which step it failed.
        stage: FailedStage,
        /// Linux error number, 0 if there is none.
        errno: i32,
    },
    /// The agent sent what it must not.
    #[error("the agent in container `{container}` broke the protocol: {what}")]
    Protocol {
        /// The container.
        container: String,
        /// What it did.
        what: &'static str,
    },
    /// The connection failed.
    #[error("the connection to container `{container}` failed: {source}")]
    Channel {
        /// The container.
        container: String,
        /// How.
        source: ChannelError,
    },
    /// Something on this side failed.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl SessionError {
    /// The exit status that shells and `env` use for it: 127 for a program that does not exist,
    /// 126 for one that cannot be run, 125 for everything that is not the program's doing.
    #[must_use]
    pub(crate) fn exit_code(&self) -> u8 {
        end::failure_code(self)
    }
}

/// A session whose program runs.
#[derive(Debug)]
pub(crate) struct RunningSession {
    channel: Channel,
    streams: start::Started,
    label: Label,
}

/// Starts a session over `socket`, which the daemon gave.
///
/// # Errors
/// When it could not be started.
pub(crate) fn begin(
    socket: OwnedFd,
    request: SessionRequest,
) -> Result<RunningSession, SessionError> {
    let mut channel = Channel::new(socket);
    let streams = start::start(&mut channel, &request)?;
    Ok(RunningSession {
        channel,
        streams,
        label: Label {
            program: request.argv.into_iter().next(),
            container: request.container,
        },
    })
}

impl RunningSession {
    /// Relays until the session has ended.
    ///
    /// # Errors
    /// When it was lost.
    pub(crate) fn hold(self) -> Result<SessionEnd, SessionError> {
        match self.streams {
            start::Started::Terminal { master, stderr } => {
                with_terminal::hold(self.channel, master, stderr, &self.label)
            }
            start::Started::Pipes(pipes) => with_pipes::hold(self.channel, pipes, &self.label),
        }
    }
}

/// What the user's terminal shows.
#[derive(Debug)]
struct Label {
    container: String,
    /// `None` for a shell.
    program: Option<OsString>,
}
