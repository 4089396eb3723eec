// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The program under test.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};

const LONG: Duration = Duration::from_secs(20);

/// `kapsule` with these arguments, on this bus, in an empty home.
pub(crate) fn kapsule(bus: &str, home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kapsule"));
    command.args(arguments);
    surround(&mut command, bus, home);
    command
}

fn surround(command: &mut Command, bus: &str, home: &Path) {
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("TERM", "xterm-256color")
        .env("SHELL", "/bin/sh")
        .env("DBUS_SYSTEM_BUS_ADDRESS", bus)
        .current_dir(home);
}

/// A user's terminal with `kapsule` in it.
pub(crate) struct Terminal {
    pub(crate) process: Child,
    /// What the user types and sees.
    pub(crate) screen: File,
    /// The side that `kapsule` has.
    pub(crate) line: OwnedFd,
    seen: Vec<u8>,
}

impl Terminal {
    /// Runs `kapsule`; `prepare` may change the terminal and the command first.
    pub(crate) fn run(
        bus: &str,
        home: &Path,
        arguments: &[&str],
        prepare: impl FnOnce(&OwnedFd, &mut Command),
    ) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let screen = openpt(flags).unwrap();
        unlockpt(&screen).unwrap();
        let line = ioctl_tiocgptpeer(&screen, flags).unwrap();
        let size = Winsize {
            ws_row: 30,
            ws_col: 100,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&screen, size).unwrap();
        // `setsid` makes the terminal the controlling one, and becomes `kapsule`.
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(env!("CARGO_BIN_EXE_kapsule"));
        command.args(arguments);
        surround(&mut command, bus, home);
        let side = || Stdio::from(line.try_clone().unwrap());
        command.stdin(side()).stdout(side()).stderr(side());
        prepare(&line, &mut command);
        Self {
            process: command.spawn().unwrap(),
            screen: File::from(screen),
            line,
            seen: Vec::new(),
        }
    }

    pub(crate) fn type_in(&mut self, keys: &str) {
        self.screen.write_all(keys.as_bytes()).unwrap();
    }

    /// All that was shown, as soon as `text` is in it.
    pub(crate) fn see(&mut self, text: &str) -> String {
        let deadline = Instant::now() + LONG;
        loop {
            let shown = String::from_utf8_lossy(&self.seen).into_owned();
            if shown.contains(text) {
                return shown;
            }
            assert!(Instant::now() < deadline, "{text:?} is not in {shown:?}");
            self.take(100);
        }
    }

    /// All that was shown so far.
    pub(crate) fn shown(&mut self) -> String {
        while self.take(50) {}
        String::from_utf8_lossy(&self.seen).into_owned()
    }

    fn take(&mut self, milliseconds: i64) -> bool {
        let mut polled = [PollFd::new(&self.screen, PollFlags::IN)];
        let timeout = Timespec {
            tv_sec: 0,
            tv_nsec: milliseconds * 1_000_000,
        };
        if poll(&mut polled, Some(&timeout)) != Ok(1) {
            return false;
        }
        let mut chunk = [0; 4096];
        let read = self.screen.read(&mut chunk).unwrap_or(0);
        self.seen.extend_from_slice(&chunk[..read]);
        read > 0
    }

    pub(crate) fn modes(&self) -> Termios {
        tcgetattr(&self.line).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        send(&self.process, signal);
    }

    /// Waits for the end.
    pub(crate) fn end(&mut self) -> ExitStatus {
        end(&mut self.process)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn send(process: &Child, signal: Signal) {
    let pid = Pid::from_raw(process.id().try_into().unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Waits for the end of a process, though not for ever.
pub(crate) fn end(process: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + LONG;
    loop {
        if let Some(status) = process.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > deadline {
            let _ = process.kill();
            panic!("it does not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn died_of(status: ExitStatus, signal: Signal) -> bool {
    status.signal() == Some(signal.as_raw())
}

/// Makes both sides of an open file non-blocking or blocking, for everybody who has it.
pub(crate) fn set_nonblocking(descriptor: impl AsFd, on: bool) {
    rustix::io::ioctl_fionbio(descriptor, on).unwrap();
}
