// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Removable media, and what is mounted below the host's `/mnt`, at the paths that they have on the host.
//!
//! The host's files are at `/.kapsule/host`, with what is mounted there later. What is made here are links
//! to there, by the guest's root: `/run/media/USER` and `/media/USER`, below which desktops mount, and one
//! for each folder in the host's `/mnt`. What the guest has at such a path stays, and what was made here
//! is removed when the host has it no more.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use kapsule_proto::paths;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;

/// More folders than anybody mounts in one place.
const MAX_LINKS: usize = 256;
/// When to look again though nothing has changed: the guest's init may mount `/run` only now.
const EARLY: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
];

/// Keeps the links, for ever, or for as long as there can be a change.
pub(crate) fn keep(owner: &str) {
    let (root, host) = (Path::new("/"), Path::new(paths::HOST));
    let watch = watch(&host.join("mnt"));
    let mut early = EARLY.iter();
    loop {
        for problem in refresh(root, host, owner) {
            eprintln!("kapsule-agent: {problem}");
        }
        let pause = early.next();
        match (&watch, pause) {
            (Err(_), None) => return,
            (Err(_), Some(pause)) => std::thread::sleep(*pause),
            (Ok(watch), pause) => wait(watch, pause.copied()),
        }
    }
}

fn watch(folder: &Path) -> io::Result<OwnedFd> {
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    let events = inotify::WatchFlags::CREATE
        | inotify::WatchFlags::DELETE
        | inotify::WatchFlags::MOVE
        | inotify::WatchFlags::ONLYDIR;
    inotify::add_watch(&watch, folder, events)?;
    Ok(watch)
}

fn wait(watch: &OwnedFd, limit: Option<Duration>) {
    let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
    let mut polled = [PollFd::new(watch, PollFlags::IN)];
    // Whatever wakes it up: all is looked at again.
    let _ = poll(&mut polled, limit.as_ref());
    let mut buffer = [0; 4096];
    while rustix::io::read(watch, &mut buffer).is_ok_and(|read| read > 0) {}
}

/// Makes the links be those that are to be, and tells what could not be done.
fn refresh(root: &Path, host: &Path, owner: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let mut step = |path: &Path, result: io::Result<()>| {
        if let Err(error) = result {
            problems.push(format!("{}: {error}", path.display()));
        }
    };
    // A name that is no path was checked when the account was made.
    let run = root.join("run/media");
    if host.join("run").is_dir() && !is_same(&root.join("run"), &host.join("run")) {
        step(&run, fs::create_dir_all(&run));
        step(&run, link(&run, &host.join("run/media"), owner.into()));
    }
    let media = root.join("media");
    if media.is_dir() && host.join("media").is_dir() {
        step(&media, link(&media, &host.join("media"), owner.into()));
    }
    let mnt = root.join("mnt");
    if mnt.is_dir() {
        step(&mnt, mirror(&mnt, &host.join("mnt")));
    }
    problems
}

/// One link for each folder in the host's.
fn mirror(inside: &Path, host: &Path) -> io::Result<()> {
    if is_same(inside, host) {
        return Ok(());
    }
    let folders = folders(host);
    for entry in fs::read_dir(inside)?.flatten() {
        let name = entry.file_name();
        if !folders.contains(&name)
            && fs::read_link(entry.path()).is_ok_and(|to| to == host.join(&name))
        {
            fs::remove_file(entry.path())?;
        }
    }
    for name in folders.into_iter().take(MAX_LINKS) {
        link(inside, host, name)?;
    }
    Ok(())
}

/// The folders in a folder of the host, by what stands there alone. They are not asked themselves: one that
/// is mounted when somebody asks (autofs) would be mounted, and one that does not answer waited for.
fn folders(host: &Path) -> BTreeSet<OsString> {
    let entries = fs::read_dir(host).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.file_name())
        .collect()
}

/// A link of this name, unless there is something.
fn link(inside: &Path, host: &Path, name: OsString) -> io::Result<()> {
    let path: PathBuf = inside.join(&name);
    if path.symlink_metadata().is_ok() || is_same(inside, host) {
        return Ok(());
    }
    match symlink(host.join(name), path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// Whether the host's folder is what the container has there already.
fn is_same(inside: &Path, host: &Path) -> bool {
    let which = |path: &Path| fs::metadata(path).map(|it| (it.dev(), it.ino())).ok();
    which(inside).is_some_and(|inside| which(host) == Some(inside))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_come_and_go_and_what_is_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (root, host) = (folder.path().join("guest"), folder.path().join("host"));
        for path in [
            "guest/mnt/own",
            "guest/media",
            "host/mnt/disk",
            "host/mnt/own",
        ] {
            fs::create_dir_all(folder.path().join(path)).unwrap();
        }
        for path in ["host/run", "host/media"] {
            fs::create_dir_all(folder.path().join(path)).unwrap();
        }
        fs::write(host.join("mnt/file"), "").unwrap();
        let none: [String; 0] = [];
        assert_eq!(refresh(&root, &host, "alice"), none);
        let to = |path: &str| fs::read_link(root.join(path)).ok();
        assert_eq!(to("run/media/alice"), Some(host.join("run/media/alice")));
        assert_eq!(to("media/alice"), Some(host.join("media/alice")));
        assert_eq!(to("mnt/disk"), Some(host.join("mnt/disk")));
        assert!(root.join("mnt/own").is_dir() && to("mnt/own").is_none());
        assert!(!root.join("mnt/file").exists());

        fs::remove_dir(host.join("mnt/disk")).unwrap();
        symlink("/nowhere", root.join("mnt/theirs")).unwrap();
        assert_eq!(refresh(&root, &host, "alice"), none);
        assert_eq!(to("mnt/disk"), None);
        assert_eq!(to("mnt/theirs"), Some("/nowhere".into()));
    }

    #[test]
    fn nothing_is_made_in_a_folder_that_is_the_hosts() {
        let folder = tempfile::tempdir().unwrap();
        let host = folder.path();
        fs::create_dir_all(host.join("mnt/disk")).unwrap();
        fs::create_dir_all(host.join("media")).unwrap();
        fs::create_dir_all(host.join("run")).unwrap();
        // As if each of them was shared at its own path.
        let none: [String; 0] = [];
        assert_eq!(refresh(host, host, "alice"), none);
        assert!(host.join("media/alice").symlink_metadata().is_err());
        assert!(host.join("run/media").symlink_metadata().is_err());
    }
}
