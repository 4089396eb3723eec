// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

use std::os::unix::net::UnixStream;
use std::time::Duration;

use kapsule_proto::session::{Exit, FailedStage, Shell};
use rustix::pty::{OpenptFlags, openpt};

use super::*;

fn request() -> SessionRequest {
    SessionRequest {
        argv: vec!["tool".into()],
        env: Vec::new(),
        cwd: None,
        shell: Shell::Plain,
        container: "dev".into(),
        patience: Duration::from_secs(1),
    }
}

/// What the client makes of these messages of an agent.
fn answer_to(messages: &[(FromAgent, usize)]) -> Result<Option<OwnedFd>, SessionError> {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (mut ours, mut theirs) = (Channel::new(ours.into()), Channel::new(theirs.into()));
    let null = std::fs::File::open("/dev/null").unwrap();
    for (message, descriptors) in messages {
        let attached = vec![null.as_fd(); *descriptors];
        theirs.send(message, &attached, None).unwrap();
    }
    let soon = Instant::now() + Duration::from_millis(50);
    await_start(&mut ours, soon, &request())
}

#[test]
fn an_agent_that_keeps_to_the_protocol() {
    let notice = FromAgent::Notice(Notice::Shell);
    let answer = answer_to(&[(notice, 0), (FromAgent::Started, 0)]);
    assert!(answer.unwrap().is_none());
    assert!(answer_to(&[(FromAgent::Started, 1)]).unwrap().is_some());
    let failed = FromAgent::Failed {
        stage: FailedStage::Exec,
        errno: 2,
    };
    let error = answer_to(&[(failed, 0)]).unwrap_err();
    assert_eq!(error.exit_code(), 127);
    assert_eq!(
        error.to_string(),
        "`tool` was not found inside the container"
    );
}

#[test]
fn an_agent_that_does_not() {
    let notice = || FromAgent::Notice(Notice::Shell);
    let many = vec![(notice(), 0); MAX_NOTICES + 5];
    for messages in [
        &[(FromAgent::Started, 2)][..],
        &[(FromAgent::Started, 3)],
        &[(notice(), 1)],
        &[(FromAgent::Exited(Exit::Code(0)), 0)],
        &many,
    ] {
        let error = answer_to(messages).unwrap_err();
        assert!(matches!(error, SessionError::Protocol { .. }), "{error}");
    }
}

#[test]
fn an_agent_that_goes_or_is_silent() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut ours = Channel::new(ours.into());
    let soon = || Instant::now() + Duration::from_millis(20);
    let error = await_start(&mut ours, soon(), &request()).unwrap_err();
    assert!(matches!(error, SessionError::NoAnswer { .. }), "{error}");
    drop(theirs);
    let error = await_start(&mut ours, soon(), &request()).unwrap_err();
    assert!(matches!(error, SessionError::Lost { .. }), "{error}");
}

#[test]
fn nothing_but_a_terminals_master_is_accepted() {
    let file = |path: &str| OwnedFd::from(std::fs::File::open(path).unwrap());
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    rustix::pty::unlockpt(&master).unwrap();
    let slave = rustix::pty::ioctl_tiocgptpeer(&master, OpenptFlags::RDWR).unwrap();
    let (pipe, _) = pipe().unwrap();
    let socket = OwnedFd::from(UnixStream::pair().unwrap().0);
    for other in [
        file("/dev/null"),
        file("/dev/zero"),
        file("/etc/passwd"),
        file("/"),
        pipe,
        socket,
        slave,
    ] {
        let error = checked_master(other, &request()).unwrap_err();
        assert!(matches!(error, SessionError::Protocol { .. }), "{error}");
    }
    assert!(checked_master(master, &request()).is_ok());
}
