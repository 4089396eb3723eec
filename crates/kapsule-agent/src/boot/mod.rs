// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The first process of the container: sets up the owner's account and becomes the guest's init.
//!
//! Runs at every boot, whoever started the container. It fails open: the set-up is done by a child
//! that may fail, crash or hang without keeping the guest from booting, and what it has to say goes
//! to the console and to [`LOG`]. There is one exception: where a folder of the host is not the one
//! that was to be mounted, the guest does not boot ([`shares`]).
//!
//! Everything is done as the guest's root in the guest's own file system, before anything else
//! runs there: no other process can interfere, and a file system that was prepared to lead astray
//! leads only its own root astray.

mod accounts;
mod home;
mod host_network;
mod hostname;
mod rights;
mod shares;
mod starter;
mod subids;

use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kapsule_proto::paths;
use kapsule_proto::spec::{GuestSpec, Owner};

use self::accounts::{AccountFiles, Wanted};
use self::starter::Starter;
use crate::account_file::{Table, lines};
use crate::files::inside;
use crate::{cgroup, desktop, files, follow, init, spec};

/// What went wrong at the last boot, and what the supervisor says.
pub(crate) const LOG: &str = "/var/log/kapsule-agent.log";

/// Longest file of accounts that is read, in bytes.
const MAX_FILE: u64 = 64 * 1024 * 1024;
/// How long the set-up may take. It takes a few milliseconds; a guest that makes it hang boots
/// without.
const PATIENCE: Duration = Duration::from_secs(10);

/// Pid 1. Never returns if the guest has an init.
pub(crate) fn boot() -> ExitCode {
    // First of all: nothing of the guest may run that could see, or change, what is mounted.
    if let Err(error) = spec::read().and_then(|spec| shares::check(&spec.shares)) {
        eprintln!("kapsule-agent: this container is not booted: {error}");
        return ExitCode::FAILURE;
    }
    let agent = std::env::current_exe().unwrap_or_else(|_| paths::AGENT.into());
    match Command::new(&agent)
        .arg("set-up")
        .stdin(Stdio::null())
        .spawn()
    {
        Ok(child) => wait_for_set_up(child),
        Err(error) => eprintln!("kapsule-agent: cannot run the set-up: {error}"),
    }
    let root = Path::new("/");
    if let Ok(spec) = spec::read() {
        let starter = starter::choose(root, spec.owner.uid);
        if starter == Starter::Supervisor
            && let Err(error) = cgroup::leave_top()
        {
            eprintln!("kapsule-agent: cannot make a control group for init: {error}");
        }
        if !starter::is_set_up(root, starter)
            && let Err(error) = start_beside(&agent, "supervise")
        {
            eprintln!("kapsule-agent: cannot run the supervisor: {error}");
        }
        // Where there is systemd, it has a service for it.
        if starter == Starter::Supervisor
            && let Err(error) = start_beside(&agent, "follow")
        {
            eprintln!("kapsule-agent: cannot follow the host: {error}");
        }
    }
    let error = init::become_init();
    eprintln!("kapsule-agent: this container has no init that can be started: {error}");
    ExitCode::FAILURE
}

fn wait_for_set_up(mut child: Child) {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        match child.try_wait() {
            Ok(None) => std::thread::sleep(Duration::from_millis(1)),
            Ok(Some(status)) if status.success() => return,
            Ok(Some(status)) => return eprintln!("kapsule-agent: the set-up failed: {status}"),
            Err(error) => return eprintln!("kapsule-agent: lost the set-up: {error}"),
        }
    }
    eprintln!("kapsule-agent: the set-up does not end; booting without");
    // Its remains are the init's to collect.
    let _ = child.kill();
}

/// Starts another life of the agent, which the guest's init then has as a child.
fn start_beside(agent: &Path, command: &str) -> io::Result<()> {
    let log = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(LOG)
        .map_or_else(|_| Stdio::null(), Stdio::from);
    Command::new(agent)
        .arg(command)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .map(drop)
}

/// The child of [`boot`] that does the work.
pub(crate) fn set_up() -> ExitCode {
    let mut problems = Vec::new();
    match spec::read() {
        Ok(spec) => apply(Path::new("/"), &spec, &mut problems),
        Err(error) => problems.push(format!("{}: {error}", paths::SPEC)),
    }
    match follow::read() {
        Ok(Some(settings)) => {
            problems.extend(follow::apply_quickly(Path::new("/"), &settings));
        }
        Ok(None) => {}
        Err(error) => problems.push(format!("{}: {error}", paths::HOST_SETTINGS)),
    }
    let mut log = String::new();
    for problem in &problems {
        eprintln!("kapsule-agent: {problem}");
        log.push_str(problem);
        log.push('\n');
    }
    // Empty when all went well, so that an old complaint does not stay.
    if let Err(error) = files::replace(LOG.as_ref(), log.as_bytes(), 0o644) {
        eprintln!("kapsule-agent: {LOG}: {error}");
    }
    ExitCode::SUCCESS
}

/// Every step is tried, whatever became of the others.
fn apply(root: &Path, spec: &GuestSpec, problems: &mut Vec<String>) {
    let owner = &spec.owner;
    let mut step = |name: &str, result: io::Result<()>| {
        if let Err(error) = result {
            problems.push(format!("{name}: {error}"));
        }
    };
    // Root is there already and may do everything.
    if owner.uid != 0 {
        step("account", set_up_account(root, owner));
        step("home", home::make(root, owner));
        step("sudo", rights::allow_sudo(root, owner.uid));
        step("id maps", rights::allow_id_maps(root));
    }
    step("host name", hostname::set(root, &spec.container));
    step("podman", rights::choose_cgroup_manager(root, spec));
    if spec.host_network {
        step("host network", host_network::leave_alone(root));
        step("name servers", host_network::use_hosts_resolver(root));
        step("devices", host_network::show_devices(root));
    } else if init::has_systemd(root) {
        step("network wait", starter::mask_wait_online(root));
    }
    let mut of_desktop = Vec::new();
    desktop::set_up(root, spec, &mut of_desktop);
    for problem in of_desktop {
        step("desktop", Err(io::Error::other(problem)));
    }
    let starter = starter::choose(root, owner.uid);
    step("agent service", starter::set_up(root, starter, owner));
    step("follow service", starter::set_up_follower(root));
    if starter == Starter::Supervisor {
        // The supervisor is started by pid 1 itself, and logs here.
        step("log", std::fs::create_dir_all(inside(root, "/var/log")));
    }
}

fn set_up_account(root: &Path, owner: &Owner) -> io::Result<()> {
    let etc = inside(root, "/etc");
    std::fs::create_dir_all(&etc)?;
    let read = |name: &str| match files::read_limited(&etc.join(name), MAX_FILE) {
        Ok(file) => Ok(Some(Table::parse(&file))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io::Error::new(
            error.kind(),
            format!("/etc/{name}: {error}"),
        )),
    };
    let mut files = AccountFiles {
        passwd: read("passwd")?.unwrap_or_else(|| Table::parse(b"root:x:0:0:root:/root:/bin/sh\n")),
        group: read("group")?.unwrap_or_else(|| Table::parse(b"root:x:0:\n")),
        shadow: read("shadow")?,
        gshadow: read("gshadow")?,
        subuid: read("subuid")?.unwrap_or_default(),
        subgid: read("subgid")?.unwrap_or_default(),
    };
    files.apply(&Wanted {
        owner,
        shell: choose_shell(root, &owner.shell).as_bytes(),
        today: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(1, |since| since.as_secs() / (24 * 60 * 60)),
    });
    let map = |name| std::fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
    subids::add(&mut files.subuid, &owner.name, owner.uid, &map("uid_map"));
    subids::add(&mut files.subgid, &owner.name, owner.uid, &map("gid_map"));

    // Users last: as long as one is not named there, the rest of it means nothing.
    let written = [
        ("group", Some(files.group), 0o644),
        ("gshadow", files.gshadow, 0o640),
        ("subuid", Some(files.subuid), 0o644),
        ("subgid", Some(files.subgid), 0o644),
        ("shadow", files.shadow, 0o640),
        ("passwd", Some(files.passwd), 0o644),
    ];
    for (name, table, mode) in written {
        if let Some(table) = table {
            files::replace(&etc.join(name), &table.render(), mode)
                .map_err(|error| io::Error::new(error.kind(), format!("/etc/{name}: {error}")))?;
        }
    }
    Ok(())
}

/// The shell for a new account: the host's by path, or the guest's own of that name, or what the
/// guest has.
fn choose_shell(root: &Path, wanted: &str) -> String {
    let usable = |path: &str| {
        path.starts_with('/')
            && inside(root, path).is_file()
            && rustix::fs::access(inside(root, path), rustix::fs::Access::EXEC_OK).is_ok()
    };
    if usable(wanted) {
        return wanted.into();
    }
    let name = wanted.rsplit('/').next().unwrap_or(wanted);
    let listed = files::read_limited(&inside(root, "/etc/shells"), MAX_FILE).unwrap_or_default();
    let listed: Vec<String> = lines(&listed)
        .filter_map(|line| std::str::from_utf8(line).ok())
        .filter(|path| !name.is_empty() && path.rsplit('/').next() == Some(name))
        .map(str::to_owned)
        .collect();
    listed
        .into_iter()
        .chain([
            format!("/bin/{name}"),
            format!("/usr/bin/{name}"),
            format!("/usr/local/bin/{name}"),
            "/bin/bash".into(),
        ])
        .find(|path| usable(path))
        .unwrap_or_else(|| "/bin/sh".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    use kapsule_proto::spec::{SPEC_VERSION, SessionShares};

    #[test]
    fn the_shell_is_the_hosts_as_far_as_the_guest_has_it() {
        let root = tempfile::tempdir().unwrap();
        let add = |path: &str| {
            let path = inside(root.path(), path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        };
        assert_eq!(choose_shell(root.path(), "/bin/zsh"), "/bin/sh");
        add("/bin/bash");
        assert_eq!(choose_shell(root.path(), "/bin/zsh"), "/bin/bash");
        add("/usr/bin/zsh");
        assert_eq!(choose_shell(root.path(), "/bin/zsh"), "/usr/bin/zsh");
        assert_eq!(
            choose_shell(root.path(), "/run/current-system/sw/bin/zsh"),
            "/usr/bin/zsh"
        );
        add("/opt/zsh");
        add("/etc/shells");
        std::fs::write(
            inside(root.path(), "/etc/shells"),
            "# x\n/missing/zsh\n/opt/zsh\n",
        )
        .unwrap();
        assert_eq!(choose_shell(root.path(), "/bin/zsh"), "/opt/zsh");
        assert_eq!(choose_shell(root.path(), ""), "/bin/bash");
    }

    #[test]
    fn an_empty_guest_gets_all_that_it_needs_and_settles() {
        let root = tempfile::tempdir().unwrap();
        let spec = GuestSpec {
            version: SPEC_VERSION,
            container: "dev".into(),
            owner: Owner {
                // Somebody who may give files to himself.
                uid: rustix::process::getuid().as_raw().max(1),
                gid: rustix::process::getgid().as_raw(),
                name: "alice".into(),
                group: "alice".into(),
                gecos: String::new(),
                home: "/home/alice".into(),
                home_mounted: false,
                shell: "/bin/bash".into(),
            },
            session_mode: false,
            dbus_mux: false,
            host_runtime_dir: None,
            session: SessionShares::default(),
            shares: Vec::new(),
            isolation: String::new(),
            host_network: false,
            host_ids: None,
        };
        let mut problems = Vec::new();
        apply(root.path(), &spec, &mut problems);
        assert_eq!(problems, Vec::<String>::new());
        let passwd = std::fs::read_to_string(root.path().join("etc/passwd")).unwrap();
        assert!(
            passwd.starts_with("root:x:0:0:") && passwd.contains("\nalice:!:"),
            "{passwd}"
        );
        assert!(root.path().join("home/alice").is_dir());
        apply(root.path(), &spec, &mut problems);
        assert_eq!(problems, Vec::<String>::new());
        let again = std::fs::read_to_string(root.path().join("etc/passwd")).unwrap();
        assert_eq!(again, passwd);
    }

    #[test]
    fn obstacles_are_reported_and_the_rest_is_done() {
        let root = tempfile::tempdir().unwrap();
        // A directory where a file should be, and a FIFO that nobody writes to.
        std::fs::create_dir_all(root.path().join("etc/hosts")).unwrap();
        let fifo = root.path().join("etc/passwd");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &fifo,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        let spec: GuestSpec = serde_json::from_str(
            r#"{"version":1,"container":"dev","owner":{"uid":1000,"gid":1000,"name":"alice",
                "group":"alice","home":"/home/alice","home_mounted":true,"shell":"/bin/sh"}}"#,
        )
        .unwrap();
        let mut problems = Vec::new();
        apply(root.path(), &spec, &mut problems);
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(root.path().join("etc/sudoers.d/50-kapsule-owner").exists());
    }
}
