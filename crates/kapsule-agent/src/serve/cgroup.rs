// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! A control group per session, below the one that the agent was given.
//!
//! It counts what a session uses and knows its processes however often they fork. Where there is
//! none to be had (no cgroup v2, no delegation) sessions run without.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use rustix::process::Pid;

const ROOT: &str = "/sys/fs/cgroup";
/// `CGROUP2_SUPER_MAGIC` of linux/magic.h.
const CGROUP2: i64 = 0x6367_7270;
/// More processes than this are not listed; the kernel's own limit is of this order.
const MAX_PROCS: u64 = 64 * 1024 * 1024;

/// Makes the groups.
#[derive(Debug)]
pub(crate) struct Cgroups {
    /// The agent's own group; `None` where no groups can be made.
    own: Option<PathBuf>,
    /// Groups of ended sessions in which something goes on (a detached process).
    left: Vec<PathBuf>,
}

impl Cgroups {
    /// Finds the agent's own group.
    pub(crate) fn find() -> Self {
        Self {
            own: own_group()
                .filter(|own| rustix::fs::access(own, rustix::fs::Access::WRITE_OK).is_ok()),
            left: Vec::new(),
        }
    }

    /// Makes a group for session number `id`.
    pub(crate) fn make(&self, id: u64) -> Option<Cgroup> {
        let path = self.own.as_ref()?.join(format!("session-{id}"));
        match std::fs::create_dir(&path) {
            Ok(()) => {}
            // Left by an agent that was killed; nothing of it concerns us but the name.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(_) => return None,
        }
        let directory = File::open(&path).ok()?;
        Some(Cgroup { path, directory })
    }

    /// Removes the group of an ended session, now or when what goes on in it has ended too.
    pub(crate) fn release(&mut self, group: Cgroup) {
        self.left.push(group.path);
        self.left.retain(|path| {
            let removed = std::fs::remove_dir(path);
            matches!(removed, Err(error) if error.kind() == io::ErrorKind::ResourceBusy)
        });
    }
}

/// The control group of a session.
#[derive(Debug)]
pub(crate) struct Cgroup {
    path: PathBuf,
    directory: File,
}

impl Cgroup {
    /// The processes in it.
    pub(crate) fn processes(&self) -> Vec<Pid> {
        let list = crate::files::read_limited(&self.path.join("cgroup.procs"), MAX_PROCS);
        let list = list.unwrap_or_default();
        crate::account_file::lines(&list)
            .filter_map(|line| std::str::from_utf8(line).ok()?.parse().ok())
            .filter_map(Pid::from_raw)
            .collect()
    }

    /// Kills all of them at once, whatever they fork meanwhile. Refused where somebody inside made
    /// groups below (a container engine), because those would go too.
    pub(crate) fn kill(&self) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.path)? {
            if entry?.file_type()?.is_dir() {
                return Err(io::Error::from(io::ErrorKind::ResourceBusy));
            }
        }
        std::fs::write(self.path.join("cgroup.kill"), "1")
    }
}

impl AsFd for Cgroup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

fn own_group() -> Option<PathBuf> {
    // Not the hybrid layout, in which the second version controls nothing.
    let kind = rustix::fs::statfs(ROOT).ok()?.f_type;
    if kind != CGROUP2 {
        return None;
    }
    let own = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let path = Path::new(own);
    let inside = path
        .components()
        .all(|part| matches!(part, std::path::Component::Normal(_)));
    inside.then(|| Path::new(ROOT).join(path))
}
