// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Starting, stopping, deleting and looking.

use kapsule_system_tests::container::{Container, common, names};
use kapsule_system_tests::host::{ALICE, ROOT, shared};

#[test]
fn a_life() {
    let Some(_host) = shared() else { return };
    let container = Container::create(ALICE, "t-life", &[]);
    let name = container.name;
    assert_eq!(container.status(), "Running");
    container.sh("echo kept | sudo tee /var/tmp/kept; sudo touch /run/gone");

    ALICE.kapsule(["stop", name]).ok();
    assert_eq!(container.status(), "Stopped");
    // Not an error, but a word about it.
    let again = ALICE.kapsule(["stop", name]);
    again.ok();
    assert!(again.errors().contains("not running"), "{again}");

    ALICE.kapsule(["start", name]).ok();
    assert_eq!(container.status(), "Running");
    let again = ALICE.kapsule(["start", name]);
    again.ok();
    assert!(again.errors().contains("already running"), "{again}");
    assert_eq!(
        container.sh("cat /var/tmp/kept; test -e /run/gone || echo gone"),
        "kept\ngone"
    );
    assert_eq!(
        container.sh("getent passwd | grep -c ':x:1000:'; sudo -n id -u"),
        "1\n0"
    );

    let booted = container.sh("cat /proc/sys/kernel/random/boot_id; stat -c %Y /proc/1");
    ALICE.kapsule(["restart", name]).ok();
    assert_ne!(
        container.sh("cat /proc/sys/kernel/random/boot_id; stat -c %Y /proc/1"),
        booted
    );
    ALICE.kapsule(["restart", "--force", name]).ok();
    assert_eq!(container.sh("cat /var/tmp/kept"), "kept");
    ALICE.kapsule(["stop", "--force", name]).ok();

    ALICE.kapsule(["rm", name]).ok();
    assert!(!names(ALICE).contains(&name.to_owned()));
    ALICE.kapsule(["info", name]).failed();
    // The name is free again, and what was in it is gone.
    let anew = Container::create(ALICE, "t-life", &[]);
    assert_eq!(anew.sh("test -e /var/tmp/kept || echo gone"), "gone");
}

#[test]
fn a_running_one_is_only_deleted_by_force() {
    let Some(_host) = shared() else { return };
    let container = Container::create(ALICE, "t-force", &[]);
    container.sh("echo kept > ~/t-force-file; echo kept | sudo tee /var/tmp/kept");
    let refused = ALICE.kapsule(["rm", container.name]).failed();
    assert!(
        refused.contains("is running") && refused.contains("--force"),
        "{refused}"
    );
    assert_eq!(container.sh("cat /var/tmp/kept"), "kept");
    ALICE.kapsule(["rm", "--force", container.name]).ok();
    assert!(!names(ALICE).contains(&container.name.to_owned()));
    // The home was only shared.
    assert_eq!(
        ALICE.sh("cat ~/t-force-file; rm ~/t-force-file").ok(),
        "kept"
    );
}

#[test]
fn several_at_once() {
    let Some(_host) = shared() else { return };
    let one = Container::create(ALICE, "t-one", &[]);
    let two = Container::create(ALICE, "t-two", &[]);
    ALICE.kapsule(["stop", "--force", one.name, two.name]).ok();
    let missing = ALICE.kapsule(["rm", one.name, "t-missing", two.name]);
    assert!(missing.failed().contains("t-missing"), "{missing}");
    let left = names(ALICE);
    assert!(
        !left.iter().any(|name| name == one.name || name == two.name),
        "{left:?}"
    );
}

#[test]
fn lists() {
    let Some(_host) = shared() else { return };
    let stopped = Container::create(ALICE, "t-listed", &[]);
    ALICE.kapsule(["stop", "--force", stopped.name]).ok();
    let common = common();

    let table = ALICE.kapsule(["list"]).ok();
    let line = |text: &str, name: &str| {
        text.lines()
            .find(|line| line.split_whitespace().next() == Some(name))
            .map(str::to_owned)
    };
    assert!(
        line(&table, "NAME").is_some_and(|head| ["STATUS", "IMAGE", "MODE", "CREATED"]
            .iter()
            .all(|column| head.contains(column))),
        "{table}"
    );
    assert!(
        line(&table, common.name)
            .is_some_and(|line| line.contains("Running") && line.contains("Default")),
        "{table}"
    );
    assert!(
        line(&table, stopped.name).is_some_and(|line| line.contains("Stopped")),
        "{table}"
    );
    let running = ALICE.kapsule(["ls", "--running"]).ok();
    assert!(
        line(&running, common.name).is_some() && line(&running, stopped.name).is_none(),
        "{running}"
    );

    let json = ALICE.kapsule(["list", "--json"]).json();
    let containers = json.as_array().unwrap();
    let found = containers
        .iter()
        .find(|one| one["name"] == common.name)
        .unwrap();
    assert_eq!(found["status"], "Running");
    assert_eq!(found["mode"], "Default");
    for key in ["image", "created"] {
        assert!(
            found[key].as_str().is_some_and(|text| !text.is_empty()),
            "{key}: {found}"
        );
    }
    let running = ALICE.kapsule(["list", "--running", "--json"]).json();
    assert!(
        running
            .as_array()
            .unwrap()
            .iter()
            .all(|one| one["status"] == "Running"),
        "{running}"
    );
}

#[test]
fn information() {
    let Some(_host) = shared() else { return };
    let info = common().info();
    assert_eq!(info["name"], common().name);
    assert_eq!(info["status"], "Running");
    assert_eq!(info["owner"], 1000);
    assert_eq!(info["image_reference"], "local:debian");
    assert_eq!(info["agent"], "user-manager");
    assert_eq!(info["options"]["mount_home"], true);
    assert_eq!(info["options"]["custom_mounts"], serde_json::json!([]));
    assert!(
        info["processes"].as_u64().is_some_and(|count| count > 3),
        "{info}"
    );
    // Where the host's kernel counts it.
    let counts = ROOT
        .sh("grep -qw memory /sys/fs/cgroup/cgroup.controllers")
        .status
        == 0;
    let memory = info["memory_bytes"].as_u64();
    assert!(memory.map_or(!counts, |bytes| bytes > 1 << 20), "{info}");
    assert!(!info["addresses"].as_array().unwrap().is_empty(), "{info}");
    let home = info["mounts"]
        .as_array()
        .unwrap()
        .iter()
        .find(|mount| mount["path"] == "/home/alice");
    assert!(
        home.is_some_and(|home| home["source"] == "/home/alice"),
        "{info}"
    );

    let text = ALICE.kapsule(["info", common().name]).ok();
    assert!(
        text.contains(common().name) && text.contains("Running") && text.contains("local:debian"),
        "{text}"
    );
}

#[test]
fn help_and_version() {
    let Some(_host) = shared() else { return };
    let version = ALICE.kapsule(["--version"]).ok();
    assert_eq!(
        version,
        format!("kapsule version {}", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(
        ALICE.run(["kap", "-V"]).ok(),
        format!("kap version {}", env!("CARGO_PKG_VERSION"))
    );
    let help = ALICE.kapsule(["--help"]).ok();
    for command in [
        "create", "enter", "list", "info", "start", "stop", "restart", "rm", "config", "image",
    ] {
        assert!(help.contains(command), "{help}");
        let own = ALICE.kapsule([command, "--help"]).ok();
        assert!(own.contains("Usage:"), "{own}");
    }
    let bare = ALICE.kapsule([""; 0]);
    bare.ok();
    assert!(bare.errors().contains("Usage:"), "{bare}");
    let create = ALICE.kapsule(["create", "--help"]).ok();
    for flag in [
        "--no-mount-home",
        "--custom-mounts",
        "--no-host-rootfs",
        "--no-gpu",
        "--session-mode",
        "--image",
    ] {
        assert!(create.contains(flag), "{flag}: {create}");
    }
    // Those that nobody starts by hand say what they are for.
    for (program, what) in [
        ("kapsule-ports", "localhost"),
        ("kapsule-bus", "session bus"),
        ("guest/kapsule-dbus-mux", "session bus"),
        ("guest/kapsule-open", "link"),
    ] {
        let help = ALICE.run([&format!("/usr/lib/kapsule/{program}"), "--help"]);
        assert!(help.ok().contains(what), "{program}: {help}");
        assert!(help.text().contains("kapsule set"), "{program}: {help}");
    }
    // A manual page for each.
    ALICE
        .sh("test -e /usr/share/man/man1/kapsule.1 -o -e /usr/share/man/man1/kapsule.1.gz")
        .ok();
}
