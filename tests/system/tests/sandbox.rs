// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The sandboxed host itself: what all other tests rely on.

use std::os::unix::ffi::OsStringExt as _;

use kapsule_system_tests::host::{ALICE, BOB, ROOT, shared};

#[test]
fn it_runs_without_failed_units() {
    let Some(_host) = shared() else { return };
    let state = ROOT.run(["systemctl", "is-system-running", "--wait"]);
    assert_eq!(
        state.text().trim(),
        "running",
        "{}",
        ROOT.run(["systemctl", "--failed"])
    );
}

#[test]
fn arguments_arrive_unchanged() {
    let Some(_host) = shared() else { return };
    let arguments = [
        b"a b".to_vec(),
        b"--".to_vec(),
        b"-x".to_vec(),
        b"".to_vec(),
        b"$HOME %n `id`".to_vec(),
        b"'\"\n\\".to_vec(),
        b"\xff\xfe".to_vec(),
    ];
    let mut argv = vec![b"printf".to_vec(), b"%s\\0".to_vec()];
    argv.extend(arguments.clone());
    let output = ALICE.run(argv.into_iter().map(std::ffi::OsString::from_vec));
    let mut wanted = arguments.join(&0);
    wanted.push(0);
    assert_eq!((output.status, output.stdout), (0, wanted));
}

#[test]
fn streams_are_apart_and_binary() {
    let Some(_host) = shared() else { return };
    let input: Vec<u8> = (0..=u8::MAX).cycle().take(1 << 20).collect();
    let output = BOB
        .command(["sh", "-c", "cat; echo why >&2"])
        .stdin(input.clone())
        .run();
    assert!(
        output.stdout == input,
        "{} of {} bytes came back",
        output.stdout.len(),
        input.len()
    );
    assert_eq!(output.errors(), "why\n");
}

#[test]
fn exit_statuses_are_a_shells() {
    let Some(_host) = shared() else { return };
    for (argv, wanted) in [
        (["sh", "-c", "exit 7"], 7),
        (["sh", "-c", "exit 255"], 255),
        (["sh", "-c", "kill -TERM $$"], 128 + 15),
        (["/nonexistent", "", ""], 127),
        (["/etc/passwd", "", ""], 126),
    ] {
        ROOT.run(argv).ended(wanted);
    }
}

#[test]
fn users_have_sessions_of_their_own() {
    let Some(_host) = shared() else { return };
    let ask = "id -un; pwd; echo $XDG_RUNTIME_DIR; busctl --user status >/dev/null && echo bus";
    for session in [ALICE, BOB] {
        let (user, uid) = (session.user, session.uid);
        let said = session.sh(ask).ok();
        assert_eq!(said, format!("{user}\n/home/{user}\n/run/user/{uid}\nbus"));
        // Locally active, as at a desktop: polkit grants what `allow_active` grants.
        session
            .sh("pkcheck --action-id org.freedesktop.login1.reboot --process $$")
            .ok();
    }
}

#[test]
fn only_alice_may_use_sudo() {
    let Some(_host) = shared() else { return };
    assert_eq!(ALICE.run(["sudo", "-n", "id", "-u"]).ok(), "0");
    BOB.run(["sudo", "-n", "id", "-u"]).failed();
}

#[test]
fn a_terminal_is_one() {
    let Some(_host) = shared() else { return };
    let script = "tty; stty size; read line; exit $line";
    let mut terminal = ALICE.command(["sh", "-c", script]).tty().start();
    terminal.wait_for("/dev/pts/");
    terminal.wait_for("24 80");
    terminal.write("5\r");
    terminal.wait().ended(5);
}

#[test]
fn control_c_interrupts() {
    let Some(_host) = shared() else { return };
    let script = "echo ready; exec sleep 1000";
    let mut terminal = BOB.command(["sh", "-c", script]).tty().start();
    terminal.wait_for("ready");
    terminal.write([3]);
    terminal.wait().ended(128 + 2);
}

#[test]
fn what_a_killed_client_started_ends() {
    let Some(host) = shared() else { return };
    // A number that nothing else sleeps.
    let mut client = ALICE
        .command(["sh", "-c", "sleep 31415 & echo ready; wait"])
        .start();
    client.wait_for("ready");
    ROOT.run(["pgrep", "-f", "^sleep 31415"]).ok();
    drop(client);
    let gone = || ROOT.run(["pgrep", "-f", "^sleep 31415"]).status != 0;
    host.wait_until("the sleep has ended", gone);
}

#[test]
fn the_registries_can_be_reached() {
    let Some(_host) = shared() else { return };
    // Resolver and masquerading both; Debian's own list says where to.
    ROOT.run(["apt-get", "update", "-qq"]).ok();
}
