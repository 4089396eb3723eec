// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Every method of the service, called by bob about things of alice's: nothing of hers changes, and
//! nothing is told but what is told of things that nobody has.

use std::collections::BTreeSet;

use kapsule_system_tests::bus::{ROOT_PATH, SERVICE};
use kapsule_system_tests::container::{Container, aliases};
use kapsule_system_tests::host::{ALICE, BOB, ROOT, alone};
use kapsule_system_tests::monitor::Monitor;
use kapsule_system_tests::process::Output;

/// What alice's things are called.
const HERS: &str = "t-hers";
/// What nothing is called.
const NOBODYS: &str = "t-none";

/// What a method is called with; `NAME` stands for the container's or image's name.
type Call = (&'static str, &'static [&'static str]);

const MANAGER: &[Call] = &[
    (
        "CreateContainer",
        &["ssa{sv}", "t-stolen", "local:NAME", "0"],
    ),
    ("DeleteContainer", &["sb", "NAME", "true"]),
    ("DeleteImage", &["s", "NAME"]),
    ("GetConfig", &[]),
    ("GetContainerInfo", &["s", "NAME"]),
    ("GetCreateSchema", &[]),
    ("ImportImage", &["ss", "/home/alice/NAME", "t-stolen"]),
    ("IsUserSetup", &["su", "NAME", "1000"]),
    ("ListContainers", &[]),
    ("ListImages", &[]),
    ("ListOperations", &[]),
    ("PrepareEnter", &["sass", "NAME", "0", ""]),
    ("RefreshImages", &["s", "local:NAME"]),
    (
        "SetupUser",
        &["suuss", "NAME", "1001", "1001", "bob", "/home/bob"],
    ),
    ("StartContainer", &["s", "NAME"]),
    ("StopContainer", &["sb", "NAME", "true"]),
];

const CONTAINERS: &[Call] = &[
    ("GetInfo", &["s", "NAME"]),
    ("List", &[]),
    ("OpenSession", &["sb", "NAME", "false"]),
    ("OpenSession", &["sb", "NAME", "true"]),
    ("Restart", &["sb", "NAME", "true"]),
    (
        "SetOptions",
        &["sa{sv}", "NAME", "1", "sound", "b", "false"],
    ),
];

const ADMIN: &[Call] = &[
    ("CancelOperation", &["o", "/org/kde/kapsule/operations/1"]),
    ("Delete", &["ssb", "alice", "NAME", "true"]),
    ("GetInfo", &["ss", "alice", "NAME"]),
    ("ListAll", &[]),
    ("ListOperations", &[]),
    ("Restart", &["ssb", "alice", "NAME", "true"]),
    (
        "SetOptions",
        &["ssa{sv}", "alice", "NAME", "1", "sound", "b", "false"],
    ),
    ("SetSystemDefault", &["ss", "storage.pool", "t-stolen"]),
    ("Start", &["ss", "alice", "NAME"]),
    ("Stop", &["ssb", "alice", "NAME", "true"]),
    ("UnsetSystemDefault", &["s", "storage.pool"]),
];

const INTERFACES: [(&str, &[Call]); 3] = [
    ("org.kde.kapsule.Manager", MANAGER),
    ("org.kde.kapsule.Containers1", CONTAINERS),
    ("org.kde.kapsule.Admin1", ADMIN),
];

#[test]
fn no_method_is_left_out() {
    let Some(_host) = alone() else { return };
    for (interface, calls) in INTERFACES {
        let introspect = [
            "busctl",
            "--system",
            "--json=short",
            "introspect",
            SERVICE,
            ROOT_PATH,
        ];
        let listed = BOB.run([&introspect[..], &[interface]].concat()).json();
        let methods = listed.as_array().into_iter().flatten();
        let there: BTreeSet<String> = methods
            .filter(|member| member["type"] == "method")
            .filter_map(|member| Some(member["name"].as_str()?.trim_start_matches('.').to_owned()))
            .collect();
        let called: BTreeSet<String> = calls.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(there, called, "{interface}");
    }
}

/// What bob hears when he calls a method about this name; how an operation ends, if it is one.
fn hears(interface: &str, (member, args): &Call, name: &str) -> String {
    let args: Vec<String> = args.iter().map(|arg| arg.replace("NAME", name)).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let output: Output = BOB.call_at(ROOT_PATH, &format!("{interface}.{member}"), &args);
    let heard = match output.text().split_once("/org/kde/kapsule/operations/") {
        Some((_, rest)) if output.status == 0 && member != &"ListOperations" => {
            let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
            let ended = BOB.finish(&format!("/org/kde/kapsule/operations/{number}"));
            format!("{}: {}", ended.status, ended.error)
        }
        // Members of a map come in any order.
        _ if output.status == 0 && !output.text().is_empty() => output.json().to_string(),
        _ => output.all(),
    };
    // Whether the caller was still there to be asked is a matter of moments.
    let needed = ["a password is needed", "the password was not right"];
    match needed.iter().any(|text| heard.contains(text)) {
        true => "a password is needed".to_owned(),
        false => heard.replace(name, "NAME"),
    }
}

#[test]
fn nothing_of_hers_is_told_or_changed() {
    let Some(host) = alone() else { return };
    let container = Container::create(ALICE, HERS, &[]);
    // An image of hers alone: a copy that differs.
    let small = "/var/tmp/t-image";
    ROOT.sh(&format!(
        "rm -rf {small} && mkdir -p {small}/rootfs/sbin && cd {small} && ln -s /bin/true rootfs/sbin/init
         printf 'architecture: x86_64\\ncreation_date: 1\\nproperties: {{os: hers, description: hers}}\\n' > metadata.yaml
         tar -cf {HERS}.tar metadata.yaml rootfs && chmod -R a+rX {small}"
    ))
    .ok();
    ALICE
        .kapsule([
            "image",
            "import",
            &format!("{small}/{HERS}.tar"),
            "--alias",
            HERS,
        ])
        .ok();
    assert!(aliases(ALICE).contains(&HERS.to_owned()));

    let monitor = Monitor::start();
    host.unchanged(|| {
        for (interface, calls) in INTERFACES {
            for call in calls {
                let (of_hers, of_nobodys) = (
                    hears(interface, call, HERS),
                    hears(interface, call, NOBODYS),
                );
                assert_eq!(of_hers, of_nobodys, "{interface}.{}", call.0);
            }
        }
    });
    assert_eq!(container.sh("id -un"), "alice", "nobody stopped it");
    // And alice, whose connections bob's calls do not concern, gets no signal; nor does everybody.
    for message in monitor.messages() {
        if message.is_signal_of_service() {
            assert!(
                !message.destination().is_empty(),
                "for everybody: {message:?}"
            );
        }
    }
    ALICE.kapsule(["image", "delete", HERS]).ok();
    ROOT.run(["rm", "-rf", small]).ok();
}

/// When alice works is nobody else's business either.
#[test]
fn signals_are_for_her_connections_alone() {
    let Some(_host) = alone() else { return };
    let monitor = Monitor::start();
    // Bob has called, and goes on listening.
    let mut listening = BOB
        .command([
            "sh",
            "-c",
            "kapsule list >&2; exec gdbus monitor --system --dest org.kde.kapsule",
        ])
        .start();
    listening.wait_for("is owned by");
    let container = Container::create(ALICE, "t-quiet", &[]);
    ALICE.kapsule(["stop", "--force", container.name]).ok();
    let messages = monitor.wait_for("ContainersChanged", |it| it.is_signal("ContainersChanged"));
    for message in messages.iter().filter(|it| it.is_signal_of_service()) {
        assert!(
            !message.destination().is_empty(),
            "for everybody: {message:?}"
        );
    }
    let heard = listening.stdout();
    assert!(
        !heard.contains("t-quiet") && !heard.contains("ContainersChanged"),
        "{heard}"
    );
}
