// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What the tests share: an agent of their own each, and sessions with it.

use std::fs::File;
use std::io::{IoSlice, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kapsule_proto::registration::{Hello, MAX_PACKET, PROTOCOL_VERSION, ToAgent, decode, encode};
use kapsule_proto::session::{
    Bytes, Channel, Exit, FailedStage, FromAgent, Notice, Open, Shell, StdioSet, Terminal,
    ToAgentSession,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, accept_with, bind, listen, recv, sendmsg, socket_with,
};

/// Longer than anything takes, shorter than anybody waits.
const LONG: Duration = Duration::from_secs(20);

pub(crate) fn deadline() -> Option<Instant> {
    Some(Instant::now() + LONG)
}

/// Waits until `holds`, or fails.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A running agent and the daemon's end of its connection.
pub(crate) struct Agent {
    process: Child,
    listener: Option<OwnedFd>,
    connection: Option<OwnedFd>,
    pub(crate) dir: tempfile::TempDir,
}

impl Agent {
    pub(crate) fn start() -> Self {
        Self::start_with(|agent| Command::new(agent))
    }

    /// Starts it with a command of the test's making.
    pub(crate) fn start_with(command: impl FnOnce(&Path) -> Command) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = Some(bind_socket(&dir.path().join("agent.sock")));
        let process = command(Path::new(env!("CARGO_BIN_EXE_kapsule-agent")))
            .arg("serve")
            .arg("--socket")
            .arg(dir.path().join("agent.sock"))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut agent = Self {
            process,
            listener,
            connection: None,
            dir,
        };
        agent.accept(PROTOCOL_VERSION);
        agent
    }

    /// Takes the agent's connection and greets it as a daemon of this version.
    pub(crate) fn accept(&mut self, version: u16) {
        let listener = self.listener.as_ref().unwrap();
        wait_readable(listener.as_fd());
        let connection = accept_with(listener, SocketFlags::CLOEXEC).unwrap();
        wait_readable(connection.as_fd());
        let mut packet = [0; MAX_PACKET];
        let (read, _) = recv(&connection, &mut packet, RecvFlags::empty()).unwrap();
        let hello: Hello = decode(&packet[..read]).unwrap();
        assert_eq!(hello.version, PROTOCOL_VERSION);
        self.connection = Some(connection);
        self.send_packet(&encode(&ToAgent::Welcome { version }).unwrap(), &[]);
    }

    /// Does what a daemon does that is killed: everything of it is closed, its socket stays as a
    /// dead file.
    pub(crate) fn daemon_dies(&mut self) {
        self.listener = None;
        self.connection = None;
    }

    /// Closes the connection but goes on listening.
    pub(crate) fn disconnect(&mut self) {
        self.connection = None;
    }

    /// Starts another daemon, as it does: in the place of the dead socket.
    pub(crate) fn daemon_returns(&mut self) {
        let path = self.dir.path().join("agent.sock");
        let _ = std::fs::remove_file(&path);
        self.listener = Some(bind_socket(&path));
        self.accept(PROTOCOL_VERSION);
    }

    pub(crate) fn send_packet(&self, packet: &[u8], descriptors: &[BorrowedFd<'_>]) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            assert!(control.push(SendAncillaryMessage::ScmRights(descriptors)));
        }
        sendmsg(
            self.connection.as_ref().unwrap(),
            &[IoSlice::new(packet)],
            &mut control,
            SendFlags::NOSIGNAL,
        )
        .unwrap();
    }

    /// A connection as a client gets it.
    pub(crate) fn connect(&self) -> UnixStream {
        let (client, agent) = UnixStream::pair().unwrap();
        self.send_packet(&encode(&ToAgent::Session).unwrap(), &[agent.as_fd()]);
        client
    }

    pub(crate) fn channel(&self) -> Channel {
        Channel::new(self.connect().into())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The leaders of its sessions.
    pub(crate) fn children(&self) -> Vec<rustix::process::Pid> {
        let path = format!("/proc/{0}/task/{0}/children", self.pid());
        let children = std::fs::read_to_string(path).unwrap_or_default();
        let children = children.split_ascii_whitespace();
        children
            .filter_map(|child| rustix::process::Pid::from_raw(child.parse().ok()?))
            .collect()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// Runs `argv` to its end: what it wrote and how it ended.
    pub(crate) fn run(&self, argv: &[&str]) -> (Vec<u8>, Exit) {
        self.session(Request::new(argv)).finish()
    }

    /// Starts a session; fails if it does not start.
    pub(crate) fn session(&self, request: Request) -> Session {
        let (session, outcome) = self.try_session(request);
        assert_eq!(outcome, None);
        session
    }

    /// Starts a session, or says why it did not start.
    pub(crate) fn try_session(&self, request: Request) -> (Session, Option<(FailedStage, i32)>) {
        let mut channel = self.channel();
        let (stdin, stdin_writer) = std::io::pipe().unwrap();
        let (output, stdout) = std::io::pipe().unwrap();
        let attached = if request.open.terminal.is_some() {
            vec![]
        } else {
            vec![stdin.as_fd(), stdout.as_fd(), stdout.as_fd()]
        };
        channel
            .send(&ToAgentSession::Open(request.open), &attached, deadline())
            .unwrap();
        drop((stdin, stdout));
        let mut session = Session {
            channel,
            stdin: Some(File::from(OwnedFd::from(stdin_writer))),
            output: File::from(OwnedFd::from(output)),
            notices: Vec::new(),
        };
        loop {
            let received = session.channel.recv::<FromAgent>(deadline()).unwrap();
            let (message, mut descriptors) = received.expect("the agent goes on");
            match message {
                FromAgent::Notice(notice) => session.notices.push(notice),
                FromAgent::Started => {
                    if let Some(master) = descriptors.pop() {
                        session.stdin = Some(File::from(master.try_clone().unwrap()));
                        session.output = File::from(master);
                    }
                    return (session, None);
                }
                FromAgent::Failed { stage, errno } => return (session, Some((stage, errno))),
                other @ FromAgent::Exited(_) => panic!("{other:?}"),
            }
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // As systemd does it: what its sessions still have goes with the agent.
        for child in self.children() {
            let _ = rustix::process::kill_process_group(child, rustix::process::Signal::KILL);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn bind_socket(path: &Path) -> OwnedFd {
    let socket = socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .unwrap();
    bind(&socket, &SocketAddrUnix::new(path).unwrap()).unwrap();
    listen(&socket, 8).unwrap();
    socket
}

fn wait_readable(descriptor: BorrowedFd<'_>) {
    let timeout = Timespec::try_from(LONG).unwrap();
    let mut polled = [PollFd::from_borrowed_fd(descriptor, PollFlags::IN)];
    assert_eq!(
        poll(&mut polled, Some(&timeout)),
        Ok(1),
        "nothing came in time"
    );
}

/// What to run.
pub(crate) struct Request {
    pub(crate) open: Open,
}

impl Request {
    pub(crate) fn new<T: AsRef<[u8]>>(argv: &[T]) -> Self {
        Self {
            open: Open {
                argv: argv.iter().map(|word| Bytes::from(word.as_ref())).collect(),
                env: Vec::new(),
                cwd: None,
                terminal: None,
                stdio: StdioSet {
                    stdin: true,
                    stdout: true,
                    stderr: true,
                },
                shell: Shell::Without,
            },
        }
    }

    pub(crate) fn shell(mut self, shell: Shell) -> Self {
        self.open.shell = shell;
        self
    }

    pub(crate) fn env(mut self, name: &[u8], value: &[u8]) -> Self {
        self.open.env.push((Bytes::from(name), Bytes::from(value)));
        self
    }

    pub(crate) fn cwd(mut self, cwd: &Path) -> Self {
        self.open.cwd = Some(Bytes::from(cwd.as_os_str().as_encoded_bytes()));
        self
    }

    pub(crate) fn terminal(mut self, rows: u16, columns: u16) -> Self {
        self.open.stdio = StdioSet::default();
        self.open.terminal = Some(Terminal {
            rows,
            columns,
            ..Terminal::default()
        });
        self
    }
}

/// A session that has started.
pub(crate) struct Session {
    pub(crate) channel: Channel,
    /// Writes to it; the terminal's master, if it has one.
    pub(crate) stdin: Option<File>,
    /// What it writes.
    pub(crate) output: File,
    pub(crate) notices: Vec<Notice>,
}

impl Session {
    /// Waits for the end.
    pub(crate) fn exit(&mut self) -> Exit {
        let received = self.channel.recv::<FromAgent>(deadline()).unwrap();
        match received.expect("an end before the connection's") {
            (FromAgent::Exited(exit), _) => exit,
            other => panic!("{other:?}"),
        }
    }

    /// Gives it no input, takes all its output, and waits for the end.
    pub(crate) fn finish(mut self) -> (Vec<u8>, Exit) {
        self.stdin = None;
        let mut output = Vec::new();
        // A terminal ends with EIO.
        let _ = self.output.read_to_end(&mut output);
        let exit = self.exit();
        (output, exit)
    }

    /// Reads until `text` has come.
    pub(crate) fn read_until(&mut self, text: &str) -> String {
        let mut output = Vec::new();
        let mut chunk = [0; 4096];
        while !String::from_utf8_lossy(&output).contains(text) {
            wait_readable(self.output.as_fd());
            let read = self.output.read(&mut chunk).unwrap_or(0);
            let so_far = String::from_utf8_lossy(&output);
            assert_ne!(read, 0, "{text:?} did not come: {so_far}");
            output.extend_from_slice(&chunk[..read]);
        }
        String::from_utf8_lossy(&output).into_owned()
    }

    pub(crate) fn signal(&mut self, number: u8) {
        let signal = ToAgentSession::Signal(number);
        self.channel.send(&signal, &[], deadline()).unwrap();
    }
}

/// Whether a process runs; one that only waits to be collected does not.
pub(crate) fn runs(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.contains(") Z ") && !stat.contains(") X "))
}
