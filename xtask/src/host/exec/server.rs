// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The side in the booted host: one process a command, started by systemd with the connection as stdin.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::dirs;

use super::wire::{Reply, Request, receive, send};

/// What systemd tells a service about itself; the command is no service.
const SERVICE_ENV: &[&str] = &[
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "LISTEN_FDNAMES",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_PIDFDID",
    "MANAGERPID",
    "MANAGERPIDFDID",
    "MEMORY_PRESSURE_WATCH",
    "MEMORY_PRESSURE_WRITE",
    "NOTIFY_SOCKET",
    "SO_COOKIE",
    "REMOTE_ADDR",
    "REMOTE_PORT",
    "SYSTEMD_EXEC_PID",
];

/// Serves the one connection on stdin.
pub(crate) fn serve() -> Result<()> {
    let mut socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let Some((request, fds)) = receive::<Request>(&mut socket)? else {
        return Ok(());
    };
    let (mut child, terminal) = match start(request, fds) {
        Ok(started) => started,
        Err((status, why)) => return send(&mut socket, &Reply::Failed(status, why), &[]),
    };
    let master: Vec<_> = terminal.iter().map(OwnedFd::as_fd).collect();
    send(&mut socket, &Reply::Started, &master)?;
    drop(terminal);

    // When the client goes away, so does the command; what it left behind, systemd ends with this service.
    let group = Pid::from_child(&child);
    let mut hangup = socket.try_clone()?;
    std::thread::spawn(move || {
        while let Ok(Some(_)) = receive::<Request>(&mut hangup) {}
        let _ = kill_process_group(group, Signal::HUP);
        std::process::exit(0);
    });
    let status = child.wait()?;
    let reply = match (status.code(), status.signal()) {
        (Some(code), _) => Reply::Exited(code),
        (None, signal) => Reply::Signaled(signal.unwrap_or(0)),
    };
    send(&mut socket, &reply, &[])
}

/// Starts the command; the error holds an exit status as a shell would give it.
fn start(request: Request, fds: Vec<OwnedFd>) -> Result<(Child, Option<OwnedFd>), (i32, String)> {
    let mut argv = request.argv.into_iter().map(OsString::from_vec);
    let program = argv.next().ok_or((125, "no command given".to_owned()))?;
    let mut command;
    let mut terminal = None;
    if let Some((rows, columns)) = request.tty {
        let (master, slave) =
            open_terminal(rows, columns).map_err(|e| (125, format!("no terminal: {e:#}")))?;
        let stdio = || {
            slave
                .try_clone()
                .map(Stdio::from)
                .map_err(|e| (125, e.to_string()))
        };
        let own = dirs::own_program();
        // It is the child that must make the terminal its own, and between fork and exec nothing safe can.
        command = Command::new(own);
        command
            .args(["host", "exec-terminal", "--"])
            .arg(&program)
            .args(argv);
        command.stdin(stdio()?).stdout(stdio()?).stderr(stdio()?);
        terminal = Some(master);
    } else {
        let [stdin, stdout, stderr] = <[OwnedFd; 3]>::try_from(fds)
            .map_err(|_| (125, "the client sent no stdin, stdout, stderr".to_owned()))?;
        command = Command::new(&program);
        command
            .args(argv)
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr)
            .process_group(0);
    }
    for name in SERVICE_ENV {
        command.env_remove(name);
    }
    command.envs(request.env);
    if let Some(cwd) = request.cwd {
        command.current_dir(cwd);
    }
    match command.spawn() {
        Ok(child) => Ok((child, terminal)),
        Err(error) => Err(not_started(&program, &error)),
    }
}

fn not_started(program: &OsString, error: &io::Error) -> (i32, String) {
    let status = if error.kind() == io::ErrorKind::NotFound {
        127
    } else {
        126
    };
    (status, format!("{}: {error}", program.to_string_lossy()))
}

pub(crate) fn open_terminal(rows: u16, columns: u16) -> Result<(OwnedFd, OwnedFd)> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let name = ptsname(&master, Vec::new())?;
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::CLOEXEC;
    let slave = rustix::fs::open(name.as_c_str(), flags, rustix::fs::Mode::empty())
        .with_context(|| format!("cannot open {name:?}"))?;
    tcsetwinsize(
        &slave,
        Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        },
    )?;
    Ok((master, slave))
}

/// The second half of a start with a terminal: makes stdin the controlling terminal of a new session and
/// becomes the command.
pub(crate) fn become_command(argv: &[OsString]) -> Result<()> {
    let [program, args @ ..] = argv else {
        bail!("no command given")
    };
    rustix::process::setsid()?;
    rustix::process::ioctl_tiocsctty(io::stdin())?;
    let error = Command::new(program).args(args).exec();
    let (status, why) = not_started(program, &error);
    eprintln!("host exec: {why}");
    std::process::exit(status)
}
