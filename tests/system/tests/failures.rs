// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What the client says when something that it needs is not there.

use kapsule_system_tests::container::{Container, IMAGE, common, names};
use kapsule_system_tests::host::{ALICE, BOB, ROOT, alone, shared};

/// Undoes what was done to a service, also when the test fails.
struct Undo(&'static str);

impl Drop for Undo {
    fn drop(&mut self) {
        drop(ROOT.sh(self.0));
    }
}

#[test]
fn no_daemon() {
    let Some(_host) = alone() else { return };
    common();
    let undo = Undo(
        "systemctl unmask --runtime kapsule-daemon.service; systemctl reset-failed kapsule-daemon.service; systemctl reload dbus.service",
    );
    ROOT.sh("systemctl mask --runtime --now kapsule-daemon.service")
        .ok();
    for args in [
        &["list"][..],
        &["create", "t-bad"],
        &["rm", "t-common"],
        &["image", "list"],
        &["config"],
        &["info", "t-common"],
    ] {
        let output = ALICE.kapsule(args);
        let text = output.failed();
        assert_eq!(output.status, 1, "{output}");
        assert!(
            text.contains("Error:") && text.contains("service") && text.contains("Hint:"),
            "{text}"
        );
        assert_eq!(output.text(), "", "{output}");
    }
    let output = ALICE.enter("t-common", ["true"]);
    assert_eq!(output.status, 125, "{output}");
    assert!(output.failed().contains("Hint:"), "{output}");
    // What needs no service works.
    ALICE.kapsule(["--version"]).ok();
    ALICE.kapsule(["create", "--help"]).ok();
    drop(undo);
    assert_eq!(common().sh("id -un"), "alice");
}

#[test]
fn no_incus() {
    let Some(host) = alone() else { return };
    common();
    let before = host.state();
    // When it is started, the daemon starts Incus.
    ALICE.kapsule(["list"]).ok();
    let undo = Undo("systemctl start incus.socket incus.service");
    // By itself: what depends on the socket would stop all containers first.
    ROOT.sh("systemctl stop --job-mode=ignore-dependencies incus.socket incus.service")
        .ok();
    for args in [
        &["list"][..],
        &["create", "t-bad", "--image", IMAGE],
        &["rm", "--force", "t-common"],
        &["image", "list"],
        &["start", "t-common"],
        &["info", "t-common"],
    ] {
        let output = ALICE.kapsule(args);
        let text = output.failed();
        assert_eq!(output.status, 1, "{output}");
        assert!(
            text.contains("Incus") && text.contains("systemctl"),
            "{text}"
        );
    }
    // Neither the configuration nor what runs needs it.
    ALICE.kapsule(["config"]).ok();
    assert_eq!(common().sh("id -un"), "alice");
    // A daemon that starts without it lives, and says the same.
    ROOT.sh(
        "systemctl restart kapsule-daemon.service && systemctl stop --job-mode=ignore-dependencies incus.socket incus.service",
    )
    .ok();
    let text = ALICE.kapsule(["list"]).failed();
    assert!(text.contains("Incus"), "{text}");
    drop(undo);
    assert!(names(ALICE).contains(&"t-common".to_owned()));
    assert_eq!(host.state(), before, "something was changed");
    assert_eq!(common().sh("id -un"), "alice");
}

#[test]
fn one_that_is_stopped_in_the_middle() {
    let Some(_host) = shared() else { return };
    let container = Container::create(ALICE, "t-middle", &[]);
    for force in [true, false] {
        let mut session = ALICE
            .enter_command(container.name, ["sh", "-c", "echo begun; sleep 1000"])
            .start();
        session.wait_for("begun");
        let mut shell = ALICE
            .kapsule_command(["enter", container.name])
            .tty()
            .start();
        shell.write("echo in\"\"side\n");
        shell.wait_for("inside");
        let stop: &[&str] = if force {
            &["stop", "--force", container.name]
        } else {
            &["stop", container.name]
        };
        ALICE.kapsule(stop).ok();
        let output = session.wait();
        assert_ne!(output.status, 0, "{output}");
        // Either what the shutdown did to it, or that it was lost.
        assert!(
            output.status > 128 || output.errors().contains(container.name),
            "{output}"
        );
        assert_ne!(shell.wait().status, 0);
        ALICE.kapsule(["start", container.name]).ok();
    }
    // Deleted under one's feet.
    let mut session = ALICE
        .enter_command(container.name, ["sh", "-c", "echo begun; sleep 1000"])
        .start();
    session.wait_for("begun");
    ALICE.kapsule(["rm", "--force", container.name]).ok();
    assert_ne!(session.wait().status, 0);
}

#[test]
fn no_space() {
    let Some(host) = alone() else { return };
    common();
    // A user's project and network stay after the first try, whatever comes of it.
    drop(Container::create(BOB, "t-first", &[]));
    let undo = Undo(
        "rm -f /etc/kapsule/kapsule.conf.d/t-pool.conf
        incus storage delete t-pool; umount /srv/t-pool; rmdir /srv/t-pool",
    );
    ROOT.sh("set -e; mkdir -p /srv/t-pool /etc/kapsule/kapsule.conf.d; mount -t tmpfs -o size=48m tmpfs /srv/t-pool
        incus storage create t-pool dir source=/srv/t-pool
        printf '[storage]\\npool = t-pool\\n' > /etc/kapsule/kapsule.conf.d/t-pool.conf").ok();
    host.unchanged(|| {
        let text = BOB.kapsule(["create", "t-bad", "--image", IMAGE]).failed();
        assert!(text.to_lowercase().contains("space"), "{text}");
    });
    drop(undo);
}

#[test]
fn a_closed_output_is_no_crash() {
    let Some(_host) = shared() else { return };
    common();
    for command in ["list", "list --json", "config", "--help", "image list"] {
        let output = ALICE.sh(&format!("kapsule {command} >&- 2>&-; test $? -lt 100; kapsule {command} | true; kapsule {command} > /dev/full; echo $?"));
        assert_eq!(output.status, 0, "{output}");
        assert!(!output.all().contains("panicked"), "{output}");
    }
}
