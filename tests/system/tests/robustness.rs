// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The service dies, or what it stands on does.

use std::time::Duration;

use kapsule_system_tests::container::{Container, IMAGE, common, names};
use kapsule_system_tests::host::{ALICE, ROOT, alone};

fn kill_daemon() {
    ROOT.sh("systemctl kill --signal=KILL kapsule-daemon.service; systemctl reset-failed kapsule-daemon.service; true").ok();
}

/// Kills the daemon at several moments of a create. Whatever there is afterwards is whole.
#[test]
fn a_killed_daemon_leaves_whole_containers_or_none() {
    let Some(host) = alone() else { return };
    common();
    let moments = [
        ("t-kill-a", 20),
        ("t-kill-b", 120),
        ("t-kill-c", 350),
        ("t-kill-d", 700),
        ("t-kill-e", 1200),
        ("t-kill-f", 2000),
    ];
    let planned: Vec<Container> = moments
        .iter()
        .map(|(name, _)| Container::planned(ALICE, name))
        .collect();
    for (name, moment) in moments {
        let client = ALICE
            .kapsule_command(["create", name, "--image", IMAGE])
            .start();
        std::thread::sleep(Duration::from_millis(moment));
        kill_daemon();
        let output = client.wait();
        // It may have been done already.
        if output.status != 0 {
            let text = output.failed();
            assert!(text.contains("service"), "{moment} ms: {text}");
        }
    }
    // The next call starts it again, and it puts things in order.
    ALICE.kapsule(["list"]).ok();
    let count = |state: &str| {
        let pattern = format!("\"user.kapsule.state\":\"{state}\"");
        let script =
            format!("incus list --all-projects --format json | grep -o '{pattern}' | wc -l");
        ROOT.sh(&script).ok()
    };
    assert_ne!(count("ready"), "0", "the common one at least");
    host.wait_until("nothing is unfinished", || count("creating") == "0");
    let listed = names(ALICE);
    for container in planned {
        if !listed.iter().any(|name| name == container.name) {
            let nothing = || !host.state().contains(container.name);
            host.wait_until("no trace is left", nothing);
            // The name can be used.
            let again = ALICE.kapsule(["create", container.name, "--image", IMAGE]);
            again.ok();
        }
        assert_eq!(
            container.sh("id -un; sudo id -u; cat /etc/hostname"),
            format!("alice\n0\n{}", container.name)
        );
    }
}

#[test]
fn sessions_outlive_the_daemon() {
    let Some(_host) = alone() else { return };
    let name = common().name;
    let mut session = ALICE
        .enter_command(
            name,
            [
                "sh",
                "-c",
                "while read line; do echo got $line; done; exit 9",
            ],
        )
        .start();
    session.write("one\n");
    session.wait_for("got one");
    kill_daemon();
    session.write("two\n");
    session.wait_for("got two");
    // A new one, at once: it starts the daemon, which the agent has to find again.
    assert_eq!(ALICE.enter(name, ["id", "-un"]).ok(), "alice");
    ROOT.sh("systemctl restart kapsule-daemon.service").ok();
    assert_eq!(ALICE.enter(name, ["id", "-un"]).ok(), "alice");
    ROOT.sh("systemctl stop kapsule-daemon.service").ok();
    session.write("three\n");
    session.wait_for("got three");
    assert_eq!(ALICE.enter(name, ["id", "-un"]).ok(), "alice");
    drop(session.stdin.take());
    session.wait().ended(9);
}

#[test]
fn a_killed_agent_comes_back() {
    let Some(host) = alone() else { return };
    let name = common().name;
    ROOT.sh(&format!(
        "incus exec --project kapsule-1000 {name} -- pkill -KILL -f 'kapsule-agent serve'"
    ))
    .ok();
    let back = || ALICE.enter(name, ["id", "-un"]).text().trim() == "alice";
    host.wait_until("the agent is back", back);
    assert_eq!(common().info()["agent"], "user-manager");
}

#[test]
fn incus_may_be_restarted() {
    let Some(_host) = alone() else { return };
    let name = common().name;
    let mut session = ALICE.enter_command(name, ["cat"]).start();
    session.write("one\n");
    session.wait_for("one");
    ROOT.sh("systemctl restart incus.service").ok();
    session.write("two\n");
    session.wait_for("two");
    assert_eq!(common().sh("id -un"), "alice");
    assert_eq!(common().status(), "Running");
    let container = Container::create(ALICE, "t-after", &[]);
    assert_eq!(container.sh("id -un"), "alice");
    drop(session.stdin.take());
    session.wait().ok();
}

#[test]
fn the_daemon_is_started_on_demand() {
    let Some(_host) = alone() else { return };
    common();
    ROOT.sh("systemctl stop kapsule-daemon.service").ok();
    ROOT.sh("systemctl is-active kapsule-daemon.service")
        .ended(3);
    let get = [
        "busctl",
        "--system",
        "get-property",
        "org.kde.kapsule",
        "/org/kde/kapsule",
        "org.kde.kapsule.Manager",
        "Version",
    ];
    ALICE.run(get).ok();
    assert_eq!(
        ROOT.run(["systemctl", "is-active", "kapsule-daemon.service"])
            .ok(),
        "active"
    );
    // It tells systemd when it is ready, and what it says is in the journal.
    let shown = ROOT
        .run([
            "systemctl",
            "show",
            "--property=Type,NotifyAccess,User,NoNewPrivileges",
            "kapsule-daemon.service",
        ])
        .ok();
    assert!(
        shown.contains("Type=notify") || shown.contains("Type=dbus"),
        "{shown}"
    );
    ALICE.kapsule(["start", "t-nothing"]).failed();
    let journal = ROOT
        .run([
            "journalctl",
            "--unit=kapsule-daemon.service",
            "--since=-1min",
            "--output=cat",
        ])
        .ok();
    assert!(journal.contains("t-nothing"), "{journal}");
}
