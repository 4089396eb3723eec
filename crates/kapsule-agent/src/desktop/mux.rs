// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The container's session bus and the host's as one (option `dbus_mux`): a socket that is there at
//! once, and behind it the multiplexer, which is started when the first program connects and ends when
//! the last one has gone.
//!
//! It runs in the container and not on the host, because only there both buses can be reached at all
//! times: the host's through the mount of `/run/user`, which follows logins.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kapsule_proto::paths;

use super::helper::Helper;
use super::own_bus;
use crate::files::is_own_socket;
use crate::serve::{Poller, Token};

/// The multiplexer, from the read-only mount of the host's installation.
const PROGRAM: &str = "/.kapsule/bin/kapsule-dbus-mux";
/// One that ends sooner has a fault: it is not started again at once.
const TOO_SOON: Duration = Duration::from_secs(2);

/// Where programs connect, in the runtime directory. `bus` is the container's own bus.
pub(super) fn socket(runtime: &Path) -> PathBuf {
    runtime.join("kapsule-bus")
}

/// The multiplexers of a container: one, and those of before that some program still uses.
#[derive(Debug, Default)]
pub(crate) struct Mux {
    front: Option<Front>,
    running: Vec<Helper>,
}

/// What programs connect to.
#[derive(Debug)]
struct Front {
    socket: PathBuf,
    listener: UnixListener,
    host_runtime: PathBuf,
    state: State,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// The first program starts a multiplexer.
    Waits,
    /// A multiplexer with this process id takes them.
    Taken(u32),
    /// It failed, and may be tried again from then on.
    Pauses(Instant),
}

impl Mux {
    /// Makes the socket in the runtime directory, or takes it away. Programs that are connected stay so.
    pub(super) fn want(
        &mut self,
        on: bool,
        runtime: &Path,
        host_runtime: &Path,
        poller: &Poller,
    ) -> io::Result<()> {
        let wanted = socket(runtime);
        let there = match &self.front {
            Some(front) => on && is_own_socket(&front.socket),
            None => !on,
        };
        if there {
            return Ok(());
        }
        if let Some(front) = self.front.take() {
            poller.remove(&front.listener);
            // Gone already where the runtime directory was made anew.
            let _ = std::fs::remove_file(front.socket);
        }
        if !on {
            return Ok(());
        }
        if is_own_socket(&wanted) {
            // Of an agent that was here before.
            std::fs::remove_file(&wanted)?;
        }
        let listener = UnixListener::bind(&wanted)?;
        std::fs::set_permissions(&wanted, std::fs::Permissions::from_mode(0o600))?;
        poller.add(&listener, Token::Bus)?;
        self.front = Some(Front {
            socket: wanted,
            listener,
            host_runtime: host_runtime.to_owned(),
            state: State::Waits,
        });
        Ok(())
    }

    /// A program has connected, and nobody takes it.
    pub(crate) fn on_client(&mut self, poller: &Poller) {
        let Some(front) = &mut self.front else { return };
        if front.state != State::Waits {
            return;
        }
        // It is the multiplexer's from here on.
        poller.remove(&front.listener);
        match front.start(poller) {
            Ok(running) => {
                front.state = State::Taken(running.id());
                self.running.push(running);
            }
            Err(error) => {
                eprintln!("kapsule-agent: cannot start {PROGRAM}: {error}");
                front.state = State::Pauses(Instant::now() + TOO_SOON);
            }
        }
    }

    /// A multiplexer may have ended.
    pub(crate) fn on_end(&mut self, poller: &Poller) {
        let front = &mut self.front;
        self.running.retain_mut(|running| {
            let Some(status) = running.ended(poller) else {
                return true;
            };
            if !status.success() {
                eprintln!("kapsule-agent: {PROGRAM} has ended: {status}");
            }
            if let Some(front) = front
                && front.state == State::Taken(running.id())
            {
                front.state = State::Pauses(match status.success() {
                    true => Instant::now(),
                    false => running.since + TOO_SOON,
                });
            }
            false
        });
        self.on_time(Instant::now(), poller);
    }

    /// When [`Self::on_time`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.front.as_ref()?.state {
            State::Pauses(until) => Some(until),
            State::Waits | State::Taken(_) => None,
        }
    }

    /// Waits for programs again after a pause.
    pub(crate) fn on_time(&mut self, now: Instant, poller: &Poller) {
        if let Some(front) = &mut self.front
            && matches!(front.state, State::Pauses(until) if until <= now)
            && poller.add(&front.listener, Token::Bus).is_ok()
        {
            front.state = State::Waits;
        }
    }
}

impl Front {
    fn start(&self, poller: &Poller) -> io::Result<Helper> {
        let address = |socket: PathBuf| format!("unix:path={}", socket.display());
        let own = self.socket.parent().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(PROGRAM);
        command
            .args(["--listen", "-", "--log-level", "warn"])
            .args(["--container-bus", &address(own_bus::socket(own))])
            .args([
                "--host-bus",
                &address(paths::session_bus(&self.host_runtime)),
            ])
            .stdin(OwnedFd::from(self.listener.try_clone()?))
            .stdout(Stdio::null());
        Helper::start(&mut command, Token::Mux, poller)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_comes_and_goes_with_the_option() {
        let runtime = tempfile::tempdir().unwrap();
        let poller = Poller::new().unwrap();
        let mut mux = Mux::default();
        let mut want = |on| mux.want(on, runtime.path(), Path::new("/nowhere"), &poller);
        want(false).unwrap();
        assert!(!is_own_socket(&socket(runtime.path())));
        for _ in 0..2 {
            want(true).unwrap();
            assert!(is_own_socket(&socket(runtime.path())));
        }
        // The folder was made anew meanwhile.
        std::fs::remove_file(socket(runtime.path())).unwrap();
        want(true).unwrap();
        assert!(is_own_socket(&socket(runtime.path())));
        want(false).unwrap();
        assert!(!is_own_socket(&socket(runtime.path())));
        // What somebody else has put there stays.
        std::fs::write(socket(runtime.path()), "mine").unwrap();
        assert!(want(true).is_err());
        assert_eq!(std::fs::read(socket(runtime.path())).unwrap(), b"mine");
    }

    #[test]
    fn one_that_cannot_be_started_is_not_tried_without_end() {
        let runtime = tempfile::tempdir().unwrap();
        let poller = Poller::new().unwrap();
        let mut mux = Mux::default();
        mux.want(true, runtime.path(), Path::new("/nowhere"), &poller)
            .unwrap();
        // There is no such program outside of a container.
        mux.on_client(&poller);
        let until = mux.deadline().unwrap();
        assert!(until > Instant::now());
        mux.on_time(until, &poller);
        assert_eq!(mux.deadline(), None);
    }
}
