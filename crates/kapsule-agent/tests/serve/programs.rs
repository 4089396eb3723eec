// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Exactness: arguments, environment, status, streams.

use std::io::{Read, Write};
use std::path::Path;

use kapsule_proto::session::{Exit, FailedStage, Notice, Shell, StdioSet, ToAgentSession};

use crate::harness::{Agent, Request};

/// A shell script that prints its arguments, each ended by a NUL.
const PRINT: &str = r#"for arg; do printf '%s\0' "$arg"; done"#;

#[test]
fn arguments_arrive_as_they_are() {
    let agent = Agent::start();
    let words: &[&[u8]] = &[
        b"",
        b"a b",
        b"-n",
        b"--",
        b"new\nline",
        b"'\"`$HOME\\",
        b"*",
        b"\xff\xfe",
        b"\x01\x1b[31m",
        b"",
    ];
    let mut expected = words.join(&0);
    expected.push(0);
    for shell in [Shell::Without, Shell::Plain, Shell::Login] {
        let argv = [&[b"sh", b"-c".as_slice(), PRINT.as_bytes(), b"sh"], words].concat();
        let request = Request::new(&argv).shell(shell);
        let (output, exit) = agent.session(request).finish();
        assert_eq!(exit, Exit::Code(0));
        assert!(
            output.ends_with(&expected),
            "{shell:?}: {}",
            String::from_utf8_lossy(&output)
        );
    }
}

#[test]
fn environment_arrives_as_it_is() {
    let agent = Agent::start();
    let request = Request::new(&["env", "-0"])
        .env(b"KAPSULE_A", b"old")
        .env(b"KAPSULE_A", b"a\nb=\xff")
        .env(b"KAPSULE_EMPTY", b"");
    let (output, _) = agent.session(request).finish();
    let variables: Vec<&[u8]> = output.split(|byte| *byte == 0).collect();
    assert!(variables.contains(&b"KAPSULE_A=a\nb=\xff".as_slice()));
    assert!(variables.contains(&b"KAPSULE_EMPTY=".as_slice()));
    for name in ["HOME=", "USER=", "LOGNAME=", "SHELL=", "PATH="] {
        let has = |variable: &&[u8]| variable.starts_with(name.as_bytes());
        assert_eq!(
            variables.iter().filter(|variable| has(variable)).count(),
            1,
            "{name}"
        );
    }
}

#[test]
fn a_megabyte_of_environment_arrives_and_too_much_is_said() {
    let agent = Agent::start();
    let big = vec![b'x'; 16 * 1024];
    let add = |count: usize| {
        (0..count).fold(Request::new(&["env"]), |request, n| {
            request.env(format!("BIG{n}").as_bytes(), &big)
        })
    };
    let (output, exit) = agent.session(add(64)).finish();
    assert_eq!(exit, Exit::Code(0));
    assert!(output.len() > 1024 * 1024);

    let (_, failure) = agent.try_session(add(200));
    let too_big = rustix::io::Errno::TOOBIG.raw_os_error();
    assert_eq!(failure, Some((FailedStage::Exec, too_big)));
}

#[test]
fn ends_are_told() {
    let agent = Agent::start();
    for (script, expected) in [
        ("exit 0", Exit::Code(0)),
        ("exit 7", Exit::Code(7)),
        ("exit 255", Exit::Code(255)),
        ("kill -TERM $$", Exit::Signal(15)),
        ("kill -KILL $$", Exit::Signal(9)),
    ] {
        assert_eq!(agent.run(&["sh", "-c", script]).1, expected, "{script}");
    }
}

#[test]
fn what_cannot_be_run_is_told() {
    let agent = Agent::start();
    let plain = agent.dir.path().join("plain");
    std::fs::write(&plain, "not executable").unwrap();
    let errno = |errno: rustix::io::Errno| Some((FailedStage::Exec, errno.raw_os_error()));
    for (program, expected) in [
        ("no-such-program", errno(rustix::io::Errno::NOENT)),
        ("/no/such", errno(rustix::io::Errno::NOENT)),
        ("", errno(rustix::io::Errno::NOENT)),
        (plain.to_str().unwrap(), errno(rustix::io::Errno::ACCESS)),
        ("/", errno(rustix::io::Errno::ACCESS)),
    ] {
        let (_, failure) = agent.try_session(Request::new(&[program]));
        assert_eq!(failure, expected, "{program:?}");
    }
    let malformed = Request::new(&[b"a\0b".as_slice()]);
    let invalid = rustix::io::Errno::INVAL.raw_os_error();
    let (_, failure) = agent.try_session(malformed);
    assert_eq!(failure, Some((FailedStage::Request, invalid)));
}

#[test]
fn a_script_without_interpreter_line_runs() {
    let agent = Agent::start();
    let script = agent.dir.path().join("script");
    std::fs::write(&script, "echo \"$0 $1\"\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, mode).unwrap();
    let script = script.to_str().unwrap();
    let (output, _) = agent.run(&[script, "one"]);
    assert_eq!(
        String::from_utf8(output).unwrap(),
        format!("{script} one\n")
    );
}

#[test]
fn the_working_directory() {
    let agent = Agent::start();
    let dir = agent.dir.path().canonicalize().unwrap();
    let session = agent.session(Request::new(&["pwd"]).cwd(&dir));
    assert!(session.notices.is_empty());
    let expected = format!("{}\n", dir.display());
    assert_eq!(String::from_utf8(session.finish().0).unwrap(), expected);

    let session = agent.session(Request::new(&["pwd"]).cwd(Path::new("/no/such/place")));
    assert_eq!(session.notices, [Notice::WorkingDirectory]);
    assert_eq!(session.finish().1, Exit::Code(0));
}

#[test]
fn nothing_of_the_agent_is_inherited() {
    let agent = Agent::start();
    // Some sessions whose descriptors could be.
    let _others: Vec<_> = (0..5)
        .map(|_| agent.session(Request::new(&["cat"])))
        .collect();
    let (output, _) = agent.run(&["sh", "-c", "ls /proc/$$/fd"]);
    assert_eq!(String::from_utf8(output).unwrap(), "0\n1\n2\n");
    let (output, _) = agent.run(&["grep", "-E", "^Sig(Ign|Blk)", "/proc/self/status"]);
    let masks = String::from_utf8(output).unwrap();
    for line in masks.lines() {
        assert!(line.ends_with("0000000000000000"), "{line}");
    }
    let (output, _) = agent.run(&["sh", "-c", "ulimit -n"]);
    let ours = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let expected = ours.map_or("unlimited".to_owned(), |limit| limit.to_string());
    assert_eq!(String::from_utf8(output).unwrap().trim(), expected);
}

#[test]
fn streams_are_the_clients_pipes() {
    let agent = Agent::start();
    let mut session = agent.session(Request::new(&["cat"]));
    let data: Vec<u8> = (0..=255).cycle().take(3 * 1024 * 1024).collect();
    let mut stdin = session.stdin.take().unwrap();
    let sent = data.clone();
    let writer = std::thread::spawn(move || stdin.write_all(&sent).unwrap());
    let (output, exit) = session.finish();
    writer.join().unwrap();
    assert_eq!(exit, Exit::Code(0));
    assert!(output == data, "three binary megabytes come back");
}

#[test]
fn streams_that_are_not_attached_are_empty() {
    let agent = Agent::start();
    let mut channel = agent.channel();
    let mut open = Request::new(&["sh", "-c", "readlink /proc/$$/fd/0 /proc/$$/fd/2"]).open;
    open.stdio = StdioSet {
        stdout: true,
        ..StdioSet::default()
    };
    let (mut output, stdout) = std::io::pipe().unwrap();
    let message = ToAgentSession::Open(open);
    let attached = [std::os::fd::AsFd::as_fd(&stdout)];
    channel
        .send(&message, &attached, crate::harness::deadline())
        .unwrap();
    drop(stdout);
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    assert_eq!(text, "/dev/null\n/dev/null\n");
}

#[test]
fn signals_reach_the_whole_group() {
    let agent = Agent::start();
    // The program and one that it waits for; both say that they are there.
    let script = "sh -c 'echo one; exec sleep 1000' & trap 'exit 3' USR1; echo two; wait";
    let mut session = agent.session(Request::new(&["sh", "-c", script]));
    let so_far = session.read_until("two");
    if !so_far.contains("one") {
        session.read_until("one");
    }
    session.signal(10);
    assert_eq!(session.exit(), Exit::Code(3));
    // The other held the stream open; it has ended by the signal too.
    assert_eq!(session.output.read(&mut [0]).unwrap(), 0);
}

#[test]
fn login_without_arguments_is_a_login_shell() {
    let agent = Agent::start();
    let request = Request::new::<&str>(&[])
        .shell(Shell::Login)
        .env(b"ENV", b"");
    let mut session = agent.session(request);
    let mut stdin = session.stdin.take().unwrap();
    stdin.write_all(b"echo \"<$0>\"; exit 5\n").unwrap();
    let (output, exit) = session.finish();
    let output = String::from_utf8_lossy(&output).into_owned();
    assert!(output.contains("<-"), "{output}");
    assert_eq!(exit, Exit::Code(5));
}

/// What `ssh` would make of these files, which depends on how the distribution built its bash.
#[test]
fn a_command_gets_what_it_gets_from_ssh() {
    let home = tempfile::tempdir().unwrap();
    for (file, text) in [
        (
            ".bashrc",
            "export RC=read; echo from bashrc; SSH=${SSH_CLIENT-none}",
        ),
        (".profile", "export PROFILE=read"),
    ] {
        std::fs::write(home.path().join(file), text).unwrap();
    }
    let run = |mut bash: std::process::Command| {
        let output = bash.env("HOME", home.path()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let mut as_ssh = std::process::Command::new("bash");
    as_ssh.args(["-c", "echo $RC,$PROFILE"]);
    as_ssh
        .env("SSH_CLIENT", "127.0.0.1 1 22")
        .env_remove("SHLVL");
    let expected = run(as_ssh);

    let agent = Agent::start();
    let script = "echo $RC,$PROFILE; test -z \"${SSH2_CLIENT+x}\"";
    let in_home = |shell| {
        let request = Request::new(&["sh", "-c", script]).shell(shell);
        let (output, exit) = agent
            .session(request.env(b"HOME", home.path().as_os_str().as_encoded_bytes()))
            .finish();
        assert_eq!(exit, Exit::Code(0), "{shell:?}");
        String::from_utf8(output).unwrap()
    };
    // The agent's user is whoever runs the tests, with the shell of theirs.
    if std::env::var_os("SHELL").is_none_or(|shell| shell == "/bin/bash") {
        assert_eq!(in_home(Shell::Plain), expected);
        assert!(in_home(Shell::Login).ends_with("read\n"));
    }
    assert_eq!(in_home(Shell::Without), ",\n");
}
