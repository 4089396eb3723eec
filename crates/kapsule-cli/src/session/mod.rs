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
//! | `relay` | one direction of either |
//! | `host_terminal` | raw mode and the marks that terminals understand |
//! | `signals` | what is sent to this process meanwhile |
//! | `end` | how it ended, and passing that on |

mod end;
mod host_terminal;
mod relay;
mod signals;
mod start;
mod with_pipes;
mod with_terminal;

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use kapsule_proto::session::{Channel, ChannelError, FailedStage};

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
    /// Run `argv` through the login shell, after its profile.
    pub(crate) login: bool,
    /// The container's name, for messages and for the terminal's mark.
    pub(crate) container: String,
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

/// Holds a session over `socket`, which the daemon gave, until it ends.
///
/// # Errors
/// When it could not be started or was lost.
pub(crate) fn run(socket: OwnedFd, request: SessionRequest) -> Result<SessionEnd, SessionError> {
    let mut channel = Channel::new(socket);
    match start::start(&mut channel, &request)? {
        start::Started::Terminal { master, stderr } => {
            with_terminal::hold(channel, master, stderr, &request.container)
        }
        start::Started::Pipes(pipes) => with_pipes::hold(channel, pipes, &request.container),
    }
}
