// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The host itself: what all other system tests rely on.

use std::os::unix::ffi::OsStringExt as _;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result};
use kapsule_system_tests::Host;

const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn it_runs_without_failed_units() -> Result<()> {
    let host = Host::get()?;
    assert_eq!(
        host.exec("root", ["systemctl", "is-system-running", "--wait"])?
            .success()?,
        "running"
    );
    Ok(())
}

#[test]
fn arguments_arrive_unchanged() -> Result<()> {
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
    let output = Host::get()?.exec("alice", argv.into_iter().map(std::ffi::OsString::from_vec))?;
    let mut wanted = arguments.join(&0);
    wanted.push(0);
    assert_eq!((output.status, output.stdout), (0, wanted));
    Ok(())
}

#[test]
fn streams_are_apart_and_binary() -> Result<()> {
    let input: Vec<u8> = (0..=u8::MAX).cycle().take(1 << 20).collect();
    let output = Host::get()?.exec_with_input("bob", ["sh", "-c", "cat; echo why >&2"], &input)?;
    assert!(
        output.stdout == input,
        "{} bytes came back of {}",
        output.stdout.len(),
        input.len()
    );
    assert_eq!(output.error_text(), "why");
    Ok(())
}

#[test]
fn exit_statuses_are_a_shells() -> Result<()> {
    let host = Host::get()?;
    for (argv, wanted) in [
        (["sh", "-c", "exit 7"], 7),
        (["sh", "-c", "exit 255"], 255),
        (["sh", "-c", "kill -TERM $$"], 128 + 15),
        (["/nonexistent", "", ""], 127),
        (["/etc/passwd", "", ""], 126),
    ] {
        assert_eq!(host.exec("root", argv)?.status, wanted, "{argv:?}");
    }
    Ok(())
}

#[test]
fn users_have_sessions_of_their_own() -> Result<()> {
    let host = Host::get()?;
    let ask = "id -un; pwd; echo $XDG_RUNTIME_DIR; busctl --user status >/dev/null && echo bus";
    for (user, uid) in [("alice", 1000), ("bob", 1001)] {
        let said = host.sh(user, ask)?.success()?;
        assert_eq!(said, format!("{user}\n/home/{user}\n/run/user/{uid}\nbus"));
        // Locally active, as at a desktop: polkit grants what `allow_active` grants.
        let reboot = "pkcheck --action-id org.freedesktop.login1.reboot --process $$";
        host.sh(user, reboot)?.success()?;
    }
    Ok(())
}

#[test]
fn only_alice_may_use_sudo() -> Result<()> {
    let host = Host::get()?;
    assert_eq!(
        host.exec("alice", ["sudo", "-n", "id", "-u"])?.success()?,
        "0"
    );
    assert_ne!(host.exec("bob", ["sudo", "-n", "id", "-u"])?.status, 0);
    Ok(())
}

#[test]
fn a_terminal_is_one() -> Result<()> {
    let mut terminal = Host::get()?.terminal(
        "alice",
        ["sh", "-c", "tty; stty size; read line; exit $line"],
    )?;
    terminal.expect("/dev/pts/", PATIENCE)?;
    terminal.expect("24 80", PATIENCE)?;
    terminal.send("5\r")?;
    assert_eq!(terminal.wait(PATIENCE)?.0, 5);
    Ok(())
}

#[test]
fn control_c_interrupts() -> Result<()> {
    let mut terminal = Host::get()?.terminal("bob", ["sh", "-c", "echo ready; exec sleep 1000"])?;
    terminal.expect("ready", PATIENCE)?;
    terminal.send("\x03")?;
    assert_eq!(terminal.wait(PATIENCE)?.0, 128 + 2);
    Ok(())
}

#[test]
fn what_a_killed_client_started_ends() -> Result<()> {
    let host = Host::get()?;
    // A number that nothing else sleeps.
    let mut child = host
        .command("alice", ["sh", "-c", "sleep 31415 & echo ready; wait"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut ready = [0; 5];
    std::io::Read::read_exact(child.stdout.as_mut().context("no stdout")?, &mut ready)?;
    host.exec("root", ["pgrep", "-f", "^sleep 31415"])?
        .success()?;
    child.kill()?;
    child.wait()?;
    let gone = "for i in $(seq 100); do pgrep -f '^sleep 31415' >/dev/null || exit 0; sleep 0.1; done; exit 1";
    host.sh("root", gone)?.success()?;
    Ok(())
}

#[test]
fn the_registries_can_be_reached() -> Result<()> {
    // Resolver and masquerading both; Debian's own list says where to.
    let update = "apt-get update -qq 2>&1 && echo reached";
    assert!(
        Host::get()?
            .sh("root", update)?
            .success()?
            .ends_with("reached")
    );
    Ok(())
}
