// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! A container whose root prepared the next boot: what comes of it stays inside.

use kapsule_system_tests::container::Container;
use kapsule_system_tests::host::{ALICE, BOB, ROOT, alone, shared};
use kapsule_system_tests::process::Output;

use crate::mounts::import_busybox;

/// As the container's root.
fn as_root(owner: u32, name: &str, script: &str) -> Output {
    let project = format!("kapsule-{owner}");
    ROOT.run([
        "incus",
        "exec",
        "--project",
        &project,
        name,
        "--",
        "sh",
        "-c",
        script,
    ])
}

/// What nobody in a container may change: checksums, and which files there are.
fn host_files() -> String {
    ROOT.sh("cd /; { find etc root usr/lib/kapsule var/lib/kapsule/containers -xdev -type f | grep -v -e '[.]pwd.lock' -e '^etc/resolv' -e '^root/[.]' |
        sort | xargs -d '\\n' sha256sum; find home/alice/t-boot -printf '%p %y %U %m %l\\n'; cat home/alice/t-boot/file; ls / /home /run/user /var/lib; } 2>&1")
        .ok()
}

#[test]
fn whatever_stands_where_the_agent_writes() {
    let Some(_host) = alone() else { return };
    let container = Container::create(ALICE, "t-boot", &[]);
    let name = container.name;
    ALICE
        .sh("rm -rf ~/t-boot; mkdir ~/t-boot; echo untouched > ~/t-boot/file")
        .ok();
    let target = "/.kapsule/host/home/alice/t-boot/file";
    let places = [
        "/var/log/kapsule-agent.log",
        "/etc/sudoers.d/50-kapsule-owner",
        "/etc/systemd/user/kapsule-agent.service",
        "/etc/hostname",
        "/etc/passwd",
    ];
    // Each as a link to a file of the owner's on the host, which root of the container could write to, and
    // as what is no file.
    let kinds = [
        format!("ln -s {target} %"),
        "ln -s % %".to_owned(),
        "mkfifo %".to_owned(),
        "mkdir -p %/x".to_owned(),
        "perl -MSocket -e 'socket(S, PF_UNIX, SOCK_STREAM, 0); bind(S, sockaddr_un(\"%\"))'"
            .to_owned(),
        "mknod % c 1 5".to_owned(),
        "yes x:x:5:5::/:/bin/sh | head -c 100000000 > %".to_owned(),
    ];
    for kind in &kinds {
        let before = host_files();
        for place in places {
            let make = kind.replace('%', place);
            let save = format!(
                "cp -a {place} {place}.t-saved; rm -rf {place}; mkdir -p $(dirname {place}); {make}"
            );
            drop(as_root(1000, name, &save));
        }
        drop(ALICE.kapsule(["restart", "--force", name]));
        let entered = ALICE.enter(name, ["true"]);
        assert!(
            [0, 125, 126, 127].contains(&entered.status),
            "{kind}: {entered}"
        );
        assert_eq!(host_files(), before, "{kind}");
        for place in places {
            drop(as_root(
                1000,
                name,
                &format!("rm -rf {place}; mv {place}.t-saved {place}"),
            ));
        }
    }
    // As it was, all is as it was.
    ALICE.kapsule(["restart", "--force", name]).ok();
    assert_eq!(
        container.sh("id -un; cat ~/t-boot/file"),
        "alice\nuntouched"
    );
    ALICE.sh("rm -r ~/t-boot").ok();
}

#[test]
fn what_is_mounted_over_while_it_runs_stays_inside() {
    let Some(_host) = shared() else { return };
    let container = Container::create(ALICE, "t-over", &[]);
    let name = container.name;
    let before = ROOT
        .sh("grep -c . /proc/1/mountinfo; ls /.kapsule 2>&1")
        .text();
    for over in [
        "mount -t tmpfs none /.kapsule",
        "mount -t tmpfs none /.kapsule/run; mkdir /.kapsule/run/agent.sock",
        "mount --bind /etc /.kapsule/bin",
        "mount -t tmpfs none /run/user; mount -t tmpfs none /home",
        "mount --bind / /.kapsule/host",
    ] {
        drop(as_root(1000, name, over));
        let entered = ALICE.enter(name, ["true"]);
        assert!([0, 125, 126].contains(&entered.status), "{over}: {entered}");
        ALICE.kapsule(["info", name]).ok();
        ALICE.kapsule(["restart", "--force", name]).ok();
        assert_eq!(container.sh("id -un"), "alice", "{over}");
    }
    assert_eq!(
        ROOT.sh("grep -c . /proc/1/mountinfo; ls /.kapsule 2>&1")
            .text(),
        before
    );
}

/// A title or a name that would drive a terminal.
#[test]
fn names_from_inside_are_shown_as_text() {
    let Some(_host) = shared() else { return };
    let container = Container::create(ALICE, "t-names", &[]);
    let escape = "printf 'a\\033]0;owned\\007b\\nc' > /etc/hostname; hostname $(printf 'a\\033[31mb') 2>/dev/null; ";
    drop(as_root(1000, container.name, escape));
    // A lease with a name of the guest's choice.
    drop(as_root(
        1000,
        container.name,
        "networkctl reconfigure eth0 2>/dev/null",
    ));
    for line in [
        &["info", "t-names"][..],
        &["list"],
        &["info", "--json", "t-names"],
    ] {
        let said = ALICE.kapsule(line);
        assert!(!said.all().contains('\u{1b}'), "{said}");
        assert_eq!(said.status, 0, "{said}");
    }
    drop(ALICE.kapsule(["restart", "--force", container.name]));
    let journal = ROOT
        .sh("journalctl --unit=kapsule-daemon.service --since=-5min --output=cat")
        .text();
    assert!(!journal.contains('\u{1b}'), "{journal}");
}

/// Bounded: it is to keep one container busy, not the machine that the tests run on.
#[test]
fn an_init_that_forks_and_floods_harms_nobody_else() {
    let Some(host) = alone() else { return };
    import_busybox();
    let theirs = Container::create(ALICE, "t-calm", &["--image", "local:busybox"]);
    let container = Container::create(BOB, "t-bomb", &["--image", "local:busybox"]);
    let bomb = "printf '#!/bin/sh\\ni=0; while test $i -lt 300; do sleep 30 & i=$((i+1)); done\\nyes flood | head -c 50000000\\nexec sleep 1000\\n' > /bomb; chmod 755 /bomb
        printf '::sysinit:/bomb\\n::respawn:/bomb\\n::respawn:/bin/false\\n' > /etc/inittab";
    as_root(1001, container.name, bomb).ok();
    drop(BOB.kapsule(["stop", "--force", container.name]));
    let mut starting = BOB.kapsule_command(["start", container.name]).start();
    for _ in 0..5 {
        assert_eq!(theirs.sh("id -un"), "alice");
        ALICE.kapsule(["list"]).ok();
    }
    starting.is_running();
    drop(starting);
    BOB.kapsule(["rm", "--force", container.name]).ok();
    host.wait_until("all of it has ended", || {
        ROOT.run(["pgrep", "--full", "^/bin/sh /bomb"]).status != 0
    });
}
