// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Both buses as one, for GLib's and Qt's programs at each end.

use kapsule_system_tests::container::Container;
use kapsule_system_tests::host::{ALICE, Host, alone};
use kapsule_system_tests::process::{Output, Running};

use super::portal::PYTHON;
use super::sound::PARTS;
use super::{hosts, inside, inside_meanwhile};

/// Where a program runs.
#[derive(Clone, Copy)]
enum Side<'a> {
    Host,
    Inside(&'a Container),
}

impl Side<'_> {
    fn line(self, program: &str, arguments: &str) -> String {
        match self {
            Self::Host => format!("exec {program} {arguments}"),
            Self::Inside(_) => format!("{PARTS} {PYTHON} exec {} {arguments}", hosts(program)),
        }
    }

    fn run(self, program: &str, arguments: &str) -> Output {
        let line = self.line(program, arguments);
        match self {
            Self::Host => ALICE.sh(&line),
            Self::Inside(container) => inside(container, "", &line),
        }
    }

    fn start(self, program: &str, arguments: &str) -> Running {
        let line = self.line(program, arguments);
        match self {
            Self::Host => ALICE.command(["sh", "-c", &line]).start(),
            Self::Inside(container) => inside_meanwhile(container, "", &line),
        }
    }
}

const PATH: &str = "/org/example/T";

fn assert_served(host: &Host, name: &str, service: Side<'_>, client: Side<'_>) {
    let object = format!("--session --dest {name} --object-path {PATH}");
    let mut monitor = client.start("gdbus", &format!("monitor --session --dest {name}"));
    monitor.wait_for("does not have an owner");
    let waiting = client.start("gdbus", &format!("wait --session --timeout 100 {name}"));
    let serving = service.start("python3", &format!("~/t-bus-service.py {name}"));
    waiting.wait().ok();
    monitor.wait_for("is owned by :");

    let told = client.run("gdbus", &format!("introspect {object}")).ok();
    assert!(told.contains("interface org.example.T {"), "{told}");
    let call = |word: &str| format!("call {object} --method org.example.T.Twice {word}");
    let twice = client.run("gdbus", &call("word")).ok();
    assert_eq!(twice, "('wordword',)");
    monitor.wait_for(&format!("{PATH}: org.example.T.Said ('word',)"));
    // From the host, it is the host's bus that they are on.
    let other = Side::Host.run("gdbus", &call("other")).ok();
    assert_eq!(other, "('otherother',)");
    monitor.wait_for("org.example.T.Said ('other',)");

    let names = client.run("qdbus6", "").ok();
    assert!(names.lines().any(|it| it.trim() == name), "{names}");
    let members = client.run("qdbus6", &format!("{name} {PATH}")).ok();
    assert!(
        members.contains("method QString org.example.T.Twice(QString"),
        "{members}"
    );
    let twice = client.run("qdbus6", &format!("{name} {PATH} org.example.T.Twice word"));
    assert_eq!(twice.ok(), "wordword");
    let word = client.run("qdbus6", &format!("{name} {PATH} org.example.T.Word"));
    assert_eq!(word.ok(), "a word");

    drop(serving);
    host.wait_until("its end is told", || {
        let said = monitor.stdout();
        said.trim_end().ends_with("does not have an owner")
    });
}

#[test]
fn programs_of_glib_and_qt_on_both_sides() {
    let Some(host) = alone() else { return };
    let container = Container::create(ALICE, "t-mux-tools", &["--dbus-mux"]);
    host.wait_until("sessions get the bus of two", || {
        container.sh("echo $DBUS_SESSION_BUS_ADDRESS") == "unix:path=/run/user/1000/kapsule-bus"
    });
    ALICE
        .command(["sh", "-c", "cat > ~/t-bus-service.py"])
        .stdin(include_str!("programs/bus-service.py"))
        .run()
        .ok();
    let inside = Side::Inside(&container);
    assert_served(&host, "org.example.TOutside", Side::Host, inside);
    assert_served(&host, "org.example.TInside", inside, Side::Host);
    assert_served(&host, "org.example.TBoth", inside, inside);
    // What is the container's alone, too.
    let units = "org.freedesktop.systemd1 /org/freedesktop/systemd1 \
        org.freedesktop.systemd1.Manager.Virtualization";
    assert_eq!(inside.run("qdbus6", units).ok(), "lxc");
    ALICE.sh("rm -f ~/t-bus-service.py").ok();
}
