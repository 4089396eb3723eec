// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Clients and daemons that do not keep to the protocol.

use std::io::Write;
use std::os::fd::AsFd;
use std::process::Command;

use kapsule_proto::registration::{PROTOCOL_VERSION, ToAgent, encode};
use kapsule_proto::session::{Exit, FailedStage, FromAgent, StdioSet, ToAgentSession};

use crate::harness::{Agent, Request, deadline, eventually};

/// A small generator, so that a failure can be repeated from its seed.
fn random(seed: u64) -> impl FnMut() -> u8 {
    let mut state = seed;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    }
}

#[test]
fn garbage_from_clients() {
    let mut agent = Agent::start();
    for seed in 1..300 {
        let mut next = random(seed);
        let mut client = agent.connect();
        let bytes: Vec<u8> = (0..next()).map(|_| next()).collect();
        let framed = u32::from(next() % 64).to_le_bytes();
        let _ = client
            .write_all(&framed)
            .and_then(|()| client.write_all(&bytes));
    }
    assert_eq!(agent.run(&["echo", "x"]), (b"x\n".to_vec(), Exit::Code(0)));
    assert!(agent.is_running());
}

#[test]
fn clients_that_say_nothing_or_half_of_it_hold_nobody_up() {
    let agent = Agent::start();
    let _silent: Vec<_> = (0..20).map(|_| agent.connect()).collect();
    let _half: Vec<_> = (0..20)
        .map(|_| {
            let mut client = agent.connect();
            client.write_all(&[200, 0, 0, 0, 1, 2]).unwrap();
            client
        })
        .collect();
    assert_eq!(agent.run(&["echo", "x"]), (b"x\n".to_vec(), Exit::Code(0)));
}

#[test]
fn wrong_descriptors() {
    let mut agent = Agent::start();
    let null = std::fs::File::open("/dev/null").unwrap();
    let all = StdioSet {
        stdin: true,
        stdout: true,
        stderr: true,
    };
    for (stdio, count) in [(all, 0), (all, 2), (StdioSet::default(), 1)] {
        let mut channel = agent.channel();
        let mut open = Request::new(&["true"]).open;
        open.stdio = stdio;
        let attached = vec![null.as_fd(); count];
        channel
            .send(&ToAgentSession::Open(open), &attached, deadline())
            .unwrap();
        let (answer, _) = channel.recv::<FromAgent>(deadline()).unwrap().unwrap();
        let refused = matches!(
            answer,
            FromAgent::Failed {
                stage: FailedStage::Request,
                ..
            }
        );
        assert!(refused, "{answer:?}");
    }
    assert!(agent.is_running());
}

#[test]
fn messages_out_of_turn_end_the_session() {
    let agent = Agent::start();
    // A signal before there is anything to signal.
    let mut channel = agent.channel();
    channel
        .send(&ToAgentSession::Signal(9), &[], deadline())
        .unwrap();
    assert!(matches!(channel.recv::<FromAgent>(deadline()), Ok(None)));
    // A second request.
    let mut session = agent.session(Request::new(&["sleep", "1000"]));
    let mut open = Request::new(&["true"]).open;
    open.stdio = StdioSet::default();
    session
        .channel
        .send(&ToAgentSession::Open(open), &[], deadline())
        .unwrap();
    assert!(matches!(
        session.channel.recv::<FromAgent>(deadline()),
        Ok(None)
    ));
    // Signals that there are not.
    let mut session = agent.session(Request::new(&["cat"]));
    for number in [0, 65, 255] {
        session.signal(number);
    }
    assert_eq!(session.finish().1, Exit::Code(0));
}

#[test]
fn a_flood_of_signals_holds_nobody_up() {
    let agent = Agent::start();
    let mut flood = agent.session(Request::new(&["sleep", "1000"]));
    let flooder = std::thread::spawn(move || {
        for _ in 0..100_000 {
            // 18 is SIGCONT, which does nothing here.
            if flood
                .channel
                .send(&ToAgentSession::Signal(18), &[], deadline())
                .is_err()
            {
                break;
            }
        }
    });
    for _ in 0..20 {
        assert_eq!(agent.run(&["true"]).1, Exit::Code(0));
    }
    flooder.join().unwrap();
}

#[test]
fn nonsense_from_the_daemon() {
    let mut agent = Agent::start();
    // A session without a connection is passed over.
    agent.send_packet(&encode(&ToAgent::Session).unwrap(), &[]);
    assert_eq!(agent.run(&["true"]).1, Exit::Code(0));
    // Other nonsense ends the connection, and the agent comes back.
    agent.send_packet(b"\xff\xff\xff", &[]);
    agent.accept(PROTOCOL_VERSION);
    assert_eq!(agent.run(&["true"]).1, Exit::Code(0));
}

#[test]
fn no_descriptors_left() {
    let mut agent = Agent::start_with(|agent| {
        let mut command = Command::new("sh");
        command
            .args(["-c", "ulimit -n 40; exec \"$@\"", "sh"])
            .arg(agent);
        command
    });
    let mut kept = Vec::new();
    let mut refused = 0;
    for _ in 0..40 {
        let mut channel = agent.channel();
        let mut open = Request::new(&["sleep", "1000"]).open;
        open.stdio = StdioSet::default();
        // What is refused may be closed before it is read.
        let _ = channel.send(&ToAgentSession::Open(open), &[], deadline());
        match channel.recv::<FromAgent>(deadline()) {
            Ok(Some((FromAgent::Started, _))) => kept.push(channel),
            _ => refused += 1,
        }
    }
    assert!(
        kept.len() >= 5 && refused >= 5,
        "{} and {refused}",
        kept.len()
    );
    assert!(agent.is_running());
    drop(kept);
    eventually("there is room again", || {
        let (_, failure) = {
            let mut channel = agent.channel();
            let mut open = Request::new(&["true"]).open;
            open.stdio = StdioSet::default();
            let _ = channel.send(&ToAgentSession::Open(open), &[], deadline());
            let answer = channel.recv::<FromAgent>(deadline());
            (
                channel,
                !matches!(answer, Ok(Some((FromAgent::Started, _)))),
            )
        };
        !failure
    });
}
