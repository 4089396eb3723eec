// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `--or-host`: whatever happens, a shell.

use std::os::unix::net::UnixListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::bus::{Bus, Service};
use crate::client::{Terminal, kapsule};

const ENTER: &[&str] = &["enter", "dev", "--or-host", "--or-host-after", "1"];

/// What is printed, and the status, of a shell that gets this script.
fn shell(bus: &str, arguments: &[&str], script: &str) -> (String, String, Option<i32>) {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("script");
    std::fs::write(&file, script).unwrap();
    let began = Instant::now();
    let output = kapsule(bus, home.path(), arguments)
        .stdin(Stdio::from(std::fs::File::open(file).unwrap()))
        .output()
        .unwrap();
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        text(output.stdout),
        text(output.stderr),
        output.status.code(),
    )
}

fn one_line(errors: &str) -> bool {
    errors.lines().count() == 1
        && errors.starts_with("kapsule: ")
        && errors.ends_with("; this is a shell of the host\n")
}

#[test]
fn whatever_keeps_one_out_there_is_a_shell_and_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let absent = format!("unix:path={}/absent", folder.path().display());
    // Accepts and never says a word.
    let silent = UnixListener::bind(folder.path().join("silent")).unwrap();
    let hanging_bus = format!("unix:path={}/silent", folder.path().display());
    let failing = Bus::start(Service::Fails("IncusUnavailable"));
    let missing = Bus::start(Service::Fails("NotFound"));
    let hanging = Bus::start(Service::Hangs);
    let script = "echo a shell; echo $0; exit 7\n";
    for (what, bus, reason) in [
        ("no bus", absent, "cannot reach the system bus"),
        ("a bus that hangs", hanging_bus, "no answer within 1 s"),
        (
            "a service that fails",
            failing.address(),
            "it cannot be. Really",
        ),
        (
            "no such container",
            missing.address(),
            "it cannot be. Really",
        ),
        (
            "a service that hangs",
            hanging.address(),
            "no answer within 1 s",
        ),
    ] {
        let arguments = match what {
            "no such container" => &["enter", "other", "--or-host"],
            _ => ENTER,
        };
        let (output, errors, status) = shell(&bus, arguments, script);
        assert_eq!(
            (output.as_str(), status),
            ("a shell\n-sh\n", Some(7)),
            "{what}"
        );
        assert!(
            one_line(&errors) && errors.contains(reason),
            "{what}: {errors}"
        );
    }
    drop(silent);
}

#[test]
fn an_agent_that_does_not_answer_or_goes() {
    for goes in [true, false] {
        let bus = Bus::start(Service::Opens);
        let home = tempfile::tempdir().unwrap();
        let mut terminal = Terminal::run(&bus.address(), home.path(), ENTER, |_, _| {});
        let mut agent = bus.agent();
        agent.request();
        let agent = (!goes).then_some(agent);
        terminal.see("this is a shell of the host");
        drop(agent);
        terminal.type_in("echo $((40 + 2)); exit 5\n");
        terminal.see("42");
        assert_eq!(terminal.end().code(), Some(5));
    }
}

#[test]
fn ctrl_c_ends_the_wait() {
    let bus = Bus::start(Service::Hangs);
    let home = tempfile::tempdir().unwrap();
    let arguments = ["enter", "dev", "--or-host"];
    let mut terminal = Terminal::run(&bus.address(), home.path(), &arguments, |_, _| {});
    // Who waits is told so.
    terminal.see("Ctrl-C for a shell of the host");
    terminal.type_in("\x03");
    terminal.see("interrupted; this is a shell of the host");
    terminal.type_in("exit 4\n");
    assert_eq!(terminal.end().code(), Some(4));
}

#[test]
fn it_never_goes_round() {
    let script = format!(
        "{} enter --or-host; echo $?\n",
        env!("CARGO_BIN_EXE_kapsule")
    );
    let (output, errors, status) = shell("unix:path=/nonexistent", ENTER, &script);
    assert_eq!((output.as_str(), status), ("125\n", Some(0)), "{errors}");
    assert!(
        errors.contains("this is a shell of the host already"),
        "{errors}"
    );
}

/// As in a sandbox: the session was begun outside the process namespace, and its number is 0 inside.
#[test]
fn a_session_from_outside_a_namespace() {
    let home = tempfile::tempdir().unwrap();
    let script = home.path().join("script");
    std::fs::write(&script, "echo a shell; exit 7\n").unwrap();
    let inside = kapsule("unix:path=/nonexistent", home.path(), ENTER);
    let mut outside = std::process::Command::new("unshare");
    outside
        .args([
            "--user",
            "--map-root-user",
            "--pid",
            "--fork",
            "--mount-proc",
        ])
        .arg(inside.get_program())
        .args(inside.get_args());
    for (name, value) in inside.get_envs() {
        match value {
            Some(value) => outside.env(name, value),
            None => outside.env_remove(name),
        };
    }
    let output = outside
        .stdin(Stdio::from(std::fs::File::open(script).unwrap()))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.stdout, b"a shell\n", "{errors}");
    assert_eq!(output.status.code(), Some(7), "{errors}");
    assert!(one_line(&errors), "{errors}");
}

#[test]
fn a_command_never_runs_on_the_host() {
    let home = tempfile::tempdir().unwrap();
    for arguments in [
        &["enter", "dev", "--or-host", "--", "touch", "here"][..],
        &["enter", "--or-host", "dev", "touch", "here"],
        &["enter", "--or-host-after", "1"],
    ] {
        let output = kapsule("unix:path=/nonexistent", home.path(), arguments)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
    assert!(!home.path().join("here").exists());
}
