// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Sessions with a terminal.

use std::io::Write;
use std::os::fd::AsFd;

use kapsule_proto::session::{Exit, Keys};
use rustix::fs::{FileType, fstat, major, minor};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::harness::{Agent, Request};

fn type_in(session: &mut crate::harness::Session, keys: &str) {
    session
        .stdin
        .as_mut()
        .unwrap()
        .write_all(keys.as_bytes())
        .unwrap();
}

#[test]
fn the_client_gets_a_master_and_the_program_a_terminal() {
    let agent = Agent::start();
    let script = "stty size; tty; echo to the terminal > /dev/tty; test -t 0 -a -t 1 -a -t 2";
    let session = agent.session(Request::new(&["sh", "-c", script]).terminal(31, 97));
    let stat = fstat(&session.output).unwrap();
    assert_eq!(
        FileType::from_raw_mode(stat.st_mode),
        FileType::CharacterDevice
    );
    assert_eq!((major(stat.st_rdev), minor(stat.st_rdev)), (5, 2));
    let (output, exit) = session.finish();
    let output = String::from_utf8(output).unwrap();
    assert!(output.starts_with("31 97\r\n/dev/pts/"), "{output}");
    assert!(output.ends_with("\r\nto the terminal\r\n"), "{output}");
    assert_eq!(exit, Exit::Code(0));
}

#[test]
fn a_new_size_is_told_to_the_program() {
    let agent = Agent::start();
    let script = "trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.05; done";
    let mut session = agent.session(Request::new(&["sh", "-c", script]).terminal(24, 80));
    session.read_until("ready");
    let size = Winsize {
        ws_row: 50,
        ws_col: 120,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(session.output.as_fd(), size).unwrap();
    session.read_until("50 120");
    assert_eq!(session.exit(), Exit::Code(0));
}

#[test]
fn keys_that_are_signals() {
    let agent = Agent::start();
    let mut session = agent.session(Request::new(&["sleep", "1000"]).terminal(24, 80));
    type_in(&mut session, "\x03");
    assert_eq!(session.exit(), Exit::Signal(2));
}

#[test]
fn signals_go_to_the_foreground() {
    let agent = Agent::start();
    let request = Request::new(&["bash", "--norc", "-i"]).terminal(24, 80);
    let mut session = agent.session(request.env(b"PS1", b"prompt "));
    session.read_until("prompt ");
    type_in(&mut session, "sh -c 'echo g\"\"o; sleep 1000'\n");
    session.read_until("go\r");
    session.signal(15);
    session.read_until("Terminated");
    type_in(&mut session, "exit 4\n");
    session.read_until("exit");
    assert_eq!(session.exit(), Exit::Code(4));
}

#[test]
fn job_control() {
    let agent = Agent::start();
    let request = Request::new(&["bash", "--norc", "-i"]).terminal(24, 80);
    let mut session = agent.session(request.env(b"PS1", b"prompt "));
    session.read_until("prompt ");
    type_in(&mut session, "sleep 1000\n");
    session.read_until("sleep 1000\r\n");
    std::thread::sleep(std::time::Duration::from_millis(100));
    type_in(&mut session, "\x1a");
    session.read_until("Stopped");
    type_in(&mut session, "bg; kill %1; wait; exit 6\n");
    session.read_until("exit");
    assert_eq!(session.exit(), Exit::Code(6));
}

#[test]
fn output_outlives_the_program() {
    let agent = Agent::start();
    let request = Request::new(&["sh", "-c", "seq 300"]).terminal(24, 80);
    let mut session = agent.session(request);
    // Nothing is read before the end: it all waits in the terminal.
    assert_eq!(session.exit(), Exit::Code(0));
    let output = session.read_until("\n300\r\n");
    assert_eq!(output.lines().count(), 300);
}

#[test]
fn the_terminal_reads_its_keys_as_the_clients_does() {
    let agent = Agent::start();
    let like = |keys: Option<Keys>| {
        let mut request = Request::new(&["stty", "-a"]).terminal(24, 80);
        if let Some(terminal) = &mut request.open.terminal {
            terminal.keys = keys;
        }
        String::from_utf8(agent.session(request).finish().0).unwrap()
    };
    let usual = like(None);
    for expected in ["intr = ^C;", "erase = ^?;", " iutf8"] {
        assert!(usual.contains(expected), "{usual}");
    }
    let own = like(Some(Keys {
        utf8: false,
        interrupt: 7,
        erase: 8,
        end_of_file: 4,
        ..Keys::default()
    }));
    for expected in [
        "intr = ^G;",
        "erase = ^H;",
        "eof = ^D;",
        "susp = <undef>;",
        "-iutf8",
    ] {
        assert!(own.contains(expected), "{own}");
    }
}
