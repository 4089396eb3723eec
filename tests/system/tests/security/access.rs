// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Who may do what, and how the service knows.

use kapsule_system_tests::bus::{CONTAINERS, ROOT_PATH, SERVICE};
use kapsule_system_tests::container::{Container, common, names};
use kapsule_system_tests::host::{ALICE, BOB, ROOT, shared};

use super::hostile_user;

#[test]
fn s01_nobody_acts_on_anothers_containers() {
    let Some(_host) = shared() else { return };
    let container = Container::create(ALICE, "t-s01", &[]);
    let name = container.name;
    let before = container.incus_config();
    for (member, args) in [
        ("StartContainer", &["s", name][..]),
        ("StopContainer", &["sb", name, "true"]),
        ("DeleteContainer", &["sb", name, "true"]),
    ] {
        assert_eq!(BOB.operate(member, args).status, "failed", "{member}");
    }
    for (method, args) in [
        ("OpenSession", &["sb", name, "false"][..]),
        ("OpenSession", &["sb", name, "true"]),
        ("GetInfo", &["s", name]),
    ] {
        BOB.call_at(ROOT_PATH, &format!("{CONTAINERS}.{method}"), args)
            .failed();
    }
    assert_eq!(container.incus_config()["status"], before["status"]);
    // Root's image is not bob's to delete either.
    let ended = BOB.operate("DeleteImage", &["s", "debian"]);
    assert_eq!(ended.status, "failed", "{ended:?}");
    assert_eq!(container.sh("id -un"), "alice");
}

#[test]
fn s03_nobody_is_set_up_as_somebody_else() {
    let Some(_host) = shared() else { return };
    let container = Container::create(BOB, "t-s03", &[]);
    let name = container.name;
    for args in [
        [name, "0", "0", "root", "/root"],
        [name, "1000", "1000", "alice", "/home/alice"],
        [name, "1001", "1001", "bob", "/root"],
        [name, "1001", "1001", "bob", "/home/alice"],
        [name, "1001", "0", "bob", "/home/bob"],
        [name, "1001", "1001", "../../etc/cron.d/x", "/home/bob"],
        [name, "1001", "1001", "bob ALL=(ALL) ALL\n", "/home/bob"],
        [name, "1001", "1001", "-o", "/home/bob"],
    ] {
        let said = BOB
            .call("SetupUser", &[&["suuss"][..], &args].concat())
            .failed();
        assert!(said.contains("identity"), "{args:?}: {said}");
    }
    let devices = container.incus_config()["expanded_devices"].to_string();
    assert!(
        !devices.contains("/root") && !devices.contains("alice"),
        "{devices}"
    );
    let ended = BOB.operate(
        "SetupUser",
        &["suuss", name, "1001", "1001", "bob", "/home/bob"],
    );
    assert_eq!(ended.status, "completed", "{ended:?}");
}

#[test]
fn s04_entering_takes_no_right_to_incus() {
    let Some(_host) = shared() else { return };
    let container = Container::create(BOB, "t-s04", &[]);
    assert_eq!(container.sh("id -un"), "bob");
    let groups = BOB.run(["id", "-nG"]).ok();
    for group in ["incus", "incus-admin", "wheel", "sudo"] {
        assert!(!groups.split(' ').any(|has| has == group), "{groups}");
    }
    let open = ROOT.sh("find /run/incus /var/lib/incus -maxdepth 1 -type s \\( -perm -o+w -o -group bob -o -group users \\)").text();
    for socket in open.lines() {
        // Where a distribution leaves one open, its folder has to be closed.
        assert_ne!(
            BOB.run(["test", "-w", socket]).status,
            0,
            "{socket} is open to everybody"
        );
    }
    // What clients are told to run is ours, too.
    let prepared = BOB.answer("PrepareEnter", &["sass", container.name, "0", ""], "(bsas)");
    assert_eq!(prepared[0][2][0], "kapsule", "{prepared}");
}

/// What the first Kapsule believed: that the host's time zone and locale are what a signal says.
#[test]
fn s08_signals_of_users_change_nothing() {
    let Some(_host) = shared() else { return };
    let container = common();
    let state = || {
        container.sh("cat /etc/timezone /etc/locale.conf /etc/default/locale 2>/dev/null; readlink /etc/localtime; ls -la /etc | sha256sum")
    };
    let before = state();
    for (path, interface, key, value) in [
        (
            "/org/freedesktop/timedate1",
            "org.freedesktop.timedate1",
            "Timezone",
            "variant:string:Pacific/Kiritimati",
        ),
        (
            "/org/freedesktop/locale1",
            "org.freedesktop.locale1",
            "Locale",
            "variant:string:LANG=tlh",
        ),
        (
            "/org/freedesktop/hostname1",
            "org.freedesktop.hostname1",
            "Hostname",
            "variant:string:evil",
        ),
    ] {
        let send = format!(
            "dbus-send --system --type=signal --dest={SERVICE} {path} org.freedesktop.DBus.Properties.PropertiesChanged \
             string:{interface} dict:string:variant: array:string:{key}; \
             dbus-send --system --type=signal --dest={SERVICE} {path} {interface}.PropertiesChanged string:{key} {value}; \
             dbus-send --system --type=signal --dest={SERVICE} /org/freedesktop/DBus org.freedesktop.DBus.NameOwnerChanged string:org.freedesktop.PolicyKit1 string: string:$(busctl --system list --json=short >/dev/null; echo :1.1)"
        );
        drop(BOB.sh(&send));
    }
    assert_eq!(state(), before);
    ALICE.kapsule(["list"]).ok();
    // Polkit is asked as ever.
    let ended = ALICE.operate("StopContainer", &["sb", "t-nothing", "false"]);
    assert!(ended.error.contains("t-nothing"), "{ended:?}");
}

#[test]
fn s09_names_stay_names() {
    let Some(host) = shared() else { return };
    let name = common().name;
    let other = format!("{name}?project=kapsule-1000");
    for bad in [
        other.as_str(),
        "x?project=default",
        "../../projects",
        "..",
        "a/b",
        "a%2fb",
        "a#b",
        "a b",
        "a\nb",
        "",
        "-x",
        "x&recursion=2",
    ] {
        for (member, args) in [
            ("DeleteContainer", &["sb", bad, "true"][..]),
            ("StopContainer", &["sb", bad, "true"]),
            ("StartContainer", &["s", bad]),
            ("CreateContainer", &["ssa{sv}", bad, "local:debian", "0"]),
        ] {
            assert_eq!(
                BOB.operate(member, args).status,
                "failed",
                "{member} {bad:?}"
            );
        }
        for (member, args) in [
            ("GetInfo", &["s", bad][..]),
            ("OpenSession", &["sb", bad, "false"]),
        ] {
            // The empty name is the default container, which bob has not.
            BOB.call_at(ROOT_PATH, &format!("{CONTAINERS}.{member}"), args)
                .failed();
        }
    }
    host.wait_until("alice's is untouched", || common().status() == "Running");
    assert!(!host.state().contains("project="), "{}", host.state());
}

/// A process that has asked becomes another user's before the service looks: what counts is who
/// connected.
#[test]
fn s11_who_calls_is_who_connected() {
    let Some(host) = shared() else { return };
    let container = Container::planned(BOB, "t-s11");
    let program = hostile_user();
    // `sudo` runs as root, in the very process that has just asked, and waits for a password.
    let become_root = [
        program,
        "become",
        container.name,
        "/usr/bin/sudo",
        "-S",
        "true",
    ];
    let asking = BOB.command(become_root).start();
    host.wait_until("it is another's process", || {
        ROOT.run(["pgrep", "--euid", "0", "--full", "^/usr/bin/sudo -S true"])
            .status
            == 0
    });
    host.wait_until("it is made", || names(BOB).contains(&"t-s11".to_owned()));
    assert!(!names(ROOT).contains(&"t-s11".to_owned()));
    let of_root = ROOT
        .sh("incus list --project kapsule-0 --format csv 2>/dev/null | grep -c t-s11")
        .text();
    assert_ne!(of_root.trim(), "1");
    drop(asking);
}

#[test]
fn s13_other_instances_are_left_alone() {
    let Some(_host) = shared() else { return };
    common();
    let name = "t-foreign";
    let remove = "for p in default kapsule-1000; do incus delete --force --project $p t-foreign; done 2>/dev/null; true";
    drop(ROOT.sh(remove));
    // In the default project, and an administrator's in alice's.
    let fingerprint = ROOT
        .sh("incus image list --format csv --columns lf | grep -m1 ^debian | cut -d, -f2")
        .ok();
    for project in ["default", "kapsule-1000"] {
        let storage = "-s $(incus storage list --format csv | head -n1 | cut -d, -f1)";
        ROOT.sh(&format!(
            "incus init --project {project} {storage} --no-profiles {fingerprint} {name} </dev/null"
        ))
        .ok();
    }
    let config = |project: &str| {
        ROOT.run([
            "incus",
            "query",
            &format!("/1.0/instances/{name}?project={project}"),
        ])
        .text()
    };
    let before = (config("default"), config("kapsule-1000"));
    for user in [ALICE, BOB, ROOT] {
        assert!(!names(user).contains(&name.to_owned()), "{}", user.user);
        for command in [
            &["start"][..],
            &["stop"],
            &["rm", "--force"],
            &["info"],
            &["enter"],
        ] {
            user.kapsule([command, &[name]].concat()).failed();
        }
    }
    assert_eq!((config("default"), config("kapsule-1000")), before);
    drop(ROOT.sh(remove));
}
