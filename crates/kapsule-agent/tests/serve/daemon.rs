// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The connection to the daemon, and many sessions.

use std::time::{Duration, Instant};

use kapsule_proto::registration::PROTOCOL_VERSION;
use kapsule_proto::session::Exit;

use crate::harness::{Agent, Request};

#[test]
fn sessions_outlive_the_daemon_and_a_new_one_is_noticed_at_once() {
    let mut agent = Agent::start();
    let running = agent.session(Request::new(&["cat"]));
    agent.daemon_dies();
    // Long enough for the pauses between attempts to have grown.
    std::thread::sleep(Duration::from_millis(1500));
    let before = Instant::now();
    agent.daemon_returns();
    let took = before.elapsed();
    assert!(took < Duration::from_millis(500), "{took:?}");
    assert_eq!(agent.run(&["true"]).1, Exit::Code(0));
    assert_eq!(running.finish().1, Exit::Code(0));
}

#[test]
fn a_closed_connection_is_made_again() {
    let mut agent = Agent::start();
    for _ in 0..3 {
        agent.disconnect();
        agent.accept(PROTOCOL_VERSION);
        assert_eq!(agent.run(&["true"]).1, Exit::Code(0));
    }
}

#[test]
fn another_version_restarts_the_agent_once_and_when_idle() {
    let mut agent = Agent::start();
    let pid = agent.pid();
    agent.disconnect();
    let running = {
        agent.accept(PROTOCOL_VERSION + 1);
        // Restarted in the same process; it asks again.
        agent.accept(PROTOCOL_VERSION + 1);
        agent.session(Request::new(&["cat"]))
    };
    assert_eq!(agent.pid(), pid);
    assert!(agent.is_running());
    assert_eq!(running.finish().1, Exit::Code(0));
    assert_eq!(agent.run(&["true"]).1, Exit::Code(0));
}

#[test]
fn two_hundred_sessions_at_once() {
    let agent = Agent::start();
    let sessions: Vec<_> = (0..200)
        .map(|n| {
            let request = Request::new(&["sh", "-c", &format!("read x; exit {}", n % 256)]);
            match n % 2 {
                0 => agent.session(request),
                _ => agent.session(request.terminal(24, 80)),
            }
        })
        .collect();
    for (n, mut session) in sessions.into_iter().enumerate() {
        let mut stdin = session.stdin.take().unwrap();
        std::io::Write::write_all(&mut stdin, b"\n").unwrap();
        assert_eq!(session.exit(), Exit::Code(u8::try_from(n % 256).unwrap()));
    }
}

#[test]
fn thousands_of_short_sessions_leave_nothing_behind() {
    let agent = Agent::start();
    let open_files = || {
        let path = format!("/proc/{}/fd", agent.pid());
        std::fs::read_dir(path).unwrap().count()
    };
    assert_eq!(agent.run(&["true"]).1, Exit::Code(0));
    let before = open_files();
    for _ in 0..2000 {
        let request = Request::new(&["true"]).terminal(24, 80);
        assert_eq!(agent.session(request).exit(), Exit::Code(0));
    }
    crate::harness::eventually("all descriptors are closed", || open_files() <= before);
    assert_eq!(agent.children(), []);
}
