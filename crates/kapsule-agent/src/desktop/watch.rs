// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Notices that the host's sockets have come or gone, that the user has logged in or out there, and that
//! the options have changed; and has the links made anew a moment later.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kapsule_proto::paths;
use kapsule_proto::registration::Context;
use kapsule_proto::spec::GuestSpec;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

use super::links::{self, Places};
use super::mux::{self, Mux};
use super::own_bus::{self, OwnBus};
use super::table::folders;
use crate::serve::Poller;
use crate::spec;

/// The first change is followed at once, as a service on the bus may have told a program of a path that
/// it is to open now. What comes within this time after that is one change: a session starts a dozen
/// sockets at once, and podman makes mounts by the hundred.
const SETTLE: Duration = Duration::from_millis(150);
/// As long as the guest's init may still be mounting things over `/run` and `/tmp`.
const FIRST: Duration = Duration::from_millis(500);

const CHANGES: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::ONLYDIR);

/// What is watched.
#[derive(Debug)]
pub(crate) struct Watch {
    changes: OwnedFd,
    /// The kernel's table of mounts, which says that it has changed.
    mounts: OwnedFd,
    uid: u32,
    /// The bus of two, where the container has one.
    pub(crate) mux: Mux,
    /// The container's own bus, where no user manager runs one.
    pub(crate) own_bus: OwnBus,
    context: Context,
    due: Option<Instant>,
    /// When the links were made last.
    made: Option<Instant>,
    /// What was complained about last, to say it once.
    problems: Vec<String>,
}

impl Watch {
    /// Watches for the user that this process runs as.
    pub(crate) fn new(uid: u32, context: Context) -> io::Result<Self> {
        let mounts = std::fs::File::open("/proc/self/mountinfo")?;
        Ok(Self {
            changes: inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?,
            mounts: mounts.into(),
            uid,
            mux: Mux::default(),
            own_bus: OwnBus::default(),
            context,
            due: Some(Instant::now()),
            made: None,
            problems: Vec::new(),
        })
    }

    /// Readable when something has changed in a folder.
    pub(crate) fn changes(&self) -> BorrowedFd<'_> {
        self.changes.as_fd()
    }

    /// Urgent when mounts have changed.
    pub(crate) fn mounts(&self) -> BorrowedFd<'_> {
        self.mounts.as_fd()
    }

    /// When [`Self::on_time`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let buses = self
            .mux
            .deadline()
            .into_iter()
            .chain(self.own_bus.deadline());
        self.due.into_iter().chain(buses).min()
    }

    /// A folder has changed.
    pub(crate) fn on_change(&mut self) {
        // Which one does not matter.
        let mut buffer = [0; 4096];
        while rustix::io::read(&self.changes, &mut buffer).is_ok_and(|read| read > 0) {}
        self.soon();
    }

    /// The table of mounts has changed.
    pub(crate) fn on_mounts(&mut self) {
        self.soon();
    }

    fn soon(&mut self) {
        let (now, made) = (Instant::now(), self.made);
        self.due.get_or_insert_with(|| next(now, made));
    }

    /// Makes the links anew, if it is time.
    pub(crate) fn on_time(&mut self, now: Instant, poller: &Poller) {
        self.mux.on_time(now, poller);
        if self.own_bus.is_due(now) {
            self.due = Some(now);
        }
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        self.due = None;
        self.made = Some(now);
        let Some((spec, places)) = self.places() else {
            return;
        };
        // First the watches, so that what changes while the links are made is seen.
        self.watch(&places);
        let mut problems = Vec::new();
        if is_owned(&places.runtime, self.uid) {
            links::refresh(&places, spec.session, &mut problems);
            let (own, hosts) = (&places.runtime, &places.host_runtime);
            let own_bus = spec.session_mode && self.context == Context::Plain;
            if let Err(error) = self.own_bus.want(own_bus, &spec.owner, own, poller) {
                problems.push(format!(
                    "cannot start a bus at {}: {error}",
                    own_bus::socket(own).display()
                ));
            }
            if let Err(error) = self.mux.want(spec.dbus_mux, own, hosts, poller) {
                problems.push(format!(
                    "cannot make {}: {error}",
                    mux::socket(own).display()
                ));
            }
        } else {
            // It is about to be made, or mounted over.
            self.due = Some(now + FIRST);
        }
        if problems != self.problems {
            for problem in &problems {
                eprintln!("kapsule-agent: {problem}");
            }
            self.problems = problems;
        }
    }

    /// What is given, and where it is; nothing where this is not the owner or nothing is shared.
    fn places(&self) -> Option<(GuestSpec, Places)> {
        let spec = spec::read().ok()?;
        let host_runtime = PathBuf::from(spec.host_runtime_dir.as_ref()?);
        let places = Places {
            runtime: format!("/run/user/{}", self.uid).into(),
            host_runtime,
            x11: "/tmp/.X11-unix".into(),
            host_x11: Path::new(paths::HOST).join("tmp/.X11-unix"),
        };
        (spec.owner.uid == self.uid).then_some((spec, places))
    }

    /// A folder that is watched already stays so, one that is new at its path is watched too.
    fn watch(&self, places: &Places) {
        let add = |folder: &Path, events: WatchFlags| {
            // One that is not there comes into one that is watched.
            let _ = inotify::add_watch(&self.changes, folder, events);
        };
        add(Path::new(paths::RUN), WatchFlags::MOVED_TO);
        if let Some(above) = places.host_runtime.parent() {
            add(above, CHANGES);
        }
        for folder in folders() {
            add(&places.host_runtime.join(folder), CHANGES);
        }
        add(&places.host_x11, CHANGES);
        // Whoever tidies up there takes old links away.
        add(&places.x11, WatchFlags::DELETE.union(WatchFlags::ONLYDIR));
    }
}

fn is_owned(folder: &Path, uid: u32) -> bool {
    folder
        .symlink_metadata()
        .is_ok_and(|it| it.is_dir() && it.uid() == uid)
}

/// When a change is followed.
fn next(now: Instant, made: Option<Instant>) -> Instant {
    made.map_or(now, |made| now.max(made + SETTLE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_change_is_followed_at_once_and_many_are_one() {
        let start = Instant::now();
        assert_eq!(next(start, None), start);
        let soon = start + Duration::from_millis(1);
        assert_eq!(next(soon, Some(start)), start + SETTLE);
        let late = start + 2 * SETTLE;
        assert_eq!(next(late, Some(start)), late);
    }
}
