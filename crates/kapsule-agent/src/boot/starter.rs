// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Who starts the agent proper, and the units for it where systemd does.
//!
//! | guest | started by |
//! |---|---|
//! | systemd with logind, D-Bus and `pam_systemd` | the owner's lingering user manager: PAM, limits, runtime directory |
//! | systemd without one of these | a system service that runs as the owner |
//! | anything else | [`supervise`](crate::supervise), beside the guest's init |
//!
//! Nothing is written over what packages own: units of the administrator (`/etc/systemd`) only,
//! and never over one that is not ours.

use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use kapsule_proto::paths;
use kapsule_proto::spec::Owner;

use crate::files;
use crate::files::{inside, is_ours, remove_ours};
use crate::init::has_systemd;

const MARK: &str = "# Written by Kapsule at every boot of this container; changes are lost.\n";
const USER_UNIT: &str = "/etc/systemd/user/kapsule-agent.service";
const USER_LINK: &str = "/etc/systemd/user/default.target.wants/kapsule-agent.service";
const SYSTEM_UNIT: &str = "/etc/systemd/system/kapsule-agent.service";
const SYSTEM_LINK: &str = "/etc/systemd/system/multi-user.target.wants/kapsule-agent.service";
const FOLLOWER_UNIT: &str = "/etc/systemd/system/kapsule-follow.service";
const FOLLOWER_LINK: &str = "/etc/systemd/system/multi-user.target.wants/kapsule-follow.service";
const LINGER: &str = "/var/lib/systemd/linger";
const WAIT_ONLINE: &str = "/etc/systemd/system/systemd-networkd-wait-online.service";
/// Remembers what is done once in a container's life, and may be undone by its user for good.
const DONE_ONCE: &str = "/var/lib/kapsule/wait-online-masked";

/// Who starts the agent proper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Starter {
    UserManager,
    SystemService,
    Supervisor,
}

/// Looks at what the guest has.
pub(crate) fn choose(root: &Path, uid: u32) -> Starter {
    if !has_systemd(root) {
        Starter::Supervisor
    } else if uid != 0 && has_user_managers(root) {
        Starter::UserManager
    } else {
        Starter::SystemService
    }
}

fn has_user_managers(root: &Path) -> bool {
    let any = |paths: &[&str]| paths.iter().any(|path| inside(root, path).exists());
    let masked = [
        "systemd-logind.service",
        "user@.service",
        "dbus.service",
        "dbus.socket",
    ]
    .iter()
    .any(|unit| {
        let path = inside(root, "/etc/systemd/system").join(unit);
        std::fs::read_link(path).is_ok_and(|target| target == Path::new("/dev/null"))
    });
    !masked
        && any(&[
            "/usr/lib/systemd/systemd-logind",
            "/lib/systemd/systemd-logind",
        ])
        && any(&[
            "/usr/lib/systemd/system/user@.service",
            "/lib/systemd/system/user@.service",
        ])
        && any(&["/usr/bin/dbus-daemon", "/usr/bin/dbus-broker-launch"])
        && any(&[
            "/usr/lib/systemd/system/dbus.socket",
            "/lib/systemd/system/dbus.socket",
        ])
        && has_pam_systemd(root)
}

/// PAM modules stand in `security`, in one of many library directories.
fn has_pam_systemd(root: &Path) -> bool {
    let holds = |library: PathBuf| library.join("security/pam_systemd.so").exists();
    ["/usr/lib", "/lib", "/usr/lib64", "/lib64"]
        .iter()
        .any(|library| {
            let library = inside(root, library);
            let triplets = std::fs::read_dir(&library).into_iter().flatten();
            let in_triplet = triplets.flatten().any(|entry| {
                entry.file_name().as_encoded_bytes().ends_with(b"-gnu") && holds(entry.path())
            });
            in_triplet || holds(library)
        })
}

/// Writes what `starter` needs and removes what another one would have needed.
pub(crate) fn set_up(root: &Path, starter: Starter, owner: &Owner) -> io::Result<()> {
    let user = (inside(root, USER_UNIT), inside(root, USER_LINK));
    let system = (inside(root, SYSTEM_UNIT), inside(root, SYSTEM_LINK));
    if starter != Starter::UserManager {
        disable(&user.0, &user.1)?;
    }
    if starter != Starter::SystemService {
        disable(&system.0, &system.1)?;
    }
    match starter {
        Starter::Supervisor => Ok(()),
        Starter::SystemService => enable(&system.0, &system.1, &system_unit(owner)),
        Starter::UserManager => {
            enable(&user.0, &user.1, &user_unit(owner.uid))?;
            let linger = inside(root, LINGER);
            std::fs::create_dir_all(&linger)?;
            files::replace(&linger.join(&owner.name), b"", 0o644)
        }
    }
}

/// Where there is systemd, it runs what follows the host's settings; else pid 1 has started it.
pub(crate) fn set_up_follower(root: &Path) -> io::Result<()> {
    let unit = inside(root, FOLLOWER_UNIT);
    let link = inside(root, FOLLOWER_LINK);
    if has_systemd(root) {
        enable(&unit, &link, &follower_unit())
    } else {
        disable(&unit, &link)
    }
}

/// Whether `starter` will really start the agent, as far as files can tell. Not where the guest has
/// masked the unit, or has one of its own under that name.
pub(crate) fn is_set_up(root: &Path, starter: Starter) -> bool {
    let (unit, link) = match starter {
        Starter::Supervisor => return false,
        Starter::UserManager => (USER_UNIT, USER_LINK),
        Starter::SystemService => (SYSTEM_UNIT, SYSTEM_LINK),
    };
    inside(root, link).exists() && is_ours(&inside(root, unit), MARK)
}

/// Keeps the boot from waiting for a network that the host may have set up already. Once in a
/// container's life: whoever wants it back has it back.
pub(crate) fn mask_wait_online(root: &Path) -> io::Result<()> {
    let done = inside(root, DONE_ONCE);
    if done.exists() {
        return Ok(());
    }
    let path = inside(root, WAIT_ONLINE);
    if path.symlink_metadata().is_err() {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        symlink("/dev/null", &path)?;
    }
    if let Some(parent) = done.parent() {
        std::fs::create_dir_all(parent)?;
    }
    files::replace(&done, b"", 0o644)
}

fn enable(unit: &Path, link: &Path, text: &str) -> io::Result<()> {
    for path in [unit, link] {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
    }
    files::replace(unit, text.as_bytes(), 0o644)?;
    if link.symlink_metadata().is_err() {
        symlink(beside(unit), link)?;
    }
    Ok(())
}

fn disable(unit: &Path, link: &Path) -> io::Result<()> {
    if std::fs::read_link(link).is_ok_and(|to| to == beside(unit)) {
        std::fs::remove_file(link)?;
    }
    remove_ours(unit, MARK)
}

/// A unit as seen from the folder of links beside it.
fn beside(unit: &Path) -> PathBuf {
    Path::new("..").join(unit.file_name().unwrap_or_default())
}

fn follower_unit() -> String {
    let agent = paths::AGENT;
    format!(
        "{MARK}\
[Unit]
Description=Follow the host's clock, language, trust and look
ConditionPathExists={agent}

[Service]
ExecStart={agent} follow
Restart=on-failure
RestartSec=5s
"
    )
}

fn user_unit(uid: u32) -> String {
    let agent = paths::AGENT;
    format!(
        "{MARK}\
[Unit]
Description=Kapsule agent
# Every user's manager reads this unit; the container has one owner.
ConditionUser={uid}
ConditionPathExists={agent}
StartLimitIntervalSec=0

[Service]
ExecStart={agent} serve --context user-manager
{COMMON}"
    )
}

fn system_unit(owner: &Owner) -> String {
    let agent = paths::AGENT;
    let (uid, home) = (owner.uid, owner.home.replace('%', "%%"));
    format!(
        "{MARK}\
[Unit]
Description=Kapsule agent
ConditionPathExists={agent}
StartLimitIntervalSec=0

[Service]
User={uid}
WorkingDirectory=-{home}
RuntimeDirectory=user/{uid}
RuntimeDirectoryMode=0700
RuntimeDirectoryPreserve=yes
ExecStart={agent} serve --context plain
{COMMON}"
    )
}

/// What both kinds of service have. Sessions live in the service's control group, hence: it is
/// theirs to divide, one that runs out of memory does not end the others, and stopping the service
/// hangs them up.
const COMMON: &str = "\
Restart=always
RestartSec=100ms
Delegate=yes
OOMPolicy=continue
TasksMax=infinity
SendSIGHUP=yes
TimeoutStopSec=5s
";

#[cfg(test)]
mod tests;
