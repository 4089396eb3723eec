// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Who may do what, as the host's polkit decides: without rules, and with those of an administrator.

use std::time::{Duration, Instant};

use kapsule_system_tests::bus::{CONTAINERS, ROOT_PATH};
use kapsule_system_tests::container::{Container, IMAGE, common};
use kapsule_system_tests::host::{ALICE, BOB, ROOT, alone, shared};
use kapsule_system_tests::polkit::{Password, Rule};
use kapsule_system_tests::process::Output;

const NEEDS_PASSWORD: &str = "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired";
const ACCESS_DENIED: &str = "org.kde.kapsule.Error.AccessDenied";

/// Bob's commands from elsewhere than his desktop: from a login without a seat, and from a service.
const ELSEWHERE: [&[&str]; 2] = [
    &[
        "--property=PAMName=login",
        "--property=Environment=XDG_SESSION_CLASS=user",
    ],
    &[],
];

/// Not a limit on how quick it is, but on how long a hang is watched.
const HANG: Duration = Duration::from_secs(30);

/// Runs a script as bob in a unit of its own.
fn elsewhere(properties: &[&str], script: &str) -> Output {
    let unit = [
        "systemd-run",
        "--quiet",
        "--wait",
        "--pipe",
        "--collect",
        "--uid=bob",
    ];
    let command = ["--", "sh", "-c", script];
    ROOT.command([&unit[..], properties, &command].concat())
        .run()
}

#[test]
fn polkit_knows_the_actions() {
    let Some(_host) = shared() else { return };
    for (act, default) in [
        ("see-containers", "yes"),
        ("manage-containers", "yes"),
        ("enter-container", "yes"),
        ("create-container", "yes"),
        ("create-privileged", "auth_admin_keep"),
        ("mount-beyond-own-rights", "auth_admin_keep"),
        ("give-devices", "auth_admin_keep"),
        ("manage-images", "yes"),
        ("manage-others", "auth_admin_keep"),
        ("change-system-defaults", "auth_admin_keep"),
    ] {
        let action = format!("org.kde.kapsule.{act}");
        let told = ROOT
            .run(["pkaction", "--verbose", "--action-id", &action])
            .ok();
        for who in ["any", "inactive", "active"] {
            let line = told
                .lines()
                .find(|line| line.contains(&format!("implicit {who}:")));
            let answer = line.and_then(|line| line.split_whitespace().last());
            assert_eq!(answer, Some(default), "{told}");
        }
        assert!(told.contains("icon:"), "{told}");
    }
}

#[test]
fn everyday_things_need_no_password_wherever_one_is() {
    let Some(_host) = shared() else { return };
    for (number, properties) in ELSEWHERE.into_iter().enumerate() {
        let name = ["t-seatless", "t-service"][number];
        let container = Container::planned(BOB, name);
        let script = format!(
            "set -e; kapsule create {name} --image {IMAGE} >&2; kapsule list | grep -q {name}
             kapsule info {name} | grep -q Running; kapsule enter {name} -- id -un </dev/null
             kapsule image list | grep -q debian; kapsule restart --force {name} >&2
             kapsule stop --force {name} >&2; kapsule rm {name} >&2; echo done"
        );
        assert_eq!(elsewhere(properties, &script).ok(), "bob\ndone");
        drop(container);
    }
}

#[test]
fn what_is_dangerous_is_refused_where_nobody_can_be_asked() {
    let Some(host) = alone() else { return };
    let name = common().name;
    host.unchanged(|| {
        for script in [
            "kapsule list --all-users".to_owned(),
            format!("kapsule info --owner alice {name}"),
            format!("kapsule stop --owner alice --force {name}"),
            format!("kapsule set --owner alice --no-sound {name}"),
            format!("kapsule rm --owner 1000 --force {name}"),
        ] {
            let mut outputs = vec![BOB.sh(&script)];
            outputs.extend(ELSEWHERE.map(|properties| elsewhere(properties, &script)));
            for output in outputs {
                let text = output.failed();
                assert!(text.contains("a password is needed"), "{text}");
                assert!(text.contains("org.kde.kapsule.manage-others"), "{text}");
            }
        }
    });
    // Over the bus, with and without the flag; as an answer's error, and as an operation's.
    let method = "org.kde.kapsule.Admin1.ListAll";
    assert_eq!(BOB.error_name(method, &[]), NEEDS_PASSWORD);
    let stop = BOB.call_at(
        ROOT_PATH,
        "org.kde.kapsule.Admin1.Stop",
        &["ssb", "alice", name, "true"],
    );
    let path = kapsule_system_tests::bus::path_in(&stop);
    assert_eq!(BOB.finish(&path).status, "failed");
    let log = BOB.call_at(&path, "org.kde.kapsule.OperationLog1.GetErrorName", &[]);
    assert_eq!(
        kapsule_system_tests::bus::values(&log, "s")[0],
        NEEDS_PASSWORD
    );
    assert_eq!(common().status(), "Running");
}

/// A rule counts at once, also about what was allowed a moment ago.
#[test]
fn a_rule_takes_a_right_away() {
    let Some(host) = alone() else { return };
    let container = Container::create(BOB, "t-ruled", &[]);
    let name = container.name;
    assert_eq!(container.sh("id -un"), "bob");
    let refused = |act: &str, commands: &[&[&str]]| {
        let _rule = Rule::new(BOB, act, "NO");
        host.unchanged(|| {
            for command in commands {
                let text = BOB.kapsule(*command).failed();
                assert!(
                    text.contains("the administrator does not allow this")
                        && text.contains(&format!("org.kde.kapsule.{act}")),
                    "{command:?}: {text}"
                );
            }
        });
        // Alice is somebody else.
        ALICE.kapsule(["list"]).ok();
    };
    refused(
        "enter-container",
        &[
            &["enter", name, "--", "true"],
            &["enter", "--user", "root", name],
        ],
    );
    assert_eq!(container.sh("id -un"), "bob", "it can be entered again");
    refused(
        "see-containers",
        &[&["list"], &["info", name], &["image", "list"]],
    );
    BOB.kapsule(["list"]).ok();
    refused(
        "manage-containers",
        &[
            &["start", name],
            &["stop", name],
            &["stop", "--force", name],
            &["restart", name],
            &["rm", "--force", name],
        ],
    );
    refused(
        "create-container",
        &[&["create", "t-refused", "--image", IMAGE]],
    );
    refused(
        "manage-images",
        &[
            &[
                "image",
                "import",
                "/var/cache/kapsule-images/debian",
                "--alias",
                "t-refused",
            ],
            &["image", "delete", "debian"],
            &["image", "refresh"],
        ],
    );
    assert_eq!(container.status(), "Running");
}

/// A yes to one login session, which is remembered, says nothing about another of the same user.
#[test]
fn a_yes_is_remembered_for_its_session_only() {
    let Some(_host) = alone() else { return };
    let container = Container::create(BOB, "t-ruled", &[]);
    let file = "/etc/polkit-1/rules.d/40-t-session.rules";
    let rule = "polkit.addRule(function(action, subject) { \
                if (action.id == \"org.kde.kapsule.enter-container\" \
                    && subject.system_unit == \"t-ruled.service\") return polkit.Result.NO; });";
    ROOT.command(["tee", file]).stdin(rule).run().ok();
    let deadline = Instant::now() + HANG;
    let refused = loop {
        // Asked, and remembered.
        assert_eq!(container.sh("id -un"), "bob");
        let there = elsewhere(
            &["--unit=t-ruled"],
            "kapsule enter t-ruled -- id -un </dev/null",
        );
        // Until polkit has read the rule.
        if !there.text().contains("bob") || Instant::now() > deadline {
            break there;
        }
    };
    ROOT.run(["rm", file]).ok();
    let text = refused.failed();
    assert!(
        text.contains("the administrator does not allow this"),
        "{text}"
    );
}

/// The same over the bus, where a refusal has a name.
#[test]
fn a_refusal_over_the_bus() {
    let Some(_host) = alone() else { return };
    let container = Container::create(BOB, "t-ruled", &[]);
    let name = container.name;
    {
        let _rule = Rule::new(BOB, "enter-container", "NO");
        for as_root in ["false", "true"] {
            let method = format!("{CONTAINERS}.OpenSession");
            assert_eq!(BOB.error_name(&method, &[name, as_root]), ACCESS_DENIED);
        }
        let prepared = BOB.answer("PrepareEnter", &["sass", name, "0", ""], "(bsas)");
        assert_eq!(prepared[0][0], false, "{prepared}");
        assert_eq!(prepared[0][2], serde_json::json!([]), "{prepared}");
    }
    let _rule = Rule::new(BOB, "see-containers", "NO");
    for method in [
        "Manager.ListContainers",
        "Manager.ListImages",
        "Containers1.List",
    ] {
        assert_eq!(
            BOB.error_name(&format!("org.kde.kapsule.{method}"), &[]),
            ACCESS_DENIED
        );
    }
    for method in ["Manager.GetContainerInfo", "Containers1.GetInfo"] {
        let method = format!("org.kde.kapsule.{method}");
        assert_eq!(BOB.error_name(&method, &[name]), ACCESS_DENIED);
    }
    BOB.call("IsUserSetup", &["su", name, "1001"]).failed();
}

#[test]
fn a_rule_gives_a_right() {
    let Some(_host) = alone() else { return };
    let container = Container::create(ALICE, "t-helped", &[]);
    let name = container.name;
    {
        let _rule = Rule::new(BOB, "manage-others", "YES");
        let all = BOB.kapsule(["list", "--all-users"]).ok();
        assert!(
            all.lines()
                .any(|line| line.starts_with("alice") && line.contains(name)),
            "{all}"
        );
        BOB.kapsule(["stop", "--owner", "alice", "--force", name])
            .ok();
        assert_eq!(container.status(), "Stopped");
        // Without saying whose, it is one's own.
        BOB.kapsule(["start", name]).failed();
        // The right to manage is none to go in.
        BOB.kapsule(["enter", "--owner", "alice", name, "--", "id"])
            .ended(125);
    }
    BOB.kapsule(["start", "--owner", "alice", name]).failed();
    assert_eq!(container.status(), "Stopped");
}

/// Without a desktop's agent, `kapsule` brings polkit's own for the terminal.
#[test]
fn somebody_at_a_terminal_is_asked_once() {
    let Some(_host) = alone() else { return };
    let _rule = Rule::new(BOB, "manage-others", "AUTH_ADMIN_KEEP");
    let _password = Password::new("alice", "right");
    let container = Container::create(ALICE, "t-asked", &[]);
    let name = container.name;
    let ask = |args: &[&str], password: &str| {
        let mut asked = BOB.kapsule_command(args).tty().start();
        asked.wait_for("assword:");
        asked.write(format!("{password}\n"));
        asked.wait()
    };
    let text = ask(&["stop", "--force", "--owner", "alice", name], "wrong").failed();
    assert!(text.contains("manage-others"), "{text}");
    assert_eq!(container.status(), "Running");
    // Two containers, and one question.
    let other = Container::create(ALICE, "t-asked-too", &[]);
    let done = ask(
        &["stop", "--force", "--owner", "alice", name, other.name],
        "right",
    );
    let text = done.ended(0);
    assert_eq!(text.matches("assword:").count(), 1, "{text}");
    assert_eq!(
        (container.status().as_str(), other.status().as_str()),
        ("Stopped", "Stopped")
    );
    // A method that answers at once.
    let text = ask(&["list", "--all-users"], "right").ended(0);
    assert!(text.contains(name), "{text}");
    // Nobody types anything here.
    BOB.kapsule(["list", "--all-users"]).failed();
}
