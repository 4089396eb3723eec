// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Never locked out: `kapsule enter --or-host`, as the profile of a terminal runs it.

use std::time::{Duration, Instant};

use kapsule_system_tests::container::common;
use kapsule_system_tests::host::{ALICE, ROOT, alone, shared};
use kapsule_system_tests::process::Running;

const HERE: &str = "this is a shell of the host";

fn open(args: &[&str]) -> Running {
    let line = [&["enter", "--or-host"], args].concat();
    ALICE.kapsule_command(line).tty().start()
}

#[test]
fn a_container_that_can_be_had_is_entered() {
    let Some(_host) = shared() else { return };
    let mut shell = open(&[common().name]);
    shell.write("echo whe''re=$(hostname)\n");
    shell.wait_for(&format!("where={}", common().name));
    shell.write("exit 4\n");
    let said = shell.wait().ended(4);
    assert!(!said.contains(HERE), "{said}");
    // What a script asks for must not run on the host.
    let refused = ALICE.kapsule(["enter", "--or-host", common().name, "--", "true"]);
    assert_eq!(refused.status, 2, "{refused}");
}

#[test]
fn one_that_cannot_be_had_is_a_shell_of_the_host_and_one_line() {
    let Some(_host) = shared() else { return };
    let mut shell = open(&["t3-nowhere"]);
    shell.wait_for(HERE);
    let said = shell.stdout();
    let line = said
        .lines()
        .find(|line| line.contains(HERE))
        .unwrap_or_default();
    assert!(
        line.starts_with("kapsule: ") && line.contains("t3-nowhere"),
        "{said:?}"
    );
    shell.write("echo na''me=$0 who''se=$(id -un) in''side=$(test -e /.kapsule && echo yes)\n");
    shell.wait_for("whose=alice inside=");
    let said = shell.stdout();
    assert!(said.contains("name=-"), "not a login shell: {said:?}");
    assert!(!said.contains("inside=yes"), "{said:?}");
    // It does not go round.
    shell.write("kapsule enter --or-host t3-nowhere; echo aga''in=$?\n");
    shell.wait_for("again=125");
    shell.write("exit 6\n");
    shell.wait().ended(6);
}

#[test]
fn a_service_that_hangs_is_not_waited_for() {
    let Some(_host) = alone() else { return };
    ALICE.kapsule(["list"]).ok();
    ROOT.sh("systemctl kill --kill-whom=main --signal=STOP kapsule-daemon.service")
        .ok();
    let began = Instant::now();
    let mut shell = open(&["--or-host-after", "2", common().name]);
    shell.wait_for(HERE);
    let took = began.elapsed();
    ROOT.sh("systemctl kill --kill-whom=main --signal=CONT kapsule-daemon.service")
        .ok();
    assert!(
        took >= Duration::from_secs(2) && took < Duration::from_secs(60),
        "{took:?}"
    );
    shell.write("exit 0\n");
    shell.wait().ended(0);
    assert_eq!(common().sh("id -un"), "alice");
}
