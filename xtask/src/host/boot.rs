// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Booting and ending the host with systemd-nspawn.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::{Pid, Signal, kill_process, setsid};

use super::place::Place;
use super::state::{Process, State};
use crate::dirs;
use crate::run::{cmd, output, run};

const BOOT_TIMEOUT: Duration = Duration::from_secs(90);
const HALT_TIMEOUT: Duration = Duration::from_secs(60);

/// Starts the host on its mounted root and waits until process 1 is there.
pub(crate) fn start(place: &Place) -> Result<State> {
    let log = File::create(place.console_log())?;
    let own = dirs::own_program();
    // `ip netns exec`, and not nspawn's --network-namespace-path: only the former also gives the host the
    // /sys of that namespace; with the latter Incus looks for its bridges among the machine's interfaces.
    let mut nspawn = Command::new("ip")
        .args(["netns", "exec", &place.name()])
        .arg(own)
        .args(["host", "boot-inner"])
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("cannot start `ip netns exec`")?;
    let leader = wait_for_leader(place, &mut nspawn)?;
    // `ip` and `boot-inner` become the next program in turn, so the number stays.
    let nspawn = Process::of(nspawn.id().try_into()?).context("systemd-nspawn ended at once")?;
    let state = State { nspawn, leader };
    state.save(place)?;
    Ok(state)
}

fn wait_for_leader(place: &Place, nspawn: &mut Child) -> Result<Process> {
    let until = Instant::now() + BOOT_TIMEOUT;
    let children = format!("/proc/{0}/task/{0}/children", nspawn.id());
    while Instant::now() < until {
        if let Some(status) = nspawn.try_wait()? {
            bail!("systemd-nspawn ended ({status}):\n{}", console_tail(place));
        }
        let pids = fs::read_to_string(&children).unwrap_or_default();
        for pid in pids.split_whitespace().filter_map(|pid| pid.parse().ok()) {
            if is_init(pid) {
                return Process::of(pid).context("the host ended at once");
            }
        }
        sleep(Duration::from_millis(20));
    }
    bail!(
        "the host's process 1 did not appear:\n{}",
        console_tail(place)
    )
}

/// Whether a process is the first of its own process namespace, and already systemd.
fn is_init(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let first = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))
        .is_some_and(|pids| {
            pids.split_whitespace().count() > 1 && pids.split_whitespace().last() == Some("1")
        });
    first && status.starts_with("Name:\tsystemd\n")
}

/// Waits until the exec sockets of root and of the users answer.
pub(crate) fn wait_until_usable(place: &Place, state: &State, sockets: &[PathBuf]) -> Result<()> {
    let until = Instant::now() + BOOT_TIMEOUT;
    while Instant::now() < until {
        if !state.nspawn.alive() {
            bail!("the host ended while it booted:\n{}", console_tail(place));
        }
        if sockets
            .iter()
            .all(|socket| std::os::unix::net::UnixStream::connect(socket).is_ok())
        {
            return Ok(());
        }
        sleep(Duration::from_millis(50));
    }
    bail!(
        "the host did not finish booting; its console said:\n{}",
        console_tail(place)
    )
}

/// Runs in the new network namespace and becomes systemd-nspawn.
pub(crate) fn inner(place: &Place) -> Result<()> {
    // A closed terminal must not take the host with it.
    setsid()?;
    // `ip netns exec` made a mount namespace and put the new network namespace's own sysfs on /sys. Nothing
    // that is mounted from here on may reach the machine.
    mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )?;
    // Only cgroup v2, also where the machine has the older hierarchies: systemd 262 knows no other.
    mount(
        "cgroup2",
        "/sys/fs/cgroup",
        "cgroup2",
        MountFlags::empty(),
        None,
    )
    .context("cannot mount cgroup v2")?;
    let group = Path::new("/sys/fs/cgroup").join(place.name());
    fs::create_dir_all(&group)?;
    fs::write(group.join("cgroup.procs"), "0").context("cannot enter the host's control group")?;

    let mut command = Command::new("systemd-nspawn");
    command
        .args([
            "--quiet",
            "--boot",
            "--settings=no",
            "--machine=kapsule-host",
        ])
        .args([
            "--register=no",
            "--keep-unit",
            "--private-users=no",
            "--capability=all",
            // The clock is the machine's, and `timedatectl set-timezone` moves it: the first program since boot
            // that tells the kernel a time zone is taken for one that knows the clock to be local time.
            "--drop-capability=CAP_SYS_TIME",
        ])
        .args([
            "--resolv-conf=off",
            "--timezone=off",
            "--link-journal=no",
            "--console=read-only",
        ])
        .arg(format!("--directory={}", place.root().display()))
        .env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1")
        .env("SYSTEMD_NSPAWN_API_VFS_WRITABLE", "1")
        .env("SYSTEMD_SECCOMP", "0");
    for (node, target) in device_nodes(place)? {
        command.arg(format!("--bind={}:{target}", node.display()));
    }
    Err(command.exec()).context("cannot start systemd-nspawn")
}

/// Device nodes for the host, made anew, since the machine's have modes that are too narrow: rootless
/// Podman needs /dev/net/tun and FUSE needs /dev/fuse for everyone. systemd's automounts need /dev/autofs.
fn device_nodes(place: &Place) -> Result<Vec<(PathBuf, String)>> {
    let dir = place.dir().join("dev");
    fs::create_dir_all(&dir)?;
    let characters = [
        ("fuse", 10, 229, 0o666),
        ("net/tun", 10, 200, 0o666),
        ("loop-control", 10, 237, 0o660),
        ("autofs", 10, 235, 0o600),
    ];
    let mut nodes: Vec<(String, FileType, u32, u32, u32)> = characters
        .into_iter()
        .map(|(name, major, minor, mode)| {
            (
                name.to_owned(),
                FileType::CharacterDevice,
                major,
                minor,
                mode,
            )
        })
        .collect();
    // Incus puts pools of other file systems into loop devices.
    nodes.extend((0..16).map(|number| {
        (
            format!("loop{number}"),
            FileType::BlockDevice,
            7,
            number,
            0o660,
        )
    }));
    let mut pairs = Vec::new();
    for (name, kind, major, minor, mode) in nodes {
        let node = dir.join(name.replace('/', "-"));
        if !node.exists() {
            mknodat(CWD, &node, kind, Mode::empty(), makedev(major, minor))
                .with_context(|| format!("cannot make {}", node.display()))?;
            // Apart from mknod, for it the umask counts.
            rustix::fs::chmod(&node, Mode::from_raw_mode(mode))?;
        }
        pairs.push((node, format!("/dev/{name}")));
    }
    Ok(pairs)
}

/// Shuts the host down, cleanly if it can be, and waits for its end.
pub(crate) fn stop(place: &Place, state: &State) -> Result<()> {
    let pid = Pid::from_raw(state.nspawn.pid).context("no such process number")?;
    // nspawn tells the host's systemd to halt.
    let _ = kill_process(pid, Signal::TERM);
    if !wait_for_end(state, HALT_TIMEOUT) {
        eprintln!(
            "xtask: the host does not halt, killing it; its console said:\n{}",
            console_tail(place)
        );
        kill(state)?;
    }
    Ok(())
}

/// Ends the host at once, as pulling the plug does.
pub(crate) fn kill(state: &State) -> Result<()> {
    // With its process 1 everything in its process namespace ends, and then nspawn by itself.
    for process in [state.leader, state.nspawn] {
        let pid = Pid::from_raw(process.pid).context("no such process number")?;
        if process.alive() {
            let _ = kill_process(pid, Signal::KILL);
        }
        if wait_for_end(state, Duration::from_secs(5)) {
            return Ok(());
        }
    }
    bail!(
        "cannot end the host: processes {} and {} stay",
        state.nspawn.pid,
        state.leader.pid
    )
}

fn wait_for_end(state: &State, patience: Duration) -> bool {
    let until = Instant::now() + patience;
    while Instant::now() < until {
        if !state.nspawn.alive() && !state.leader.alive() {
            return true;
        }
        sleep(Duration::from_millis(20));
    }
    false
}

/// Ends what may be left of the host's processes and takes its control group away.
pub(crate) fn remove_cgroup(place: &Place) -> Result<()> {
    let Some(group) = cgroup_root()
        .map(|root| root.join(place.name()))
        .filter(|group| group.exists())
    else {
        return Ok(());
    };
    let _ = fs::write(group.join("cgroup.kill"), "1");
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        remove_tree_of_groups(&group);
        if !group.exists() {
            return Ok(());
        }
        if Instant::now() > until {
            bail!(
                "the control group {} cannot be removed: something in it is still alive",
                group.display()
            );
        }
        sleep(Duration::from_millis(20));
    }
}

/// A control group is removed by rmdir, deepest first; the files in it are not files.
fn remove_tree_of_groups(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree_of_groups(&entry.path());
        }
    }
    let _ = fs::remove_dir(group);
}

/// Where the machine itself has cgroup v2 mounted, if it has.
fn cgroup_root() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    // Field 5 is the mount point, the type follows the lone dash: proc_pid_mountinfo(5).
    mounts.lines().find_map(|line| {
        let (head, tail) = line.split_once(" - ")?;
        tail.starts_with("cgroup2 ")
            .then(|| head.split(' ').nth(4).map(PathBuf::from))?
    })
}

/// What the host's systemd says about itself: `running`, `degraded`, `starting`, …; with `wait`, once it
/// has started everything.
pub(crate) fn system_state(state: &State, wait: bool) -> Result<String> {
    let leader = state.leader.pid.to_string();
    // Talking to process 1 is all this does, so the wrong cgroup namespace does not matter. The exit status
    // only repeats the word.
    let ask = if wait {
        "systemctl is-system-running --wait || true"
    } else {
        "systemctl is-system-running || true"
    };
    output(&mut cmd(
        "nsenter",
        ["-t", &leader, "-m", "-u", "-i", "-n", "-p", "sh", "-c", ask],
    ))
}

fn console_tail(place: &Place) -> String {
    let text = fs::read(place.console_log()).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(25)..].join("\n")
}

/// Copies our own program into the root: it serves `host exec` there.
pub(crate) fn install_exec_server(root: &Path) -> Result<()> {
    let target = root.join("usr/local/libexec");
    fs::create_dir_all(&target)?;
    // A running program cannot be written to, but replaced.
    run(cmd("install", ["-m", "755"])
        .arg(dirs::own_program())
        .arg(target.join("kapsule-xtask.new")))?;
    fs::rename(
        target.join("kapsule-xtask.new"),
        target.join("kapsule-xtask"),
    )?;
    Ok(())
}
