// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What a user's terminal is told, and what it gets back.

use std::io::Write as _;

use rustix::process::Signal;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};

use crate::bus::{Bus, Service};
use crate::client::{Terminal, died_of, end, kapsule};

const PUSH: &str = "\x1b]777;container;push;dev;kapsule\x07";
const TITLE: &str = "\x1b[22;0t\x1b]2;dev\x07";
const UNDO: &str = "\x1b[23;0t\x1b]777;container;pop;;\x07";

#[test]
fn the_terminal_knows_the_container_as_long_as_it_shows_it() {
    let bus = Bus::start(Service::Opens);
    let home = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::run(&bus.address(), home.path(), &["enter"], |_, _| {});
    let mut agent = bus.agent();
    assert_eq!(agent.user, "owner");
    let (open, descriptors) = agent.request();
    assert!(descriptors.is_empty());
    let asked = open.terminal.unwrap();
    assert_eq!((asked.rows, asked.columns), (30, 100));
    let mut guest = agent.start_with_terminal();
    guest
        .program
        .write_all(b"\x1b]7;file://dev/home\x07hello")
        .unwrap();
    let shown = terminal.see("hello");
    assert_eq!(
        shown,
        format!("{PUSH}{TITLE}\x1b]7;file://dev/home\x07hello"),
        "nothing else, and OSC 7 as it is"
    );
    terminal.type_in("\x03\x1a");
    assert_eq!(guest.read(2), b"\x03\x1a", "keys are the container's");
    drop(guest);
    agent.exit(9);
    assert_eq!(terminal.end().code(), Some(9));
    assert!(terminal.shown().ends_with(&format!("hello{UNDO}")));
    assert!(terminal.modes().local_modes.contains(LocalModes::ECHO));
}

#[test]
fn a_signal_that_ends_it_leaves_the_terminal_in_order() {
    for signal in [Signal::TERM, Signal::HUP] {
        let bus = Bus::start(Service::Opens);
        let home = tempfile::tempdir().unwrap();
        let mut terminal = Terminal::run(&bus.address(), home.path(), &["enter"], |_, _| {});
        let mut agent = bus.agent();
        agent.request();
        let _guest = agent.start_with_terminal();
        terminal.see(TITLE);
        terminal.signal(signal);
        let status = terminal.end();
        assert!(died_of(status, signal), "{status}");
        assert!(terminal.shown().ends_with(UNDO), "{signal:?}");
        assert!(terminal.modes().local_modes.contains(LocalModes::ICANON));
        assert!(agent.receive().is_none(), "the agent notices");
    }
}

#[test]
fn a_terminal_without_a_title_gets_none() {
    for term in ["dumb", "linux"] {
        let bus = Bus::start(Service::Opens);
        let home = tempfile::tempdir().unwrap();
        let mut terminal = Terminal::run(&bus.address(), home.path(), &["enter"], |_, command| {
            command.env("TERM", term);
        });
        let mut agent = bus.agent();
        agent.request();
        drop(agent.start_with_terminal());
        agent.exit(0);
        terminal.end();
        let shown = terminal.shown();
        assert_eq!(
            shown,
            format!("{PUSH}\x1b]777;container;pop;;\x07"),
            "{term}"
        );
    }
}

#[test]
fn special_keys_are_the_users() {
    let bus = Bus::start(Service::Opens);
    let home = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::run(&bus.address(), home.path(), &["enter"], |line, _| {
        let mut modes = tcgetattr(line).unwrap();
        modes.special_codes[SpecialCodeIndex::VERASE] = 8;
        modes.special_codes[SpecialCodeIndex::VINTR] = 7;
        tcsetattr(line, OptionalActions::Now, &modes).unwrap();
    });
    let mut agent = bus.agent();
    let (open, _) = agent.request();
    let keys = open.terminal.unwrap().keys.unwrap();
    assert_eq!((keys.erase, keys.interrupt, keys.end_of_file), (8, 7, 4));
    drop(agent);
    assert_eq!(terminal.end().code(), Some(125));
}

#[test]
fn root_is_asked_for() {
    let bus = Bus::start(Service::Opens);
    let home = tempfile::tempdir().unwrap();
    // Root of the host is the owner of its containers and not asked for in this way.
    if !rustix::process::getuid().is_root() {
        let arguments = ["enter", "dev", "--user", "root"];
        let mut command = kapsule(&bus.address(), home.path(), &arguments);
        let mut process = command.spawn().unwrap();
        assert_eq!(bus.agent().user, "root");
        end(&mut process);
    }
    let output = kapsule(&bus.address(), home.path(), &["enter", "-u", "nobody-else"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(125));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("nobody-else") && text.contains("root"),
        "{text}"
    );
}
