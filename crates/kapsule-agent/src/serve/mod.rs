// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The agent proper: runs as the container's owner, connects out to the daemon, and holds the
//! sessions that come from there.
//!
//! One thread, one loop. A session's bytes do not pass through here: the client has the terminal
//! or the pipes themselves.
//!
//! | module | |
//! |---|---|
//! | `registration` | the connection to the daemon |
//! | `session`, `shared` | the life of one session, and what they have in common |
//! | `process` | its first process |
//! | `command`, `environment`, `startup_files`, `terminal` | what that gets |
//! | `cgroup`, `process_tree` | knowing a session's processes, and ending them |
//! | `poller` | what is waited for |

mod cgroup;
mod command;
mod environment;
mod poller;
mod process;
mod process_tree;
mod registration;
mod session;
mod shared;
mod startup_files;
mod terminal;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::time::Instant;

use kapsule_proto::registration::Context;
use rustix::process::{Resource, Rlimit, getrlimit, getuid, setrlimit};

use self::cgroup::Cgroups;
use self::registration::{News, Registration};
use self::session::Session;
use self::shared::Shared;
use crate::desktop;

pub(crate) use self::environment::{Environment, base as base_environment};
pub(crate) use self::poller::{Poller, Token};

/// Most sessions at once.
const MAX_SESSIONS: usize = 1024;
/// Descriptors that these need: connection, process and report, and some for the agent itself.
const OPEN_FILES: u64 = 4 * MAX_SESSIONS as u64 + 64;

/// How to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// The daemon's socket.
    pub(crate) socket: PathBuf,
    /// What the sessions inherit, for the daemon to know.
    pub(crate) context: Context,
    /// Become the container's owner first; the agent was started as root.
    pub(crate) as_owner: bool,
    /// Go on in the background, and let whoever started this go on too.
    pub(crate) detach: bool,
    /// The daemon's version for which the agent has restarted itself already.
    pub(crate) restarted_for: Option<u16>,
}

/// Serves until the system fails; never returns otherwise.
pub(crate) fn serve(options: &Options) -> io::Error {
    if options.as_owner
        && let Err(error) = crate::identity::become_owner()
    {
        return error;
    }
    match Server::new(options) {
        Ok(server) => server.run(),
        Err(error) => error,
    }
}

struct Server<'a> {
    options: &'a Options,
    shared: Shared,
    registration: Registration,
    /// Nothing where it cannot be watched: then the links are those of the beginning.
    desktop: Option<desktop::Watch>,
    sessions: BTreeMap<u64, Session>,
    last_id: u64,
    /// The daemon's version, once it turned out to be another than ours.
    restart_for: Option<u16>,
}

impl<'a> Server<'a> {
    fn new(options: &'a Options) -> io::Result<Self> {
        crate::spawn::reset_signals();
        let open_files = raise_open_files();
        let poller = Poller::new()?;
        let uid = getuid().as_raw();
        let desktop = watch_desktop(uid, options.context, &poller);
        Ok(Self {
            options,
            desktop,
            registration: Registration::new(options.socket.clone(), options.context, &poller),
            shared: Shared {
                poller,
                cgroups: Cgroups::find(),
                environment: environment::base(uid),
                uid,
                open_files,
            },
            sessions: BTreeMap::new(),
            last_id: 0,
            restart_for: None,
        })
    }

    fn run(mut self) -> io::Error {
        loop {
            let now = Instant::now();
            self.registration.on_time(now, &self.shared.poller);
            if let Some(desktop) = &mut self.desktop {
                desktop.on_time(now, &self.shared.poller);
            }
            for session in self.sessions.values_mut() {
                session.on_time(now, &self.shared);
            }
            self.remove_ended();
            self.restart_if_due();
            let deadlines = self.sessions.values().filter_map(Session::deadline);
            let desktop = self.desktop.as_ref().and_then(desktop::Watch::deadline);
            let deadline = deadlines
                .chain(self.registration.deadline())
                .chain(desktop)
                .min();
            match self.shared.poller.wait(deadline) {
                Ok(tokens) => tokens.into_iter().for_each(|token| self.wake(token)),
                Err(error) => return error,
            }
        }
    }

    fn wake(&mut self, token: Token) {
        match token {
            Token::Directory => self.registration.on_directory(&self.shared.poller),
            Token::Daemon => {
                for news in self.registration.on_daemon(&self.shared.poller) {
                    match news {
                        News::Session(client) => self.add(client),
                        News::OtherVersion(version) => self.restart_for = Some(version),
                    }
                }
            }
            Token::Sockets => self.with_desktop(|it, _| it.on_change()),
            Token::Mounts => self.with_desktop(|it, _| it.on_mounts()),
            Token::Bus => self.with_desktop(|it, poller| it.mux.on_client(poller)),
            Token::OwnBus => self.with_desktop(|it, poller| it.own_bus.on_end(poller)),
            Token::Mux => self.with_desktop(|it, poller| it.mux.on_end(poller)),
            Token::Client(id) => self.with(id, Session::on_client),
            Token::Process(id) => self.with(id, Session::on_process),
            Token::Report(id) => self.with(id, Session::on_report),
        }
    }

    fn with_desktop(&mut self, act: impl FnOnce(&mut desktop::Watch, &Poller)) {
        if let Some(desktop) = &mut self.desktop {
            act(desktop, &self.shared.poller);
        }
    }

    fn with(&mut self, id: u64, act: impl FnOnce(&mut Session, &Shared)) {
        if let Some(session) = self.sessions.get_mut(&id) {
            act(session, &self.shared);
        }
    }

    fn add(&mut self, client: OwnedFd) {
        if self.sessions.len() >= MAX_SESSIONS {
            Session::refuse(client);
            return;
        }
        self.last_id += 1;
        let id = self.last_id;
        match Session::new(id, client, &self.shared) {
            Ok(mut session) => {
                // Usually the request is there already.
                session.on_client(&self.shared);
                self.sessions.insert(id, session);
            }
            Err(error) => eprintln!("kapsule-agent: cannot take a session: {error}"),
        }
    }

    fn remove_ended(&mut self) {
        let ended: Vec<u64> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.is_over())
            .map(|(id, _)| *id)
            .collect();
        for id in ended {
            if let Some(session) = self.sessions.remove(&id) {
                session.release(&mut self.shared);
            }
        }
    }

    /// After an update of the host the daemon may speak a newer version; the binary is delivered
    /// together with it, so becoming that one is all there is to do. Only once for each version: if
    /// it did not help, sessions are tried as they are.
    fn restart_if_due(&mut self) {
        let Some(version) = self.restart_for else {
            return;
        };
        if self.options.restarted_for == Some(version) {
            eprintln!(
                "kapsule-agent: the daemon speaks version {version}, and this agent still does not"
            );
            self.restart_for = None;
        } else if self.sessions.is_empty() {
            self.restart_for = None;
            let mut arguments = std::env::args_os();
            let program = arguments.next().unwrap_or_default();
            let error = std::process::Command::new(program)
                .args(self.options.to_arguments(version))
                .exec();
            eprintln!("kapsule-agent: cannot restart for version {version}: {error}");
        }
    }
}

impl Options {
    /// The arguments that lead to the same options, after a restart for `version`.
    fn to_arguments(&self, version: u16) -> Vec<std::ffi::OsString> {
        let context = match self.context {
            Context::UserManager => "user-manager",
            Context::Plain => "plain",
        };
        vec![
            "serve".into(),
            "--context".into(),
            context.into(),
            "--socket".into(),
            self.socket.clone().into(),
            "--restarted-for".into(),
            version.to_string().into(),
        ]
    }
}

fn watch_desktop(uid: u32, context: Context, poller: &Poller) -> Option<desktop::Watch> {
    let watched = desktop::Watch::new(uid, context).and_then(|watch| {
        poller.add(watch.changes(), Token::Sockets)?;
        poller.add_urgent(watch.mounts(), Token::Mounts)?;
        Ok(watch)
    });
    watched
        .map_err(|error| eprintln!("kapsule-agent: cannot watch the host's session: {error}"))
        .ok()
}

/// Makes room for as many sessions as are allowed. Returns the limit as it was.
fn raise_open_files() -> Rlimit {
    let before = getrlimit(Resource::Nofile);
    let wanted = before
        .maximum
        .map_or(OPEN_FILES, |maximum| maximum.min(OPEN_FILES));
    if before.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit {
            current: Some(wanted),
            maximum: before.maximum,
        };
        // With fewer, fewer sessions fit.
        let _ = setrlimit(Resource::Nofile, raised);
    }
    before
}
