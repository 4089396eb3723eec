// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The Debian package in a host that has never seen Kapsule: installed, used, removed, purged.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::host::place::HOST_VARIABLE;
use crate::{deb, dirs};

/// Its own host: whatever is in the tests' other one, this one has nothing of it.
const HOST: &str = "deb-host";
/// As the sandboxed host has it, so that nothing is built twice. A release's package differs in how far the
/// compiler optimizes.
const PROFILE: &str = "dist-dev";

/// Everything whose name is Kapsule's; the host's own helpers have such names, too.
const FILES: &str = "find /etc /usr /var/lib -xdev -path /var/lib/incus -prune -o -iname '*kapsule*' \
    ! -path '*deb-systemd-helper*' -print | sort";

pub(super) fn check() -> Result<()> {
    let package = deb::build(PROFILE)?;
    host(&["destroy"])?;
    let result = host(&["up", "--no-install"]).and_then(|()| live(&package));
    // To look at it after a failure: up again, as its files stay.
    let down = host(&["down"]);
    result?;
    down?;
    host(&["destroy"])
}

fn live(package: &Path) -> Result<()> {
    let begin = Instant::now();
    inside(
        "root",
        "! command -v kapsule && ! systemctl cat kapsule-daemon",
    )?;
    inside("root", &format!("{FILES} > /root/before"))?;
    copy(package, "/root/kapsule.deb")?;
    xtask(&["image", "build", "busybox", "--host"])?;
    inside("root", "dpkg --install /root/kapsule.deb")?;

    // As a user who has just got it: no service was started by hand.
    inside(
        "root",
        "kapsule image import /var/cache/kapsule-images/busybox --alias busybox",
    )?;
    let life = "set -e
        kapsule create t-deb --image local:busybox
        test \"$(kapsule enter t-deb -- id -un)\" = alice
        kapsule rm --force t-deb";
    inside("alice", life)?;

    inside("root", "dpkg --remove kapsule")?;
    inside(
        "root",
        "! command -v kapsule && ! systemctl is-active --quiet kapsule-daemon",
    )?;
    inside(
        "alice",
        "! busctl --system call org.kde.kapsule / org.freedesktop.DBus.Peer Ping",
    )?;
    inside("root", "dpkg --purge kapsule")?;
    // Less than before may be there: the state's folder was made by the host.
    let left = format!("{FILES} | comm -13 /root/before - | grep . >&2");
    inside(
        "root",
        &format!("! dpkg-query -s kapsule 2>/dev/null && ! {{ {left}; }}"),
    )
    .context("something is there after purging that was not before installing")?;
    eprintln!(
        "the package's life took {:.0} s",
        begin.elapsed().as_secs_f64()
    );
    Ok(())
}

/// A script in the host, which has to succeed.
fn inside(user: &str, script: &str) -> Result<()> {
    let failed = || format!("in the host, as {user}: {script}");
    let args = [
        "host", "exec", "--no-tty", "--user", user, "--", "sh", "-c", script,
    ];
    xtask(&args).with_context(failed)
}

fn copy(from: &Path, to: &str) -> Result<()> {
    let file =
        std::fs::File::open(from).with_context(|| format!("cannot read {}", from.display()))?;
    let script = format!("cat > {to}");
    let args = ["host", "exec", "--no-tty", "--", "sh", "-c", &script];
    run(&args, Stdio::from(file))
}

fn host(args: &[&str]) -> Result<()> {
    xtask(&[&["host"], args].concat())
}

fn xtask(args: &[&str]) -> Result<()> {
    run(args, Stdio::null())
}

fn run(args: &[&str], stdin: Stdio) -> Result<()> {
    let status = Command::new(dirs::own_program())
        .args(args)
        .env(HOST_VARIABLE, HOST)
        .stdin(stdin)
        // Only what went wrong is worth reading here.
        .stdout(Stdio::null())
        .status()
        .context("cannot start ourselves")?;
    if !status.success() {
        bail!(
            "{} ended with {status}",
            args[..2.min(args.len())].join(" ")
        );
    }
    Ok(())
}
