// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! A session bus of the container's own, and both buses as one, with stock tools at each end.

use kapsule_system_tests::container::Container;
use kapsule_system_tests::host::{ALICE, BOB, Host, alone};
use kapsule_system_tests::process::Running;

use super::{inside, inside_meanwhile};

/// What `dbus-monitor` and its kin are for: a program that answers on a bus, whoever's.
const HOSTS: &str = "org.example.THost";
const CONTAINERS: &str = "org.example.TContainer";

/// A real service on the host: a unit of alice's manager that owns a name by D-Bus activation.
struct HostService(#[allow(dead_code, reason = "held, not read")] Running);

impl HostService {
    fn start(host: &Host) -> Self {
        let running = ALICE
            .command(["dbus-test-tool", "echo", &format!("--name={HOSTS}")])
            .start();
        host.wait_until("the host's service is there", || {
            ALICE.sh(&format!("busctl --user status {HOSTS}")).status == 0
        });
        Self(running)
    }
}

fn call(name: &str) -> String {
    format!("busctl --user call {name} / {name} Method s text")
}

#[test]
fn both_buses_are_one() {
    let Some(host) = alone() else { return };
    let container = Container::create(ALICE, "t-mux", &["--dbus-mux"]);
    assert_eq!(container.info()["mode"], "DbusMux");
    let address = "echo $DBUS_SESSION_BUS_ADDRESS";
    host.wait_until("sessions get the bus of two", || {
        container.sh(address) == "unix:path=/run/user/1000/kapsule-bus"
    });
    let _service = HostService::start(&host);
    let names = "busctl --user --list --no-legend | cut -d' ' -f1";

    // The host's services are called, and those of the container.
    inside(&container, "", &call(HOSTS)).ok();
    assert!(inside(&container, "", names).ok().contains(HOSTS));
    let manager = "busctl --user get-property org.freedesktop.systemd1 /org/freedesktop/systemd1 \
        org.freedesktop.systemd1.Manager Virtualization";
    assert!(inside(&container, "", manager).ok().contains("lxc"));
    // A service behind it is called from either side, and sees its callers go.
    let tool = super::portable("dbus-test-tool");
    let served = inside_meanwhile(
        &container,
        "",
        &format!("exec {tool} echo --name={CONTAINERS}"),
    );
    host.wait_until("the host finds it", || {
        ALICE.sh(&call(CONTAINERS)).status == 0
    });
    inside(&container, "", &call(CONTAINERS)).ok();
    drop(served);
    host.wait_until("its name goes with it", || {
        ALICE
            .sh(&format!("busctl --user status {CONTAINERS}"))
            .status
            != 0
    });

    // Nobody but the owner is let in, the container's root neither, who could open the socket.
    let others = "sudo busctl --address=unix:path=/run/user/1000/kapsule-bus --list";
    let refused = inside(&container, "", others);
    assert!(!refused.all().contains(HOSTS), "{refused}");
    refused.failed();

    // The container's own bus has nothing of the host's.
    let own =
        "DBUS_SESSION_BUS_ADDRESS=unix:path=$XDG_RUNTIME_DIR/bus; export DBUS_SESSION_BUS_ADDRESS";
    let listed = inside(&container, "", &format!("{own}; {names}")).ok();
    assert!(!listed.contains(HOSTS), "{listed}");

    // Killed, it is there for the next program. Unused, it takes nothing.
    container.sh("pkill -x kapsule-dbus-mu");
    host.wait_until("it is started again", || {
        inside(&container, "", &call(HOSTS)).status == 0
    });
    host.wait_until("it ends when nobody is connected", || {
        container.sh("pgrep -x kapsule-dbus-mu || echo none") == "none"
    });
    inside(&container, "", &call(HOSTS)).ok();
    ALICE.sh("rm -rf ~/t-portable-*").ok();
}

#[test]
fn a_bus_of_its_own_is_chosen_at_any_time() {
    let Some(host) = alone() else { return };
    let container = Container::create(ALICE, "t-own-bus", &["--session-mode"]);
    assert_eq!(container.info()["mode"], "Session");
    let _service = HostService::start(&host);
    let becomes = |address: &str| {
        host.wait_until("sessions get another bus", || {
            container.sh("echo $DBUS_SESSION_BUS_ADDRESS") == address
        });
    };
    let calls = |script: String| inside(&container, "", &script).status == 0;
    becomes("unix:path=/run/user/1000/bus");
    assert!(!calls(call(HOSTS)));
    assert!(calls("systemctl --user is-active dbus.socket".to_owned()));
    ALICE.kapsule(["set", container.name, "--dbus-mux"]).ok();
    becomes("unix:path=/run/user/1000/kapsule-bus");
    assert!(calls(call(HOSTS)));
    let said = ALICE
        .kapsule(["set", container.name, "--no-session-mode"])
        .failed();
    assert!(said.contains("--no-dbus-mux --no-session-mode"), "{said}");
    ALICE
        .kapsule(["set", container.name, "--no-dbus-mux", "--no-session-mode"])
        .ok();
    becomes("unix:path=/.kapsule/host/run/user/1000/kapsule/bus");
    assert!(calls(call(HOSTS)));
    host.wait_until("its socket is gone", || {
        !calls("test -e /run/user/1000/kapsule-bus".to_owned())
    });
    // It stays what was chosen.
    ALICE
        .kapsule(["set", container.name, "--session-mode"])
        .ok();
    ALICE.kapsule(["restart", "--force", container.name]).ok();
    becomes("unix:path=/run/user/1000/bus");
    // Nobody but its owner has a say.
    BOB.kapsule(["set", container.name, "--dbus-mux"]).failed();
}
