// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The side on the machine: hands stdin, stdout and stderr over, or relays a terminal.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::termios::{
    OptionalActions, Termios, Winsize, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize,
};

use super::wire::{Reply, Request, receive, send};

/// Variables of the caller's terminal that make sense on the other side too.
const TERMINAL_ENV: &[&str] = &["TERM", "COLORTERM", "NO_COLOR"];

/// Runs a command through the socket of the booted host and returns its exit status (128 + number for a
/// signal, as shells have it). `tty`: with a terminal of its own.
pub(crate) fn exec(
    socket: &Path,
    argv: Vec<OsString>,
    cwd: Option<String>,
    tty: bool,
) -> Result<i32> {
    let mut socket = UnixStream::connect(socket).with_context(|| {
        format!(
            "the host does not answer at {}; see `cargo xtask host status`",
            socket.display()
        )
    })?;
    let env = if tty {
        TERMINAL_ENV
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
            .collect()
    } else {
        Vec::new()
    };
    let size = tty.then(window_size);
    let request = Request {
        argv: argv.into_iter().map(OsStringExt::into_vec).collect(),
        env,
        cwd,
        tty: size.map(|size| (size.ws_row, size.ws_col)),
    };
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    let fds = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()];
    send(&mut socket, &request, if tty { &[] } else { &fds })?;
    match reply(&mut socket)? {
        (Reply::Started, mut fds) if tty => {
            let master = fds.pop().context("the host sent no terminal")?;
            relay(&mut socket, &master)
        }
        (Reply::Started, _) => finished(reply(&mut socket)?.0),
        (other, _) => finished(other),
    }
}

fn reply(socket: &mut UnixStream) -> Result<(Reply, Vec<OwnedFd>)> {
    receive(socket)?
        .context("the host ended the connection in the middle of the command; did it go down?")
}

fn finished(reply: Reply) -> Result<i32> {
    match reply {
        Reply::Exited(code) => Ok(code),
        Reply::Signaled(signal) => Ok(128 + signal),
        Reply::Failed(status, why) => {
            eprintln!("host exec: {why}");
            Ok(status)
        }
        Reply::Started => bail!("the host said twice that it started the command"),
    }
}

fn window_size() -> Winsize {
    tcgetwinsize(io::stdout())
        .ok()
        .filter(|size| size.ws_row > 0 && size.ws_col > 0)
        .unwrap_or(Winsize {
            ws_row: 24,
            ws_col: 80,
            ws_xpixel: 0,
            ws_ypixel: 0,
        })
}

/// Puts our terminal into raw mode, and back when dropped.
struct RawMode(Option<Termios>);

impl RawMode {
    fn new() -> Result<Self> {
        if !io::stdin().is_terminal() {
            return Ok(Self(None));
        }
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Self(Some(before)))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(io::stdin(), OptionalActions::Drain, before);
        }
    }
}

/// Copies between our stdin and stdout and the command's terminal until the command ends.
fn relay(socket: &mut UnixStream, master: &OwnedFd) -> Result<i32> {
    let _raw = RawMode::new()?;
    let mut size = window_size();
    // A command that does not read must not keep us from showing what it writes.
    rustix::io::ioctl_fionbio(master, true)?;
    let mut pending: Vec<u8> = Vec::new();
    let mut stdin_open = true;
    let mut status = None;
    let mut buffer = [0; 16384];
    loop {
        let want_input = stdin_open && pending.is_empty() && status.is_none();
        let master_wants = if pending.is_empty() {
            PollFlags::IN
        } else {
            PollFlags::IN | PollFlags::OUT
        };
        let (stdin, connection) = (io::stdin(), socket.as_fd());
        let mut fds = [
            PollFd::new(master, master_wants),
            PollFd::from_borrowed_fd(
                connection,
                if status.is_none() {
                    PollFlags::IN
                } else {
                    PollFlags::empty()
                },
            ),
            PollFd::from_borrowed_fd(
                stdin.as_fd(),
                if want_input {
                    PollFlags::IN
                } else {
                    PollFlags::empty()
                },
            ),
        ];
        // Polling for the window's size spares a signal handler. After the end, only what is on its way
        // through the kernel's terminal buffers is waited for.
        let patience = Timespec {
            tv_sec: 0,
            tv_nsec: if status.is_none() {
                200_000_000
            } else {
                50_000_000
            },
        };
        match poll(&mut fds, Some(&patience)) {
            Ok(0) if status.is_some() => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [from_master, from_host, from_stdin] =
            [fds[0].revents(), fds[1].revents(), fds[2].revents()];

        if from_master.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
            match rustix::io::read(master, &mut buffer) {
                Ok(0) | Err(Errno::IO) if status.is_some() => break,
                // The command closed its terminal but runs on: its exit status is still to come.
                Ok(0) | Err(Errno::IO) => status = Some(finished(reply(socket)?.0)?),
                Ok(count) => write_all(io::stdout(), &buffer[..count])?,
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if status.is_none() && from_host.intersects(PollFlags::IN | PollFlags::HUP) {
            status = Some(finished(reply(socket)?.0)?);
        }
        if want_input && from_stdin.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
            match rustix::io::read(&stdin, &mut buffer) {
                // A pipe as stdin ends: the terminal's way to say so is Control-D.
                Ok(0) => {
                    stdin_open = false;
                    pending.push(4);
                }
                Ok(count) => pending.extend_from_slice(&buffer[..count]),
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(_) => stdin_open = false,
            }
        }
        if !pending.is_empty() {
            match rustix::io::write(master, &pending) {
                Ok(count) => drop(pending.drain(..count)),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(_) => pending.clear(),
            }
        }
        let now = window_size();
        if now != size {
            size = now;
            let _ = tcsetwinsize(master, size);
        }
    }
    status.context("the command ended without a status")
}

fn write_all(fd: impl std::os::fd::AsFd, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(&fd, bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => drop(poll(&mut [PollFd::new(&fd, PollFlags::OUT)], None)),
            Err(error) => return Err(error).context("cannot write to stdout"),
        }
    }
    Ok(())
}
