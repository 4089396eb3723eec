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

use crate::serve::Options;
use crate::spec;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// An agent that has run this long did not die of how it was started.
const SOUND: Duration = Duration::from_secs(10);
/// As long as the guest's init may still be mounting things over `/run`.
const EARLY: Duration = Duration::from_secs(30);

/// Supervises for ever.
pub(crate) fn supervise() -> ExitCode {
    // Fails where this process leads a group already, which is as good.
    let _ = rustix::process::setsid();
    let _ = rustix::process::chdir("/");
    let owner = match spec::read() {
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
