// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Opens the session in a container in which the agent tells about ports.

use std::io;
use std::time::Duration;

use kapsule_core::isolation::Isolation;
use kapsule_proto::paths;
use kapsule_proto::session::{
    Bytes, ChannelError, FromAgent, Open, Shell, StdioSet, ToAgentSession,
};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use zbus::{Connection, OwnedFd};

use crate::waiting::WaitingChannel;

/// How long the session may take to begin.
const PATIENCE: Duration = Duration::from_secs(20);
/// Most notices before that; an honest agent has one of each kind.
const MAX_NOTICES: usize = 8;

/// A session that runs.
#[derive(Debug)]
pub(crate) struct Session {
    /// Ends when the session does, and ends it when it is dropped.
    pub(crate) session: WaitingChannel,
    /// The other end of the program's standard input.
    pub(crate) inside: WaitingChannel,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The daemon said no.
    #[error("{0}")]
    Daemon(#[from] zbus::Error),
    /// The container turned out to be one that offers nothing.
    #[error("a {0} container offers no ports")]
    Kept(String),
    /// The agent inside said something else than expected, or nothing.
    #[error("the agent inside {0}")]
    Agent(&'static str),
    /// The connection to it failed.
    #[error("the session failed: {0}")]
    Channel(#[from] ChannelError),
    /// The system refused.
    #[error("cannot make a connection: {0}")]
    Io(#[from] io::Error),
}

impl Failure {
    /// Whether it will not be better until the container starts again.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Daemon(zbus::Error::MethodError(name, ..)) => {
                matches!(
                    name.as_str().rsplit('.').next(),
                    Some(
                        "NotFound"
                            | "NotRunning"
                            | "AccessDenied"
                            | "NotAuthorized"
                            | "InteractiveAuthorizationRequired"
                    )
                )
            }
            Self::Kept(_) => true,
            _ => false,
        }
    }
}

/// Opens one, as `kapsule enter` would. Nobody is asked for a password: this is nothing that a user
/// has just asked for.
pub(crate) async fn open(bus: &Connection, container: &str) -> Result<Session, Failure> {
    let reply = bus
        .call_method(
            Some(kapsule_dbus::BUS_NAME),
            kapsule_dbus::ROOT_PATH,
            Some("org.kde.kapsule.Containers1"),
            "OpenSession",
            &(container, false),
        )
        .await?;
    let (_, socket, level): (String, OwnedFd, String) = reply.body().deserialize()?;
    if level != Isolation::Standard.as_str() {
        return Err(Failure::Kept(level));
    }
    let mut session = WaitingChannel::new(socket.into())?;
    let (ours, theirs) = socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(io::Error::from)?;
    let word = |text: &str| Bytes::from(text.as_bytes());
    let open = ToAgentSession::Open(Open {
        argv: vec![word(paths::AGENT), word("ports")],
        env: Vec::new(),
        cwd: Some(word("/")),
        terminal: None,
        stdio: StdioSet {
            stdin: true,
            ..StdioSet::default()
        },
        shell: Shell::Without,
    });
    session.send_with(&open, &theirs)?;
    drop(theirs);
    match tokio::time::timeout(PATIENCE, begun(&mut session)).await {
        Ok(begun) => begun?,
        Err(_) => return Err(Failure::Agent("does not answer")),
    }
    Ok(Session {
        session,
        inside: WaitingChannel::new(ours)?,
    })
}

async fn begun(session: &mut WaitingChannel) -> Result<(), Failure> {
    for _ in 0..=MAX_NOTICES {
        let Some((message, descriptors)) = session.receive::<FromAgent>().await? else {
            return Err(Failure::Agent("has gone"));
        };
        // Not asked for, and whoever closes one may have to wait: see `inside`.
        if !descriptors.is_empty() {
            std::mem::forget(descriptors);
            return Err(Failure::Agent("sent what it was not asked for"));
        }
        match message {
            FromAgent::Notice(_) => {}
            FromAgent::Started => return Ok(()),
            FromAgent::Failed { .. } => return Err(Failure::Agent("cannot run its own program")),
            FromAgent::Exited(_) => return Err(Failure::Agent("cannot tell about ports")),
        }
    }
    Err(Failure::Agent("has nothing but notices"))
}
