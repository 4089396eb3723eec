// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! One command in a container: who it runs as, what arrives there, what comes back.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use kapsule_system_tests::container::{Container, IMAGE, common, names};
use kapsule_system_tests::host::{ALICE, ROOT, shared};

#[test]
fn one_is_oneself() {
    let Some(_host) = shared() else { return };
    let name = common().name;
    let id = ALICE.enter(name, ["id"]).ok();
    assert!(id.starts_with("uid=1000(alice) gid=1000(alice)"), "{id}");
    let user =
        common().sh("id -un; id -u; echo $HOME $USER $SHELL; pwd; cat /etc/hostname; hostname");
    let expected = [
        "alice",
        "1000",
        "/home/alice alice /bin/bash",
        "/home/alice",
        name,
        name,
    ];
    assert_eq!(user.lines().collect::<Vec<_>>(), expected);
    let host_shell = ALICE.sh("getent passwd alice | cut -d: -f7").ok();
    assert_eq!(
        common().sh("getent passwd 1000"),
        format!("alice:x:1000:1000::/home/alice:{host_shell}")
    );
    // One name for the number, both ways.
    assert_eq!(common().sh("getent passwd | grep -c ':x:1000:'"), "1");
    assert_eq!(common().sh("getent group 1000 | cut -d: -f1"), "alice");
}

#[test]
fn sudo_makes_root_of_the_container_only() {
    let Some(_host) = shared() else { return };
    let name = common().name;
    assert_eq!(ALICE.enter(name, ["sudo", "id", "-u"]).ok(), "0");
    assert_eq!(ALICE.enter(name, ["sudo", "-n", "whoami"]).ok(), "root");
    // Root in there is nobody out here.
    common().sh("sudo sh -c 'echo inside > /root/t-file'");
    ROOT.run(["test", "-e", "/root/t-file"]).ended(1);
    ROOT.sh("echo secret > /root/t-secret; chmod 600 /root/t-secret")
        .ok();
    for script in [
        "sudo cat /.kapsule/host/etc/shadow",
        "sudo cat /.kapsule/host/root/t-secret",
        "sudo touch /.kapsule/host/etc/t-file",
        "sudo ls /.kapsule/host/home/bob",
        "sudo mknod /tmp/t-disk b 7 0",
        "sudo mount -t btrfs /dev/loop0 /mnt",
    ] {
        ALICE.enter(name, ["sh", "-c", script]).failed();
    }
    ROOT.sh("rm /root/t-secret").ok();
}

#[test]
fn the_container_is_not_privileged() {
    let Some(_host) = shared() else { return };
    let instance = common().incus_config();
    assert_eq!(instance["status"], "Running");
    let config = &instance["expanded_config"];
    assert!(config["security.privileged"].is_null(), "{config}");
    assert_eq!(config["security.nesting"], "true");
    assert_eq!(config["user.kapsule.owner"], "1000");
    assert_eq!(config["user.kapsule.state"], "ready");
    // The first number inside is not the first one outside.
    let map = common().sh("cat /proc/self/uid_map");
    let words: Vec<&str> = map
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    assert_eq!(words[0], "0", "{map}");
    assert_ne!(words[1], "0", "{map}");
    assert_ne!(
        common().sh("readlink /proc/self/ns/user"),
        ROOT.run(["readlink", "/proc/self/ns/user"]).ok()
    );
}

#[test]
fn the_home_is_the_one_outside() {
    let Some(_host) = shared() else { return };
    common().sh("mkdir -p ~/t-home && echo 'from inside' > ~/t-home/in && mkdir ~/t-home/dir && ln -s in ~/t-home/link");
    let outside = ALICE
        .sh("cd ~/t-home && cat in link && stat -c '%U:%G %F' in dir")
        .ok();
    assert_eq!(
        outside.lines().collect::<Vec<_>>(),
        [
            "from inside",
            "from inside",
            "alice:alice regular file",
            "alice:alice directory"
        ]
    );
    ALICE
        .sh("echo 'from outside' > ~/t-home/out; chmod 600 ~/t-home/out")
        .ok();
    assert_eq!(
        common().sh("cat ~/t-home/out; stat -c %U ~/t-home/out"),
        "from outside\nalice"
    );
    // What root in the container makes there is alice's to delete, and not the host's root's.
    common().sh("sudo touch ~/t-home/roots");
    assert_ne!(ALICE.sh("stat -c %u ~/t-home/roots").ok(), "0");
    ALICE.sh("rm -r ~/t-home").ok();
}

#[test]
fn the_system_inside_is_in_order() {
    let Some(_host) = shared() else { return };
    let state = ALICE.enter(common().name, ["systemctl", "is-system-running", "--wait"]);
    let failed = common().sh("systemctl --failed --no-legend");
    assert_eq!(state.ok(), "running", "{failed}");
    // There is a network, with names.
    common().sh("ip -4 route show default | grep -q default && test -s /etc/resolv.conf");
    assert_eq!(common().sh("ls -d /.kapsule"), "/.kapsule");
    // Or Konsole would take each shell of the host for one in a container.
    ROOT.run(["test", "-e", "/.kapsule"]).ended(1);
}

#[test]
fn exit_statuses_come_back() {
    let Some(_host) = shared() else { return };
    for status in [0, 1, 7, 99, 125, 128, 255] {
        let script = format!("exit {status}");
        let output = ALICE.enter(common().name, ["sh", "-c", &script]);
        assert_eq!(output.status, status, "{output}");
        assert_eq!(output.all(), "");
    }
    for (signal, number) in [
        ("KILL", 9),
        ("TERM", 15),
        ("INT", 2),
        ("SEGV", 11),
        ("USR1", 10),
        ("HUP", 1),
    ] {
        let script = format!("kill -{signal} $$; sleep 10");
        let output = ALICE.enter(common().name, ["sh", "-c", &script]);
        assert_eq!(output.status, 128 + number, "{output}");
    }
}

#[test]
fn what_cannot_be_run_is_told_from_what_fails() {
    let Some(_host) = shared() else { return };
    let name = common().name;
    let missing = ALICE.enter(name, ["t-no-such-program", "x"]);
    assert_eq!(missing.status, 127, "{missing}");
    assert!(missing.errors().contains("t-no-such-program"), "{missing}");
    let no_program = ALICE.enter(name, ["/etc/passwd"]);
    assert_eq!(no_program.status, 126, "{no_program}");
    let folder = ALICE.enter(name, ["/etc"]);
    assert_eq!(folder.status, 126, "{folder}");
    let empty = ALICE.enter(name, [""]);
    assert!([126, 127].contains(&empty.status), "{empty}");
}

#[test]
fn arguments_arrive_unchanged() {
    let Some(_host) = shared() else { return };
    let long = "x".repeat(100_000);
    let arguments: Vec<OsString> = [
        "",
        "a b",
        "  ",
        "it's",
        "\"quoted\"",
        "two\nlines",
        "\t",
        "$HOME",
        "`id`",
        "$(id)",
        "\\",
        "*",
        "~",
        "-x",
        "--",
        "--help",
        "-",
        "é ü 漢字",
        "a=b",
        ";",
        "&&",
        "|",
        ">x",
        "#",
        "!",
        "%s",
        "\u{1b}[31m",
        &long,
        "",
    ]
    .iter()
    .map(OsString::from)
    .chain([OsStr::from_bytes(b"not \xff\xfe UTF-8").to_owned()])
    .collect();
    let mut line = vec![OsString::from("printf"), OsString::from("%s\\0")];
    line.extend(arguments.clone());
    let output = ALICE.enter(common().name, &line);
    output.ended(0);
    let mut arrived: Vec<&[u8]> = output.stdout.split(|byte| *byte == 0).collect();
    assert_eq!(arrived.pop(), Some(&b""[..]), "the last one ends too");
    let sent: Vec<&[u8]> = arguments.iter().map(|one| one.as_bytes()).collect();
    assert_eq!(arrived, sent);
}

#[test]
fn a_command_may_follow_the_name_without_dashes() {
    let Some(_host) = shared() else { return };
    let name = common().name;
    assert_eq!(
        ALICE
            .kapsule(["enter", name, "echo", "-n", "--cwd", "x"])
            .ok(),
        "--cwd x"
    );
    assert_eq!(
        ALICE
            .kapsule(["enter", "--cwd", "/usr", name, "--", "pwd"])
            .ok(),
        "/usr"
    );
    assert_eq!(
        ALICE
            .kapsule(["enter", name, "--cwd", "/usr", "--", "pwd"])
            .ok(),
        "/usr"
    );
    assert_eq!(
        ALICE.run(["kap", "enter", name, "--", "id", "-un"]).ok(),
        "alice"
    );
}

#[test]
fn input_and_output_are_exact() {
    let Some(_host) = shared() else { return };
    // Each byte, in a length that fits no buffer.
    let bytes: Vec<u8> = (0..3_000_001_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let output = ALICE
        .enter_command(common().name, ["cat"])
        .stdin(bytes.clone())
        .run();
    output.ended(0);
    assert!(
        output.stdout == bytes,
        "{} of {} bytes",
        output.stdout.len(),
        bytes.len()
    );
    assert_eq!(output.errors(), "");
    assert_eq!(ALICE.enter(common().name, ["wc", "-c"]).ok(), "0");

    let apart = common().sh("echo out; echo err >&2");
    assert_eq!(apart, "out");
    let output = ALICE.enter(
        common().name,
        ["sh", "-c", "echo out; echo err >&2; exit 3"],
    );
    assert_eq!(
        (output.status, output.text(), output.errors()),
        (3, "out\n".to_owned(), "err\n".to_owned())
    );
}

#[test]
fn a_pipe_that_ends_early_ends_the_session() {
    let Some(_host) = shared() else { return };
    let name = common().name;
    assert_eq!(
        ALICE
            .sh(&format!("kapsule enter {name} -- yes | head -n 2"))
            .ok(),
        "y\ny"
    );
    assert_eq!(
        ALICE
            .sh(&format!(
                "kapsule enter {name} -- head -c 4 < /dev/zero | wc -c"
            ))
            .ok(),
        "4"
    );
    // And what it ran does not stay behind.
    let gone = || common().sh("pgrep -x yes || echo none") == "none";
    _host.wait_until("yes has ended", gone);
}

#[test]
fn what_a_session_ran_ends_with_its_client() {
    let Some(host) = shared() else { return };
    let mut running = ALICE
        .enter_command(common().name, ["sh", "-c", "echo begun; exec sleep 98765"])
        .start();
    running.wait_for("begun");
    common().sh("pgrep -f 'sleep 9876[5]'");
    drop(running);
    let gone = || common().sh("pgrep -f 'sleep 9876[5]' || echo none") == "none";
    host.wait_until("the sleep has ended", gone);
}

#[test]
fn one_stays_in_the_same_folder() {
    let Some(_host) = shared() else { return };
    ALICE.sh("mkdir -p ~/'t-a folder/b'").ok();
    let line = ALICE.enter_command(common().name, ["pwd"]);
    assert_eq!(
        line.clone().cwd("/home/alice/t-a folder/b").run().ok(),
        "/home/alice/t-a folder/b"
    );
    assert_eq!(line.clone().cwd("/usr/share").run().ok(), "/usr/share");
    let relative = ALICE.kapsule_command(["enter", "--cwd", "b", common().name, "--", "pwd"]);
    assert_eq!(
        relative.cwd("/home/alice/t-a folder").run().ok(),
        "/home/alice/t-a folder/b"
    );
    // A folder that is only outside: somewhere inside, and a word about it or not, but not an error.
    ROOT.sh("mkdir -p /srv/t-only-outside").ok();
    let elsewhere = line.cwd("/srv/t-only-outside").run().ok();
    assert!(elsewhere.starts_with('/'), "{elsewhere}");
    let missing = ALICE.kapsule(["enter", "--cwd", "/t-nowhere", common().name, "--", "pwd"]);
    missing.ok();
    assert!(missing.errors().contains("/t-nowhere"), "{missing}");
    ROOT.sh("rmdir /srv/t-only-outside").ok();
    ALICE.sh("rm -r ~/'t-a folder'").ok();
}

#[test]
fn the_environment_is_chosen() {
    let Some(_host) = shared() else { return };
    let name = common().name;
    let script = format!(
        "export LC_TIME=C.UTF-8 KONSOLE_DBUS_ACTIVATION_COOKIE=secret T_NAMED='a b' T_OTHER=x
        kapsule enter {name} --env T_NAMED --env T_SET=1=2 -- env"
    );
    let environment = ALICE.sh(&script).ok();
    let has = |line: &str| environment.lines().any(|one| one == line);
    assert!(
        has("LC_TIME=C.UTF-8") && has("T_NAMED=a b") && has("T_SET=1=2"),
        "{environment}"
    );
    assert!(
        has("HOME=/home/alice") && has("USER=alice"),
        "{environment}"
    );
    assert!(has("XDG_RUNTIME_DIR=/run/user/1000"), "{environment}");
    assert!(
        !environment.contains("secret") && !environment.contains("T_OTHER"),
        "{environment}"
    );
}

#[test]
fn sessions_do_not_disturb_each_other() {
    let Some(_host) = shared() else { return };
    let commands: Vec<_> = (0..8)
        .map(|n| {
            ALICE
                .enter_command(
                    common().name,
                    ["sh", "-c", &format!("sleep 0.2; echo {n}; exit {n}")],
                )
                .start()
        })
        .collect();
    for (n, running) in (0..).zip(commands) {
        let output = running.wait();
        assert_eq!(
            (output.status, output.text()),
            (n, format!("{n}\n")),
            "{output}"
        );
    }
}

#[test]
fn one_that_is_stopped_is_started() {
    let Some(_host) = shared() else { return };
    let container = Container::create(ALICE, "t-stopped", &[]);
    ALICE.kapsule(["stop", container.name]).ok();
    assert_eq!(container.status(), "Stopped");
    let output = ALICE.enter(container.name, ["id", "-un"]);
    assert_eq!(output.ok(), "alice", "{output}");
    assert_eq!(container.status(), "Running");
}

#[test]
fn an_unknown_one_is_not_made() {
    let Some(_host) = shared() else { return };
    let output = ALICE.enter("t-unknown", ["true"]);
    assert_eq!(output.status, 125, "{output}");
    let text = output.failed();
    assert!(
        text.contains("t-unknown") && text.contains("kapsule create t-unknown"),
        "{text}"
    );
    assert!(!names(ALICE).contains(&"t-unknown".to_owned()));
}

#[test]
fn create_says_what_comes_next() {
    let Some(_host) = shared() else { return };
    let container = Container::planned(ALICE, "t-created");
    let output = ALICE.kapsule(["create", container.name, "--image", IMAGE]);
    assert_eq!(output.ok(), "", "prose is not data: {output}");
    assert!(
        output.errors().contains("kapsule enter t-created"),
        "{output}"
    );
    assert!(!output.errors().contains("Warning"), "{output}");
    assert_eq!(container.sh("id -u"), "1000");
}
