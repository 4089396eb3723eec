// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The container's clock, language and trust are the host's: applied at every boot, and again
//! whenever the daemon writes them anew. So is what the options say about the desktop session, as far as
//! it takes the guest's root ([`desktop`]).
//!
//! Done by the guest's root in the guest's own files, in the places where the guest's own tools
//! put such settings, so that those tools show what is in force.
//!
//! | module | |
//! |---|---|
//! | `clock` | time zone |
//! | `language` | locale, made where the guest can make it |
//! | `proxies` | environment of services |
//! | `trust` | certificates of authorities |

mod clock;
mod language;
mod proxies;
mod trust;

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use kapsule_proto::host::{HOST_VERSION, HostSettings};
use kapsule_proto::paths;
use rustix::fs::inotify;

use crate::{desktop, files, media, spec};

/// Certificates are the most of it.
const MAX_SETTINGS: u64 = 4 * 1024 * 1024;
/// What comes within this time is one change.
const SETTLE: Duration = Duration::from_millis(200);

/// Follows for ever, as the guest's root.
pub(crate) fn follow() -> ExitCode {
    // Before the settings are read, so that no change is missed.
    let watch = match watch(Path::new(paths::RUN)) {
        Ok(watch) => watch,
        Err(error) => {
            eprintln!("kapsule-agent: cannot watch {}: {error}", paths::RUN);
            return ExitCode::FAILURE;
        }
    };
    let mut last = None;
    // Done at boot.
    let mut last_spec = spec::read().ok();
    if let Some(spec) = &last_spec
        && Path::new(paths::HOST).join("mnt").exists()
    {
        let owner = spec.owner.name.clone();
        std::thread::spawn(move || media::keep(&owner));
    }
    loop {
        match spec::read() {
            Ok(spec) if last_spec.as_ref() != Some(&spec) => {
                let mut problems = Vec::new();
                desktop::set_up(Path::new("/"), &spec, &mut problems);
                report(problems);
                last_spec = Some(spec);
            }
            Ok(_) => {}
            Err(error) => eprintln!("kapsule-agent: {}: {error}", paths::SPEC),
        }
        match read() {
            Ok(settings) if settings != last => {
                if let Some(settings) = &settings {
                    report(apply_slowly(Path::new("/"), settings));
                }
                last = settings;
            }
            Ok(_) => {}
            Err(error) => eprintln!("kapsule-agent: {}: {error}", paths::HOST_SETTINGS),
        }
        // What it was does not matter: they are read again.
        let mut buffer = [0; 4096];
        match rustix::io::read(&watch, &mut buffer) {
            Ok(_) => std::thread::sleep(SETTLE),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                eprintln!("kapsule-agent: cannot watch {}: {error}", paths::RUN);
                return ExitCode::FAILURE;
            }
        }
    }
}

fn watch(folder: &Path) -> io::Result<std::os::fd::OwnedFd> {
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC)?;
    let events = inotify::WatchFlags::MOVED_TO | inotify::WatchFlags::CLOSE_WRITE;
    inotify::add_watch(&watch, folder, events)?;
    Ok(watch)
}

/// The settings, if the container follows any.
pub(crate) fn read() -> io::Result<Option<HostSettings>> {
    let json = match files::read_limited(paths::HOST_SETTINGS.as_ref(), MAX_SETTINGS) {
        Ok(json) => json,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let settings: HostSettings = serde_json::from_slice(&json).map_err(io::Error::other)?;
    if settings.version > HOST_VERSION {
        let version = settings.version;
        return Err(io::Error::other(format!(
            "version {version} is newer than this agent"
        )));
    }
    Ok(Some(settings))
}

/// What takes no time, and what services should find when they start.
pub(crate) fn apply_quickly(root: &Path, settings: &HostSettings) -> Vec<String> {
    let mut problems = Vec::new();
    let mut step = |name: &str, result: io::Result<()>| {
        if let Err(error) = result {
            problems.push(format!("{name}: {error}"));
        }
    };
    if let Some(zone) = &settings.time_zone {
        step("time zone", clock::set(root, zone));
    }
    step("locale", language::set(root, &settings.locale));
    step("proxies", proxies::set(root, &settings.proxies));
    problems
}

/// All of it, with the guest's own tools where it takes them.
fn apply_slowly(root: &Path, settings: &HostSettings) -> Vec<String> {
    let mut problems = Vec::new();
    language::make(root, &settings.locale, &mut problems);
    problems.extend(apply_quickly(root, settings));
    if let Err(error) = trust::set(root, &settings.certificates) {
        problems.push(format!("certificates: {error}"));
    }
    problems
}

fn report(problems: Vec<String>) {
    for problem in problems {
        eprintln!("kapsule-agent: {problem}");
    }
}
