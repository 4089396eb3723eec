// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `kapsule-open`: what `xdg-open` is in a container. It has the host open links, and files that the host
//! sees too; what is the container's alone it leaves to the container's own `xdg-open`.
//!
//! | module | |
//! |---|---|
//! | `target` | what is to be opened |
//! | `place` | which container this is, and where the host has a file |
//! | `portal` | asking the desktop portal |
//! | `manager` | asking the user's service manager, which runs the host's `xdg-open` |
//!
//! The portal is asked first for links: it knows what the user likes them to be opened with, and asks them
//! where it does not. But there are desktops without one; and where `kapsule-bus` is not there on the host, it
//! says no to programs in standard containers. For files, the host's `xdg-open` is first: the portal would
//! ask what to open them with, whatever the user has set as the program for them.

mod manager;
mod place;
mod portal;
mod target;

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use place::Place;
use target::Target;

const HELP: &str = "\
usage: xdg-open { FILE | URL }

Opens a link, or a file that the host sees too, with the programs of the host. What only this container
has is opened by the container's own xdg-open, where it has one. This is Kapsule's (kapsule-open), and there
while the container is given the host's session bus: kapsule set NAME --no-session-bus takes it away.

Exit status: 0 the host opens it, 1 wrong use, 2 no such file, 4 it could not be opened.";

// What xdg-open's manual promises.
const WRONG_USE: u8 = 1;
const NO_SUCH_FILE: u8 = 2;
const FAILED: u8 = 4;

/// How long a service may take to answer. A portal that has no desktop to show anything on takes minutes
/// to find that out.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a container's own may be. Ours is a link in front of them.
const OWN: &[&str] = &["/usr/bin/xdg-open", "/bin/xdg-open"];

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(argument), None) = (arguments.next(), arguments.next()) else {
        eprintln!("{HELP}");
        return ExitCode::from(WRONG_USE);
    };
    match argument.to_str() {
        Some("-h" | "--help" | "--manual") => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Some("--version") => {
            println!("kapsule-open {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let target = match Target::of(&argument) {
        Ok(target) => target,
        Err(error) => {
            eprintln!("xdg-open: {error}");
            return ExitCode::from(NO_SUCH_FILE);
        }
    };
    let why = match open(&target) {
        Ok(()) => return ExitCode::SUCCESS,
        Err(why) => why,
    };
    if let Some(own) = OWN.iter().find(|path| is_another(Path::new(path))) {
        let error = Command::new(own).arg(&argument).exec();
        eprintln!("xdg-open: cannot run {own}: {error}");
    }
    eprintln!(
        "xdg-open: cannot open {} on the host: {why}",
        argument.display()
    );
    ExitCode::from(FAILED)
}

/// Why the host does not open it.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error(
        "this container is not given the session bus ('kapsule set NAME --session-bus' on the host)"
    )]
    NotGiven,
    #[error("{} is this container's alone; copy it to where the host has it, such as a shared home", .0.display())]
    OnlyHere(PathBuf),
    #[error("the host's session bus cannot be reached: {0}. Is anybody logged in there?")]
    NoBus(Box<zbus::Error>),
    #[error("its desktop portal says: {portal}; and its service manager: {manager}")]
    Refused {
        portal: Box<portal::PortalError>,
        manager: Box<zbus::Error>,
    },
    #[error("this program cannot be set up: {0}")]
    Setup(#[from] std::io::Error),
}

fn open(target: &Target) -> Result<(), OpenError> {
    let place = Place::find().filter(|place| place.has_bus());
    let place = place.ok_or(OpenError::NotGiven)?;
    let on_host = match target {
        Target::Link(link) => OsString::from(link),
        Target::File(path) => {
            let host = place.on_host(path);
            let host = host.ok_or_else(|| OpenError::OnlyHere(path.clone()))?;
            host.into_os_string()
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let bus = zbus::connection::Builder::address(place.address().as_str())
            .method_timeout(PATIENCE)
            .build()
            .await
            .map_err(|error| OpenError::NoBus(Box::new(error)))?;
        let refused = |portal, manager| OpenError::Refused {
            portal: Box::new(portal),
            manager: Box::new(manager),
        };
        match target {
            Target::Link(_) => match portal::open(&bus, target).await {
                Ok(()) => Ok(()),
                Err(portal) => manager::open(&bus, &on_host)
                    .await
                    .map_err(|manager| refused(portal, manager)),
            },
            Target::File(_) => match manager::open(&bus, &on_host).await {
                Ok(()) => Ok(()),
                Err(manager) => portal::open(&bus, target)
                    .await
                    .map_err(|portal| refused(portal, manager)),
            },
        }
    })
}

/// Whether there is such a program, and it is not this one.
fn is_another(path: &Path) -> bool {
    let this = std::env::current_exe().and_then(std::fs::canonicalize).ok();
    std::fs::canonicalize(path).is_ok_and(|found| Some(found) != this)
}
