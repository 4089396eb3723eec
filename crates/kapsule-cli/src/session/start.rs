// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The beginning of a session: what is asked for, and the agent's first answers.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::Instant;

use kapsule_proto::session::{
    Bytes, Channel, ChannelError, FromAgent, Notice, Open, StdioSet, Terminal, ToAgentSession,
};
use rustix::fs::{AtFlags, FileType, StatxFlags, statx};
use rustix::stdio::{stderr, stdin, stdout};
use rustix::termios::isatty;

use super::{SessionError, SessionRequest, host_terminal};
use crate::ui;

/// Most notices before the program runs; an honest agent has one of each kind.
const MAX_NOTICES: usize = 8;
/// Device number of a pseudo-terminal's master (`/dev/ptmx`, also that of a devpts instance).
pub(super) const PTMX: (u32, u32) = (5, 2);

/// A session that runs.
#[derive(Debug)]
pub(super) enum Started {
    /// It has a terminal, whose master this is.
    Terminal {
        /// The master.
        master: OwnedFd,
        /// Standard error, if it goes elsewhere than to the terminal.
        stderr: Option<OwnedFd>,
    },
    /// It has pipes.
    Pipes(Pipes),
}

/// This side's ends of the pipes to a session.
#[derive(Debug)]
pub(super) struct Pipes {
    pub(super) stdin: OwnedFd,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

/// Asks for the session and waits until it runs.
pub(super) fn start(
    channel: &mut Channel,
    request: &SessionRequest,
) -> Result<Started, SessionError> {
    let deadline = Instant::now() + request.patience;
    if isatty(stdin()) && isatty(stdout()) {
        let pipe = if isatty(stderr()) {
            None
        } else {
            Some(output_pipe()?)
        };
        let attached: Vec<_> = pipe.iter().map(|(_, theirs)| theirs.as_fd()).collect();
        let stdio = StdioSet {
            stderr: pipe.is_some(),
            ..StdioSet::default()
        };
        let open = open(request, Some(host_terminal::to_be_copied()), stdio);
        send(channel, &open, &attached, deadline, request)?;
        let master = await_start(channel, deadline, request)?;
        let master = master.ok_or_else(|| protocol(request, "it sent no terminal"))?;
        Ok(Started::Terminal {
            master: checked_master(master, request)?,
            stderr: pipe.map(|(ours, _)| ours),
        })
    } else {
        let (guest_in, stdin) = pipe()?;
        let (stdout, guest_out) = output_pipe()?;
        let (stderr, guest_err) = output_pipe()?;
        rustix::io::ioctl_fionbio(&stdin, true).map_err(io("prepare a pipe"))?;
        let stdio = StdioSet {
            stdin: true,
            stdout: true,
            stderr: true,
        };
        let open = open(request, None, stdio);
        let attached = [guest_in.as_fd(), guest_out.as_fd(), guest_err.as_fd()];
        send(channel, &open, &attached, deadline, request)?;
        drop((guest_in, guest_out, guest_err));
        if await_start(channel, deadline, request)?.is_some() {
            return Err(protocol(
                request,
                "it sent a terminal that was not asked for",
            ));
        }
        Ok(Started::Pipes(Pipes {
            stdin,
            stdout,
            stderr,
        }))
    }
}

fn open(request: &SessionRequest, terminal: Option<Terminal>, stdio: StdioSet) -> ToAgentSession {
    let bytes = |text: &OsStr| Bytes::from(text.as_bytes());
    ToAgentSession::Open(Open {
        argv: request.argv.iter().map(|arg| bytes(arg)).collect(),
        env: request
            .env
            .iter()
            .map(|(name, value)| (bytes(name), bytes(value)))
            .collect(),
        cwd: request.cwd.as_ref().map(|cwd| bytes(cwd.as_os_str())),
        terminal,
        stdio,
        shell: request.shell,
    })
}

fn send(
    channel: &mut Channel,
    open: &ToAgentSession,
    attached: &[BorrowedFd<'_>],
    deadline: Instant,
    request: &SessionRequest,
) -> Result<(), SessionError> {
    channel
        .send(open, attached, Some(deadline))
        .map_err(|error| channel_error(error, &request.container))
}

/// Takes the agent's answers until the program runs; returns the descriptor that came with it.
fn await_start(
    channel: &mut Channel,
    deadline: Instant,
    request: &SessionRequest,
) -> Result<Option<OwnedFd>, SessionError> {
    for _ in 0..=MAX_NOTICES {
        let received = channel
            .recv::<FromAgent>(Some(deadline))
            .map_err(|error| channel_error(error, &request.container))?;
        let Some((message, mut descriptors)) = received else {
            return Err(SessionError::Lost {
                container: request.container.clone(),
            });
        };
        let most = usize::from(message == FromAgent::Started);
        if descriptors.len() > most {
            return Err(protocol(request, "it sent descriptors that it must not"));
        }
        match message {
            FromAgent::Notice(notice) => tell(notice, request),
            FromAgent::Started => return Ok(descriptors.pop()),
            FromAgent::Failed { stage, errno } => {
                return Err(SessionError::Failed {
                    program: request.argv.first().map_or_else(
                        || "the shell".into(),
                        |program| program.to_string_lossy().into_owned(),
                    ),
                    stage,
                    errno,
                });
            }
            FromAgent::Exited(_) => return Err(protocol(request, "it ended before it started")),
        }
    }
    Err(protocol(request, "it sent notices without end"))
}

fn tell(notice: Notice, request: &SessionRequest) {
    let container = &request.container;
    match notice {
        Notice::WorkingDirectory => match &request.cwd {
            Some(cwd) => eprintln!(
                "kapsule: {} does not exist in container `{container}`, or is closed to you there; \
                 starting in the home directory",
                ui::escape(&cwd.to_string_lossy())
            ),
            None => eprintln!(
                "kapsule: your home directory does not exist in container `{container}`; \
                 starting in /"
            ),
        },
        Notice::Shell => eprintln!(
            "kapsule: your shell does not exist in container `{container}`; using /bin/sh"
        ),
    }
}

/// Accepts nothing but the master of a pseudo-terminal: any other device could do something else
/// than its name says when it is read, written or asked for its size.
fn checked_master(descriptor: OwnedFd, request: &SessionRequest) -> Result<OwnedFd, SessionError> {
    if !is_master(&descriptor) {
        // Not closed: a file of a file system that the container serves itself (FUSE) may make
        // whoever closes it wait for an answer that never comes.
        std::mem::forget(descriptor);
        return Err(protocol(request, "it sent something else than a terminal"));
    }
    rustix::io::ioctl_fionbio(&descriptor, true).map_err(io("prepare the container's terminal"))?;
    Ok(descriptor)
}

/// Asks the kernel only, and no file system behind the descriptor.
fn is_master(descriptor: &OwnedFd) -> bool {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    statx(descriptor, c"", flags, StatxFlags::TYPE).is_ok_and(|stat| {
        FileType::from_raw_mode(stat.stx_mode.into()) == FileType::CharacterDevice
            && (stat.stx_rdev_major, stat.stx_rdev_minor) == PTMX
    })
}

/// A pipe whose ends are separate open files: making one non-blocking leaves the other alone.
fn pipe() -> Result<(OwnedFd, OwnedFd), SessionError> {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(io("make a pipe"))
}

/// A pipe from the container: (this side's end, the container's end).
fn output_pipe() -> Result<(OwnedFd, OwnedFd), SessionError> {
    let (ours, theirs) = pipe()?;
    rustix::io::ioctl_fionbio(&ours, true).map_err(io("prepare a pipe"))?;
    Ok((ours, theirs))
}

fn protocol(request: &SessionRequest, what: &'static str) -> SessionError {
    SessionError::Protocol {
        container: request.container.clone(),
        what,
    }
}

/// Turns a failure of the connection into what it means for the user.
pub(super) fn channel_error(error: ChannelError, container: &str) -> SessionError {
    let container = container.to_owned();
    match error {
        ChannelError::TimedOut => SessionError::NoAnswer { container },
        ChannelError::Truncated => SessionError::Lost { container },
        ChannelError::Io(source)
            if matches!(
                source.kind(),
                std::io::ErrorKind::BrokenPipe | std::io::ErrorKind::ConnectionReset
            ) =>
        {
            SessionError::Lost { container }
        }
        source => SessionError::Channel { container, source },
    }
}

/// For `map_err`: a failed call of this process.
pub(super) fn io(what: &'static str) -> impl FnOnce(rustix::io::Errno) -> SessionError {
    move |errno| SessionError::Io {
        what,
        source: errno.into(),
    }
}

#[cfg(test)]
mod tests;
