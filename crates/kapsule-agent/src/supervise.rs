// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Keeps the agent proper running in guests without systemd.
//!
//! Started by pid 1 before it becomes the guest's init, which then is the parent and collects this
//! process should it die. Runs as the guest's root and does nothing but start the agent as the
//! owner, again and again.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use kapsule_proto::paths;
use kapsule_proto::spec::Owner;
use rustix::fs::Gid;
use rustix::process::Uid;

use crate::account_file::{fields, lines, number};
use crate::serve::Options;
use crate::{boot, cgroup, files};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// An agent that has run this long did not die of how it was started.
const SOUND: Duration = Duration::from_secs(10);
/// As long as the guest's init may still be mounting things over `/run`.
const EARLY: Duration = Duration::from_secs(30);
const MAX_GROUP_FILE: u64 = 64 * 1024 * 1024;

/// Supervises for ever.
pub(crate) fn supervise() -> ExitCode {
    // Fails where this process leads a group already, which is as good.
    let _ = rustix::process::setsid();
    let _ = rustix::process::chdir("/");
    let owner = match boot::read_spec() {
        Ok(spec) => spec.owner,
        Err(error) => {
            eprintln!("{}: {error}", paths::SPEC);
            return ExitCode::FAILURE;
        }
    };
    let started = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        let begin = Instant::now();
        match start(&owner).and_then(|child| wait(child, &owner, started)) {
            Ok(status) => eprintln!("the agent ended: {status}"),
            Err(error) => eprintln!("the agent cannot be started: {error}"),
        }
        if begin.elapsed() > SOUND {
            pause = FIRST_PAUSE;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn start(owner: &Owner) -> io::Result<Child> {
    if let Err(error) = make_runtime_dir(owner) {
        eprintln!("/run/user: {error}");
    }
    let agent = std::env::current_exe().unwrap_or_else(|_| paths::AGENT.into());
    Command::new(agent)
        .args(["serve", "--context", "plain", "--as-owner"])
        .env_clear()
        .stdin(Stdio::null())
        .spawn()
}

fn wait(mut child: Child, owner: &Owner, started: Instant) -> io::Result<std::process::ExitStatus> {
    while started.elapsed() < EARLY {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        std::thread::sleep(Duration::from_millis(500));
        // Another try at what has failed once would only repeat the complaint.
        let _ = make_runtime_dir(owner);
    }
    child.wait()
}

fn make_runtime_dir(owner: &Owner) -> io::Result<()> {
    let path = format!("/run/user/{}", owner.uid);
    if Path::new(&path).symlink_metadata().is_ok() {
        return Ok(());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create("/run/user")?;
    DirBuilder::new().mode(0o700).create(&path)?;
    chown(&path, Some(owner.uid), Some(owner.gid))
}

/// Starts the agent once more, in the background and for the user that this one runs as. This is
/// how the daemon brings one back that has gone, and how it starts root's.
pub(crate) fn detach(options: &Options) -> ExitCode {
    let agent = std::env::current_exe().unwrap_or_else(|_| paths::AGENT.into());
    let started = Command::new(agent)
        .args(["serve", "--context", "plain", "--socket"])
        .arg(&options.socket)
        .env_clear()
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    match started {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kapsule-agent: cannot start in the background: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Turns this process from root into the owner, with the owner's groups and, where the guest has
/// cgroup v2, a control group to divide among sessions.
pub(crate) fn become_owner() -> io::Result<()> {
    let owner = boot::read_spec()?.owner;
    // Sessions do without if there is none.
    let _ = cgroup::enter_own(&owner);
    let groups = groups_of(&owner);
    rustix::thread::set_thread_groups(&groups)?;
    let gid = Gid::from_raw(owner.gid);
    let uid = Uid::from_raw(owner.uid);
    // There is one thread, so that the thread's ids are the process's.
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    if owner.uid != 0 && rustix::process::geteuid().is_root() {
        return Err(io::Error::other("still root"));
    }
    Ok(())
}

fn groups_of(owner: &Owner) -> Vec<Gid> {
    let file = files::read_limited("/etc/group".as_ref(), MAX_GROUP_FILE).unwrap_or_default();
    let mut groups = parse_groups(&file, owner.name.as_bytes());
    groups.push(owner.gid);
    groups.sort_unstable();
    groups.dedup();
    groups.into_iter().map(Gid::from_raw).collect()
}

fn parse_groups(file: &[u8], name: &[u8]) -> Vec<u32> {
    lines(file)
        .filter_map(|line| match fields(line)[..] {
            [_, _, gid, members] => {
                let mut members = members.split(|byte| *byte == b',');
                members.any(|member| member == name).then(|| number(gid))?
            }
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_those_that_name_the_user() {
        let file = b"root:x:0:\nsudo:x:27:bob,alice\nvideo:x:44:alice\nx:x:y:alice\nz:alice\n\
            w:x:5:alice2\n";
        assert_eq!(parse_groups(file, b"alice"), [27, 44]);
    }
}
