// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What goes and what stays when a terminal or a program ends.

use std::path::Path;

use kapsule_proto::session::Exit;

use crate::harness::{Agent, Request, eventually, runs};

/// Reads the numbers that a script left in a file, when all have come.
fn pids(path: &Path, count: usize) -> Vec<String> {
    let read = || -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    };
    eventually("all processes run", || read().len() >= count);
    read()
}

fn stop(pid: &str) {
    let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
}

/// Leaves, one line each: two in the background, one below a subshell, one that catches SIGHUP.
const TREE: &str = "\
    sleep 1000 & echo $! >> $PIDS
    (sleep 1000 & echo $! >> $PIDS) &
    sh -c 'trap : HUP TERM; echo $$ >> $PIDS; while :; do sleep 0.1; done' &
    echo $$ >> $PIDS";

/// Leaves two that are detached on purpose.
const DETACHED: &str = "\
    setsid sh -c 'echo $$ >> $DETACHED; exec sleep 1000' &
    nohup sh -c 'echo $$ >> $DETACHED; exec sleep 1000' > /dev/null 2>&1 < /dev/null &";

#[test]
fn closing_the_terminal_ends_the_tree_of_that_tab_and_nothing_else() {
    for terminal in [true, false] {
        let agent = Agent::start();
        let (ours, detached) = (
            agent.dir.path().join("pids"),
            agent.dir.path().join("detached"),
        );
        let script = format!("{TREE}\n{DETACHED}\nwait");
        let request = Request::new(&["sh", "-c", &script])
            .env(b"PIDS", ours.as_os_str().as_encoded_bytes())
            .env(b"DETACHED", detached.as_os_str().as_encoded_bytes());
        let request = match terminal {
            true => request.terminal(24, 80),
            false => request,
        };
        let other = agent.session(Request::new(&["cat"]));
        let session = agent.session(request);
        let (ours, detached) = (pids(&ours, 4), pids(&detached, 2));

        drop(session);
        for pid in &ours {
            eventually("the tab's processes end", || !runs(pid));
        }
        for pid in &detached {
            assert!(runs(pid), "terminal {terminal}: a detached process stays");
            stop(pid);
        }
        assert_eq!(other.finish().1, Exit::Code(0));
    }
}

/// Leaves one in the background, and ends when that has said that it stays.
const LEAVE: &str = "\
    nohup sh -c 'echo $$ > $PIDS; exec sleep 1000' > /dev/null 2>&1 &
    until test -s $PIDS; do sleep 0.01; done";

#[test]
fn what_a_program_leaves_in_the_background_stays() {
    let agent = Agent::start();
    let pids_file = agent.dir.path().join("pids");
    for terminal in [true, false] {
        let request = Request::new(&["sh", "-c", LEAVE])
            .env(b"PIDS", pids_file.as_os_str().as_encoded_bytes());
        let request = match terminal {
            true => request.terminal(24, 80),
            false => request,
        };
        let mut session = agent.session(request);
        // It holds nothing that the client would wait for.
        assert_eq!(session.exit(), Exit::Code(0));
        let left = pids(&pids_file, 1);
        std::fs::remove_file(&pids_file).unwrap();
        drop(session);
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert!(runs(&left[0]));
        stop(&left[0]);
    }
}

#[test]
fn a_program_that_ignores_the_hang_up_is_spared_and_collected() {
    let agent = Agent::start();
    let session = agent.session(Request::new(&[
        "nohup",
        "sh",
        "-c",
        "echo $$; exec sleep 4",
    ]));
    let mut session = session;
    let text = session.read_until("\n");
    let pid = text.trim().to_owned();
    drop(session);
    std::thread::sleep(std::time::Duration::from_millis(2500));
    assert!(runs(&pid));
    eventually("it is not left as a zombie", || {
        !Path::new("/proc").join(&pid).exists()
    });
}

#[test]
fn a_client_that_goes_before_the_start_leaves_nothing() {
    let mut agent = Agent::start();
    let marker = agent.dir.path().join("pids");
    for _ in 0..50 {
        let mut channel = agent.channel();
        let script = "echo $$ >> $PIDS; exec sleep 1000";
        let mut open = Request::new(&["sh", "-c", script])
            .env(b"PIDS", marker.as_os_str().as_encoded_bytes())
            .open;
        open.stdio = kapsule_proto::session::StdioSet::default();
        let open = kapsule_proto::session::ToAgentSession::Open(open);
        channel
            .send(&open, &[], crate::harness::deadline())
            .unwrap();
    }
    eventually("no process is left", || agent.children().is_empty());
    assert!(agent.is_running());
}
