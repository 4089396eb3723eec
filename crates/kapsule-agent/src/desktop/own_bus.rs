// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The session bus of a container that has no user manager to run one (option `session_mode`): the guest's
//! own `dbus-daemon`, at the place where a user manager has its bus.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kapsule_proto::spec::Owner;

use super::helper::Helper;
use crate::files::is_own_socket;
use crate::serve::{Poller, Token, base_environment};

/// Where distributions have it.
const PROGRAMS: [&str; 3] = [
    "/usr/bin/dbus-daemon",
    "/bin/dbus-daemon",
    "/usr/local/bin/dbus-daemon",
];
/// One that ends sooner may have a fault.
const TOO_SOON: Duration = Duration::from_secs(2);
/// How long one with a fault is left alone.
const PAUSE: Duration = Duration::from_secs(60);

/// Where a user manager has its bus, in the runtime directory.
pub(super) fn socket(runtime: &Path) -> PathBuf {
    runtime.join("bus")
}

/// The bus, where the agent has to see to it.
#[derive(Debug, Default)]
pub(crate) struct OwnBus {
    running: Option<Helper>,
    /// Its end is what is wanted.
    asked_to_end: bool,
    pauses_until: Option<Instant>,
}

impl OwnBus {
    /// Has a bus run, or not. Nothing where the guest has no `dbus-daemon`, or already a bus.
    pub(super) fn want(
        &mut self,
        on: bool,
        owner: &Owner,
        runtime: &Path,
        poller: &Poller,
    ) -> io::Result<()> {
        let socket = socket(runtime);
        if let Some(running) = &self.running {
            // The guest's init may have mounted something over the socket since.
            if !on || !is_own_socket(&socket) {
                self.asked_to_end = true;
                running.terminate();
            }
            return Ok(());
        }
        if !on || self.pauses_until.is_some() {
            return Ok(());
        }
        let Some(program) = PROGRAMS.iter().find(|it| Path::new(it).exists()) else {
            return Ok(());
        };
        if UnixStream::connect(&socket).is_ok() {
            return Ok(());
        }
        if is_own_socket(&socket) {
            // Of one that was killed.
            std::fs::remove_file(&socket)?;
        }
        // What the services have that it starts.
        let environment = base_environment(owner.uid)
            .into_iter()
            .map(|(name, value)| (OsString::from_vec(name), OsString::from_vec(value)));
        let mut command = Command::new(program);
        command
            .env_clear()
            .envs(environment)
            .env("HOME", &owner.home)
            .env("USER", &owner.name)
            .env("LOGNAME", &owner.name)
            .args(["--session", "--nofork", "--nopidfile"])
            .arg(format!("--address=unix:path={}", socket.display()))
            .env("XDG_RUNTIME_DIR", runtime)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        self.running = Some(Helper::start(&mut command, Token::OwnBus, poller)?);
        Ok(())
    }

    /// It may have ended.
    pub(crate) fn on_end(&mut self, poller: &Poller) {
        let Some(running) = &mut self.running else {
            return;
        };
        let Some(status) = running.ended(poller) else {
            return;
        };
        let now = Instant::now();
        let asked = std::mem::take(&mut self.asked_to_end);
        if !asked {
            eprintln!("kapsule-agent: the session bus has ended: {status}");
        }
        let early = !asked && running.since + TOO_SOON > now;
        self.pauses_until = Some(match (early, status.code()) {
            (false, _) => now,
            // Somebody has killed it.
            (true, None | Some(0)) => now + TOO_SOON,
            (true, Some(_)) => now + PAUSE,
        });
        self.running = None;
    }

    /// When it is to be started again.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.pauses_until
    }

    /// Whether a pause has ended; it does once.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        self.pauses_until.take_if(|until| *until <= now).is_some()
    }
}
