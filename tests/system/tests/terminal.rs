// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! A terminal in a container.

use kapsule_system_tests::container::common;
use kapsule_system_tests::host::{ALICE, shared};

#[test]
fn there_is_one_where_there_is_one() {
    let Some(_host) = shared() else { return };
    let script = "test -t 0 && test -t 1 && test -t 2 && stty size && tty";
    let output = ALICE
        .enter_command(common().name, ["sh", "-c", script])
        .tty()
        .run();
    let text = output.ended(0);
    assert!(
        text.contains("24 80") && text.contains("/dev/pts/"),
        "{output}"
    );
    ALICE
        .enter(common().name, ["sh", "-c", "test -t 0"])
        .ended(1);
    // The exit status passes, too.
    ALICE
        .enter_command(common().name, ["sh", "-c", "exit 7"])
        .tty()
        .run()
        .ended(7);
}

#[test]
fn a_shell_is_a_login_shell_of_ones_own() {
    let Some(_host) = shared() else { return };
    let mut shell = ALICE
        .kapsule_command(["enter", common().name])
        .tty()
        .start();
    shell.write("echo \"answer=$((40 + 2)) $0 $PWD\"\n");
    shell.wait_for("answer=42 -bash /home/alice");
    shell.write("exit 3\n");
    shell.wait().ended(3);
}

#[test]
fn control_c_reaches_the_program_and_not_the_client() {
    let Some(_host) = shared() else { return };
    let script = "trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 0.1; done";
    let mut running = ALICE
        .enter_command(common().name, ["sh", "-c", script])
        .tty()
        .start();
    running.wait_for("ready");
    running.write([3]);
    running.wait_for("caught");
    running.wait().ended(5);

    // Not a child of the shell: dash may miss a signal while it starts one.
    let mut running = ALICE
        .enter_command(common().name, ["sh", "-c", "echo ready; exec sleep 1000"])
        .tty()
        .start();
    running.wait_for("ready");
    running.write([3]);
    running.wait().ended(130);
}

#[test]
fn terminals_are_told_which_container_they_show() {
    let Some(_host) = shared() else { return };
    let output = ALICE
        .enter_command(common().name, ["echo", "within"])
        .tty()
        .run();
    let text = output.ended(0);
    let push = format!("\x1b]777;container;push;{};kapsule", common().name);
    let places = [
        text.find(&push),
        text.find("within"),
        text.find("\x1b]777;container;pop"),
    ];
    assert!(
        places.iter().all(Option::is_some) && places.is_sorted(),
        "{text:?}"
    );
    let piped = ALICE.enter(common().name, ["echo", "within"]).ok();
    assert_eq!(piped, "within");
}

#[test]
fn the_size_follows() {
    let Some(_host) = shared() else { return };
    let inside = "stty size; trap 'stty size; exit' WINCH; while :; do sleep 0.1; done";
    let script = format!(
        "stty rows 30 cols 100; (sleep 1; stty rows 40 cols 120 < /dev/tty) & kapsule enter {} -- sh -c \"{inside}\"",
        common().name
    );
    let mut running = ALICE.command(["sh", "-c", &script]).tty().start();
    running.wait_for("40 120");
    let output = running.wait();
    let text = output.text();
    let (before, after) = (text.find("30 100"), text.find("40 120"));
    assert!(before.is_some() && after > before, "{output}");
}
