// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! A session bus of the container's own in a guest that has no user manager.

use kapsule_system_tests::container::{Container, provided};
use kapsule_system_tests::host::{ALICE, shared};

/// The name that a bus gives itself, or nothing.
const WHICH: &str = "dbus-send --session --print-reply=literal --dest=org.freedesktop.DBus / org.freedesktop.DBus.GetId";

#[test]
fn without_a_user_manager_the_guests_dbus_daemon_is_the_bus() {
    let Some(host) = shared() else { return };
    let image = provided("debian-sysvinit");
    let container = Container::planned(ALICE, "t-own-bus");
    let name = container.name;
    let made = ALICE.kapsule(["create", name, "--image", &image, "--session-mode"]);
    made.ok();
    assert!(made.all().contains("no user manager"), "{made}");
    let which = || container.owner.enter(name, ["sh", "-c", WHICH]);
    // The guest's init mounts something over the first one's socket.
    let booted = "mountpoint -q /run && echo yes; true";
    host.wait_until("there is a bus that stays", || {
        container.sh(booted) == "yes" && which().status == 0
    });
    let hosts = ALICE.sh(WHICH).ok();
    let own = which().ok();
    assert_ne!(own.trim(), hosts.trim());
    assert_eq!(
        container.sh("echo $DBUS_SESSION_BUS_ADDRESS"),
        "unix:path=/run/user/1000/bus"
    );
    // Services that it starts have a home and a place for their sockets.
    let environment =
        container.sh("tr '\\0' '\\n' < /proc/$(pgrep -xu $(id -u) dbus-daemon)/environ");
    for variable in [
        "HOME=/home/alice",
        "XDG_RUNTIME_DIR=/run/user/1000",
        "PATH=",
    ] {
        assert!(
            environment.contains(variable),
            "{variable} in\n{environment}"
        );
    }

    // It is there again after its end, and after a restart; and it goes and comes with the option.
    container.sh("kill $(pgrep -xu $(id -u) dbus-daemon)");
    host.wait_until("there is a new bus", || {
        let now = which();
        now.status == 0 && now.text() != own
    });
    ALICE.kapsule(["restart", "--force", name]).ok();
    host.wait_until("there is a bus again", || {
        container.sh(booted) == "yes" && which().status == 0
    });
    ALICE.kapsule(["set", name, "--no-session-mode"]).ok();
    let running = "pgrep -xu $(id -u) dbus-daemon > /dev/null && echo runs; true";
    host.wait_until("it has ended", || container.sh(running).is_empty());
    host.wait_until("sessions have the host's", || which().text() == hosts);
    // The bus of two needs it, too.
    ALICE.kapsule(["set", name, "--dbus-mux"]).ok();
    host.wait_until("it is started for the bus of two", || {
        container.sh(running) == "runs" && which().status == 0
    });
}
