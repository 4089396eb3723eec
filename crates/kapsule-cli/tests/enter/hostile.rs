// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! An agent that has been replaced: the client never hangs, and gives nothing away.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd;
use std::process::Stdio;
use std::time::{Duration, Instant};

use kapsule_proto::session::{FromAgent, Notice, ToAgentSession};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, fstat};
use rustix::process::Signal;
use rustix::termios::LocalModes;

use crate::agent::GuestTerminal;
use crate::bus::{Bus, Service};
use crate::client::{Terminal, died_of, end, kapsule, send, set_nonblocking};

#[test]
fn a_terminal_that_blocks_does_not_keep_anybody() {
    let bus = Bus::start(Service::Opens);
    let home = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::run(&bus.address(), home.path(), &["enter"], |_, _| {});
    let mut agent = bus.agent();
    agent.request();
    let mut guest = agent.start_with_terminal();
    terminal.see("\x1b]2;dev\x07");
    // It is one open file for both: what the client made non-blocking blocks again, and what it was
    // promised to be able to read is taken away.
    set_nonblocking(&guest.master, false);
    let thief = guest.master.try_clone().unwrap();
    std::thread::spawn(move || while rustix::io::read(&thief, &mut [0; 64]).is_ok() {});
    let began = Instant::now();
    while is_awake(&mut terminal, &guest) {
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "it is never caught"
        );
        for _ in 0..500 {
            guest.program.write_all(b"x").unwrap();
            std::thread::sleep(Duration::from_micros(50));
        }
    }
    let told = Instant::now();
    terminal.signal(Signal::TERM);
    let status = terminal.end();
    assert!(died_of(status, Signal::TERM), "{status}");
    assert!(
        told.elapsed() < Duration::from_secs(3),
        "{:?}",
        told.elapsed()
    );
    assert!(terminal.shown().ends_with("\x1b]777;container;pop;;\x07"));
    assert!(terminal.modes().local_modes.contains(LocalModes::ECHO));
}

/// Whether what is typed still arrives.
fn is_awake(terminal: &mut Terminal, guest: &GuestTerminal) -> bool {
    terminal.type_in("k");
    let mut polled = [PollFd::new(&guest.program, PollFlags::IN)];
    let timeout = Timespec {
        tv_sec: 0,
        tv_nsec: 300_000_000,
    };
    let arrived = poll(&mut polled, Some(&timeout)).unwrap() == 1;
    if arrived {
        rustix::io::read(&guest.program, &mut [0; 64]).unwrap();
    }
    arrived
}

#[test]
fn a_terminal_that_is_gone_is_not_waited_for() {
    let bus = Bus::start(Service::Opens);
    let home = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::run(&bus.address(), home.path(), &["enter"], |_, _| {});
    let mut agent = bus.agent();
    agent.request();
    drop(agent.start_with_terminal());
    // The agent stays and never says that the program has ended.
    assert_eq!(terminal.end().code(), Some(125));
    let shown = terminal.shown();
    assert!(
        shown.contains("does not say how the program ended"),
        "{shown}"
    );
}

#[test]
fn floods_and_nonsense_end_the_session() {
    type Act = fn(&mut crate::agent::Agent);
    let acts: [(&str, Act); 5] = [
        ("notices without end", |agent| {
            for _ in 0..100 {
                let notice = FromAgent::Notice(Notice::Shell);
                if agent.channel.send(&notice, &[], None).is_err() {
                    break;
                }
            }
        }),
        ("notices after the start", |agent| {
            let _guest = agent.start_with_terminal();
            for _ in 0..100_000 {
                let notice = FromAgent::Notice(Notice::Shell);
                if agent.channel.send(&notice, &[], None).is_err() {
                    break;
                }
            }
        }),
        ("half a message", |agent| {
            rustix::io::write(&agent.channel, &[200, 0, 0, 0, 1]).unwrap();
        }),
        ("a wrong descriptor", |agent| {
            let null = File::open("/dev/null").unwrap();
            let started = FromAgent::Started;
            agent.channel.send(&started, &[null.as_fd()], None).unwrap();
        }),
        ("descriptors with a notice", |agent| {
            let null = File::open("/dev/null").unwrap();
            let notice = FromAgent::Notice(Notice::Shell);
            agent.channel.send(&notice, &[null.as_fd()], None).unwrap();
        }),
    ];
    for (what, act) in acts {
        let bus = Bus::start(Service::Opens);
        let home = tempfile::tempdir().unwrap();
        let mut terminal = Terminal::run(&bus.address(), home.path(), &["enter"], |_, _| {});
        let mut agent = bus.agent();
        agent.request();
        act(&mut agent);
        drop(agent);
        assert_eq!(terminal.end().code(), Some(125), "{what}");
        assert!(
            terminal.modes().local_modes.contains(LocalModes::ECHO),
            "{what}"
        );
        let shown = terminal.shown();
        assert!(shown.matches("/bin/sh").count() <= 10, "{what}: {shown}");
    }
}

#[test]
fn the_agent_gets_pipes_and_never_the_streams_of_the_user() {
    let bus = Bus::start(Service::Opens);
    let home = tempfile::tempdir().unwrap();
    let (stdin, mut typed) = std::io::pipe().unwrap();
    let (_read, stdout) = std::io::pipe().unwrap();
    let own: Vec<u64> = [fstat(&stdin), fstat(&stdout)]
        .map(|stat| stat.unwrap().st_ino)
        .into();
    let mut process = kapsule(&bus.address(), home.path(), &["enter", "dev", "--", "x"])
        .stdin(stdin)
        .stdout(stdout)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut agent = bus.agent();
    let (open, descriptors) = agent.request();
    assert_eq!((descriptors.len(), open.terminal), (3, None));
    for descriptor in &descriptors {
        let stat = fstat(descriptor).unwrap();
        let kind = FileType::from_raw_mode(stat.st_mode);
        assert_eq!(kind, FileType::Fifo);
        assert!(!own.contains(&stat.st_ino), "a stream of the user's");
    }
    agent.send(&FromAgent::Started);
    typed.write_all(b"x").unwrap();
    // What is sent to the client is for the program.
    let mut byte = [0];
    rustix::io::read(&descriptors[0], &mut byte).unwrap();
    send(&process, Signal::TERM);
    let (message, _) = agent.receive().unwrap();
    assert_eq!(message, ToAgentSession::Signal(15));
    agent.exit(3);
    assert_eq!(end(&mut process).code(), Some(3));
}
