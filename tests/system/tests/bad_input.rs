// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Input that is refused: with a reason and a next step, a status that is not 0, and nothing changed.

use kapsule_system_tests::bus::Ended;
use kapsule_system_tests::container::{IMAGE, common};
use kapsule_system_tests::host::{ALICE, alone};
use kapsule_system_tests::process::Output;

fn bad_names() -> Vec<String> {
    let mut names: Vec<String> = [
        "",
        "../x",
        "a/b",
        "/",
        "..",
        ".",
        "x?project=default",
        "x#y",
        "x%2Fy",
        "a b",
        "a\nb",
        "a_b",
        "a.b",
        "1x",
        "x-",
        "bücher",
        "漢字",
        "x\u{1b}[2J",
    ]
    .map(str::to_owned)
    .into();
    names.push("a".repeat(64));
    names.push("a".repeat(5000));
    names
}

#[track_caller]
fn refused(output: &Output, needles: &[&str]) {
    let all = output.failed();
    assert!(all.contains("Error:") || all.contains("error:"), "{output}");
    for needle in needles {
        assert!(all.contains(needle), "{needle:?}: {output}");
    }
    // What was typed must not steer the terminal.
    assert!(!all.contains("\u{1b}[2J"), "{output}");
}

#[test]
fn names_on_the_command_line() {
    let Some(host) = alone() else { return };
    common();
    host.unchanged(|| {
        for name in bad_names() {
            refused(
                &ALICE.kapsule(["create", &name, "--image", IMAGE]),
                &["a container name"],
            );
            for command in ["info", "start", "stop", "restart", "rm"] {
                refused(&ALICE.kapsule([command, &name]), &["a container name"]);
            }
            if !name.is_empty() {
                let output = ALICE.enter(&name, ["true"]);
                refused(&output, &["a container name"]);
                assert_eq!(output.status, 125, "{output}");
            }
        }
        for command in ["create", "info", "start", "stop", "restart", "rm"] {
            refused(&ALICE.kapsule([command, "--", "-x"]), &["a container name"]);
            ALICE.kapsule([command, "-x"]).failed();
            ALICE.kapsule([command]).failed();
        }
        refused(&ALICE.kapsule(["enter", "-x"]), &[]);
    });
}

#[test]
fn names_over_the_bus() {
    let Some(host) = alone() else { return };
    common();
    host.unchanged(|| {
        for name in bad_names().iter().map(String::as_str).chain(["-x"]) {
            let create = ALICE.operate("CreateContainer", &["ssa{sv}", name, IMAGE, "0"]);
            let delete = ALICE.operate("DeleteContainer", &["sb", name, "true"]);
            for ended in [create, delete] {
                assert_eq!(ended.status, "failed", "{name:?}");
                assert!(
                    ended.error.contains("a container name"),
                    "{name:?}: {}",
                    ended.error
                );
            }
            for (member, args) in [
                ("StartContainer", &["s", name][..]),
                ("StopContainer", &["sb", name, "true"]),
            ] {
                assert_eq!(
                    ALICE.operate(member, args).status,
                    "failed",
                    "{member} {name:?}"
                );
            }
            ALICE.call("GetContainerInfo", &["s", name]).failed();
            let known = ALICE.answer("IsUserSetup", &["su", name, "1000"], "b");
            assert_eq!(known[0], false, "{name:?}");
            if !name.is_empty() {
                let prepared = ALICE.answer("PrepareEnter", &["sass", name, "0", ""], "(bsas)");
                assert_eq!(prepared[0][0], false, "{name:?}");
            }
        }
    });
}

#[test]
fn a_name_that_is_taken() {
    let Some(host) = alone() else { return };
    let name = common().name;
    host.unchanged(|| {
        refused(
            &ALICE.kapsule(["create", name, "--image", IMAGE]),
            &["already exists", "kapsule rm"],
        );
        let ended = ALICE.operate("CreateContainer", &["ssa{sv}", name, IMAGE, "0"]);
        assert_eq!(ended.status, "failed");
        assert!(ended.error.contains("already exists"), "{}", ended.error);
    });
    assert_eq!(common().sh("id -u"), "1000");
}

#[test]
fn names_of_nothing() {
    let Some(host) = alone() else { return };
    common();
    host.unchanged(|| {
        for command in ["info", "start", "stop", "restart", "rm"] {
            let output = ALICE.kapsule([command, "t-nothing"]);
            refused(&output, &["t-nothing"]);
            assert_eq!(output.status, 1, "{output}");
        }
    });
}

#[test]
fn images() {
    let Some(host) = alone() else { return };
    common();
    host.unchanged(|| {
        refused(
            &ALICE.kapsule(["create", "t-bad", "--image", "local:t-nothing"]),
            &["t-nothing", "kapsule image list"],
        );
        refused(
            &ALICE.kapsule(["create", "t-bad", "--image", "t-nowhere:debian"]),
            &["Unknown server alias", "Known aliases"],
        );
        for image in [
            "",
            "local:",
            ":",
            "local:a b",
            "local:../x",
            "local:x?y",
            "local:-x",
            "a b:c",
            "local:x\ny",
        ] {
            refused(&ALICE.kapsule(["create", "t-bad", "--image", image]), &[]);
        }
        for image in [
            "local:",
            ":",
            "local:../x",
            "t-nowhere:x",
            "local:t-nothing",
            "local:x?project=y",
        ] {
            let ended = ALICE.operate("CreateContainer", &["ssa{sv}", "t-bad", image, "0"]);
            assert_eq!(ended.status, "failed", "{image}");
            assert!(!ended.error.is_empty(), "{image}");
        }
        refused(
            &ALICE.kapsule(["image", "refresh", "t-nowhere:x"]),
            &["Unknown server alias", "Known aliases"],
        );
        refused(
            &ALICE.kapsule(["image", "delete", "t-nothing"]),
            &["t-nothing"],
        );
        refused(&ALICE.kapsule(["image", "delete", ""]), &[]);
        refused(&ALICE.kapsule(["image", "delete", "../x"]), &[]);
    });
}

#[test]
fn options() {
    let Some(host) = alone() else { return };
    common();
    let create = |options: &[&str]| -> Ended {
        let args = [&["ssa{sv}", "t-bad", IMAGE][..], options].concat();
        ALICE.operate("CreateContainer", &args)
    };
    host.unchanged(|| {
        let cases: [(&[&str], &[&str]); 12] = [
            (&["1", "nonsense", "b", "true"], &["nonsense", "mount_home"]),
            (&["2", "zz", "s", "x", "aa", "u", "1"], &["aa, zz"]),
            (&["1", "gpu", "s", "yes"], &["gpu", "boolean"]),
            (&["1", "gpu", "u", "1"], &["gpu", "boolean"]),
            (
                &["1", "mount_home", "as", "1", "x"],
                &["mount_home", "boolean"],
            ),
            (
                &["1", "custom_mounts", "b", "true"],
                &["custom_mounts", "array"],
            ),
            (
                &["1", "custom_mounts", "s", "/srv"],
                &["custom_mounts", "array"],
            ),
            (
                &["1", "custom_mounts", "av", "2", "s", "/srv", "u", "7"],
                &["custom_mounts", "1"],
            ),
            (&["1", "nvidia_drivers", "b", "true"], &["nvidia_drivers"]),
            (
                &["2", "nvidia_drivers", "b", "true", "gpu", "b", "false"],
                &["gpu"],
            ),
            (&["1", "session_mode", "s", "yes"], &["session_mode"]),
            (
                &["2", "dbus_mux", "b", "true", "session_bus", "b", "false"],
                &["needs 'session_bus'"],
            ),
        ];
        for (options, needles) in cases {
            let ended = create(options);
            assert_eq!(ended.status, "failed", "{options:?}");
            for needle in needles {
                assert!(ended.error.contains(needle), "{options:?}: {}", ended.error);
            }
        }
        for (flag, needle) in [
            ("--nvidia-drivers", "cannot be used"),
            ("--nonsense", "--nonsense"),
            ("--gpu=yes", "--gpu"),
        ] {
            refused(
                &ALICE.kapsule(["create", "t-bad", "--image", IMAGE, flag]),
                &[needle],
            );
        }
    });
}

#[test]
fn mounts() {
    let Some(host) = alone() else { return };
    common();
    ALICE
        .sh("mkdir -p ~/t-mounts; echo x > ~/t-mounts/file; ln -sfn /etc ~/t-mounts/link")
        .ok();
    host.unchanged(|| {
        for (folder, needle) in [
            ("/srv/t-missing", "no such folder"),
            ("~/t-mounts/missing", "no such folder"),
            ("/home/alice/t-mounts/file", "not a folder"),
            ("/root", "/root cannot be mounted"),
            ("/home/bob", "alice may not read it"),
            ("/etc", "/etc"),
            ("/home/alice/t-mounts/link", "/etc"),
            ("/", "/"),
            ("/proc/self", "/proc"),
            ("/home/alice/../bob", ".."),
            ("~bob/x", "~bob"),
        ] {
            // Over the bus too, where nobody makes the path absolute first.
            let args = [
                "ssa{sv}",
                "t-bad",
                IMAGE,
                "1",
                "custom_mounts",
                "as",
                "1",
                folder,
            ];
            let ended = ALICE.operate("CreateContainer", &args);
            assert_eq!(ended.status, "failed", "{folder}");
            assert!(ended.error.contains(needle), "{folder}: {}", ended.error);
        }
        refused(
            &ALICE.kapsule([
                "create",
                "t-bad",
                "--image",
                IMAGE,
                "--custom-mounts",
                "/srv/t-missing",
            ]),
            &["/srv/t-missing", "no such folder"],
        );
        let ended = ALICE.operate(
            "CreateContainer",
            &[
                "ssa{sv}",
                "t-bad",
                IMAGE,
                "1",
                "custom_mounts",
                "as",
                "1",
                "relative",
            ],
        );
        assert_eq!(ended.status, "failed");
    });
    ALICE.sh("rm -r ~/t-mounts").ok();
}

#[test]
fn words_that_are_no_commands() {
    let Some(host) = alone() else { return };
    common();
    host.unchanged(|| {
        for line in [
            &["nonsense"][..],
            &["create"],
            &["create", "a", "b"],
            &["list", "--nonsense"],
            &["image", "nonsense"],
            &["image", "import"],
            &["rm"],
            &["config", "nonsense"],
        ] {
            let output = ALICE.kapsule(line);
            refused(&output, &[]);
            assert_eq!(output.status, 2, "{output}");
        }
    });
}
