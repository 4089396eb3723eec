// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What the root of a container could run in the agent's place. The tests put it into one.
//!
//! | called with | |
//! |---|---|
//! | `serve` | registers, and does to each session what the first word of its command says |
//! | `deaf` | registers, and never reads what the daemon sends |
//! | `register COUNT` | registers that many times, one after the other; fails unless each time worked |
//! | `knock COUNT` | makes that many connections that say nothing, and holds them |
//! | `mumble` | sends registrations that are none; fails if the daemon greets it |

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use kapsule_proto::paths::AGENT_SOCKET;
use kapsule_proto::registration::{Context, Hello, MAX_PACKET, PROTOCOL_VERSION, encode};
use kapsule_proto::session::{Channel, Exit, FailedStage, FromAgent, Notice, Open, ToAgentSession};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv,
    recvmsg, send, sendmsg, socket_with,
};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let count = words.get(1).and_then(|word| word.parse().ok()).unwrap_or(1);
    let done = match words.first().map(String::as_str) {
        Some("serve") => serve(),
        Some("deaf") => register().map(|_daemon| say_and_wait("registered")),
        Some("register") => register_often(count),
        Some("knock") => knock(count),
        Some("mumble") => mumble(),
        _ => Err(io::Error::other("what shall I do?")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hostile-agent: {error}");
            ExitCode::FAILURE
        }
    }
}

fn say_and_wait(what: &str) {
    say(what);
    loop {
        std::thread::park();
    }
}

fn say(what: &str) {
    println!("{what}");
    let _ = io::stdout().flush();
}

fn dial() -> io::Result<OwnedFd> {
    let socket = socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    connect(&socket, &SocketAddrUnix::new(AGENT_SOCKET)?)?;
    Ok(socket)
}

fn hello(version: u16) -> io::Result<Vec<u8>> {
    let context = Context::Plain;
    encode(&Hello { version, context }).map_err(io::Error::other)
}

/// Sends a packet and tells whether the daemon answered.
fn is_greeted(socket: &OwnedFd, packet: &[u8]) -> bool {
    let mut answer = [0; MAX_PACKET];
    send(socket, packet, SendFlags::NOSIGNAL).is_ok()
        && recv(socket, &mut answer, RecvFlags::empty()).is_ok_and(|(read, _)| read > 0)
}

fn register() -> io::Result<OwnedFd> {
    let socket = dial()?;
    match is_greeted(&socket, &hello(PROTOCOL_VERSION)?) {
        true => Ok(socket),
        false => Err(io::Error::other("the daemon refused")),
    }
}

fn register_often(count: usize) -> io::Result<()> {
    // Those that were replaced are kept open on this side.
    let mut kept = std::collections::VecDeque::new();
    let mut greeted = 0;
    for _ in 0..count {
        match register() {
            Ok(socket) => {
                greeted += 1;
                kept.push_back(socket);
            }
            Err(error) => eprintln!("hostile-agent: {error}"),
        }
        kept.truncate(500);
    }
    if greeted < count {
        return Err(io::Error::other(format!("greeted {greeted} times")));
    }
    Ok(())
}

fn knock(count: usize) -> io::Result<()> {
    let connections: io::Result<Vec<OwnedFd>> = (0..count).map(|_| dial()).collect();
    let _held = connections?;
    say_and_wait("knocked");
    Ok(())
}

fn mumble() -> io::Result<()> {
    let mut greeted = 0;
    for packet in [
        vec![],
        vec![0xff; 3],
        vec![0; MAX_PACKET],
        vec![1; MAX_PACKET + 1],
        vec![1; 100_000],
        [hello(PROTOCOL_VERSION)?, vec![0]].concat(),
    ] {
        greeted += usize::from(is_greeted(&dial()?, &packet));
    }
    // With descriptors, of which the daemon must take none.
    let socket = dial()?;
    let own = File::open("/dev/null")?;
    let many = vec![own.as_fd(); 200];
    send_with(&socket, &[0xff; 3], &many)?;
    let mut answer = [0; MAX_PACKET];
    greeted +=
        usize::from(recv(&socket, &mut answer, RecvFlags::empty()).is_ok_and(|got| got.0 > 0));
    if greeted > 0 {
        return Err(io::Error::other(format!("greeted {greeted} times")));
    }
    Ok(())
}

fn serve() -> io::Result<()> {
    let daemon = register()?;
    say("registered");
    loop {
        let mut packet = [0; MAX_PACKET];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC;
        let got = recvmsg(
            &daemon,
            &mut [IoSliceMut::new(&mut packet)],
            &mut control,
            flags,
        )?;
        if got.bytes == 0 {
            return Err(io::Error::other("the daemon has gone"));
        }
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(sockets) = message {
                for socket in sockets {
                    std::thread::spawn(move || meet(socket));
                }
            }
        }
    }
}

/// One session: waits for the request, and does what that says.
fn meet(socket: OwnedFd) {
    let Ok(raw) = socket.try_clone() else { return };
    let mut channel = Channel::new(socket);
    let deadline = Instant::now() + Duration::from_secs(60);
    let Ok(Some((ToAgentSession::Open(open), streams))) = channel.recv(Some(deadline)) else {
        return;
    };
    let mut client = Client {
        channel,
        raw,
        streams,
    };
    // The client may hang up on us at any moment.
    let _ = client.treat(&open);
}

struct Client {
    channel: Channel,
    /// The same connection, for what is no message.
    raw: OwnedFd,
    /// What the client lent.
    streams: Vec<OwnedFd>,
}

impl Client {
    fn tell(&mut self, message: &FromAgent, attached: &[BorrowedFd<'_>]) -> io::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        self.channel
            .send(message, attached, Some(deadline))
            .map_err(io::Error::other)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let sent = send(&self.raw, rest, SendFlags::NOSIGNAL)?;
            rest = &rest[sent..];
        }
        Ok(())
    }

    /// Says that the program runs, with this as its terminal.
    fn start_with(&mut self, terminal: impl AsFd) -> io::Result<()> {
        self.tell(&FromAgent::Started, &[terminal.as_fd()])?;
        hold()
    }

    fn treat(&mut self, open: &Open) -> io::Result<()> {
        let word = open.argv.first().map(|word| String::from_utf8_lossy(word));
        match word.as_deref().unwrap_or_default() {
            // Before the program runs.
            "silence" => hold(),
            "gone" => Ok(()),
            "half" => self.write(&[100, 0, 0, 0, 1, 2, 3]),
            "half-and-silence" => {
                self.write(&[100, 0, 0, 0, 1, 2, 3])?;
                hold()
            }
            "drip" => loop {
                // One byte of an endless message at a time.
                self.write(&[100])?;
                std::thread::sleep(Duration::from_millis(500));
            },
            "huge" => self.write(&[0xff; 64]).and_then(|()| hold()),
            "empty" => self.write(&[0; 64]).and_then(|()| hold()),
            "garbage" => self.write(&[3, 0, 0, 0, 9, 9, 9]).and_then(|()| hold()),
            "notices" => loop {
                self.tell(&FromAgent::Notice(Notice::Shell), &[])?;
            },
            "exit-first" => self
                .tell(&FromAgent::Exited(Exit::Code(0)), &[])
                .and_then(|()| hold()),
            "odd-failure" => {
                let stage = FailedStage::Exec;
                self.tell(
                    &FromAgent::Failed {
                        stage,
                        errno: i32::MIN,
                    },
                    &[],
                )?;
                hold()
            }
            // Descriptors.
            "file" => self.start_with(File::open("/etc/passwd")?),
            "folder" => self.start_with(File::open("/")?),
            "null" => self.start_with(File::options().read(true).write(true).open("/dev/null")?),
            "zero" => self.start_with(File::open("/dev/zero")?),
            "pipe" => self.start_with(io::pipe()?.0),
            "fifo" => self.start_with(fifo()?),
            "socket" => {
                let own = self.raw.try_clone()?;
                self.start_with(own)
            }
            "slave" => {
                let (_master, slave) = terminal()?;
                self.start_with(slave)
            }
            "two" => self.attach(2),
            "three" => self.attach(3),
            "many" => {
                let (master, _slave) = terminal()?;
                send_with(&self.raw, &[1, 0, 0, 0, 1], &vec![master.as_fd(); 100])?;
                hold()
            }
            "notice-with-descriptor" => {
                let (master, _slave) = terminal()?;
                self.tell(&FromAgent::Notice(Notice::Shell), &[master.as_fd()])?;
                hold()
            }
            "none" => self.tell(&FromAgent::Started, &[]).and_then(|()| hold()),
            // While the program runs.
            "started-and-gone" => self.started(false),
            "started-twice" => self
                .started(true)
                .and_then(|()| self.tell(&FromAgent::Started, &[])),
            "late-descriptor" => {
                self.started(true)?;
                let (master, _slave) = terminal()?;
                self.tell(&FromAgent::Exited(Exit::Code(0)), &[master.as_fd()])
            }
            "flood" => {
                self.started(true)?;
                loop {
                    self.write(&[1, 0, 0, 0, 0])?;
                }
            }
            "for-ever" => {
                self.started(true)?;
                hold()
            }
            "deaf-terminal" => {
                // A real one, but nobody reads it and nobody writes to it.
                let (master, _slave) = terminal()?;
                self.tell(&FromAgent::Started, &[master.as_fd()])?;
                hold()
            }
            "dead-terminal" => {
                let (master, slave) = terminal()?;
                drop(slave);
                self.tell(&FromAgent::Started, &[master.as_fd()])?;
                drop(master);
                self.tell(&FromAgent::Exited(Exit::Code(7)), &[])
            }
            // What did the client lend?
            "look" => self.look(),
            _ => self.tell(&FromAgent::Exited(Exit::Code(0)), &[]),
        }
    }

    fn attach(&mut self, count: usize) -> io::Result<()> {
        let (master, _slave) = terminal()?;
        self.tell(&FromAgent::Started, &vec![master.as_fd(); count])?;
        hold()
    }

    /// Says that the program runs, with a terminal where the client has one; `stay`s after that or not.
    fn started(&mut self, stay: bool) -> io::Result<()> {
        if self.streams.len() == 3 {
            self.tell(&FromAgent::Started, &[])?;
        } else {
            let (master, slave) = terminal()?;
            self.tell(&FromAgent::Started, &[master.as_fd()])?;
            if stay {
                std::thread::spawn(move || drop((slave, hold())));
            }
        }
        Ok(())
    }

    /// Writes what the lent descriptors are to the second of them, and ends in good order.
    fn look(&mut self) -> io::Result<()> {
        let mut seen = String::new();
        for stream in &self.streams {
            use std::os::fd::AsRawFd as _;
            let link = std::fs::read_link(format!("/proc/self/fd/{}", stream.as_raw_fd()))?;
            seen.push_str(&format!("{}\n", link.display()));
        }
        self.tell(&FromAgent::Started, &[])?;
        rustix::io::write(&self.streams[1], seen.as_bytes())?;
        self.streams.clear();
        self.tell(&FromAgent::Exited(Exit::Code(0)), &[])
    }
}

fn hold() -> io::Result<()> {
    loop {
        std::thread::park();
    }
}

fn fifo() -> io::Result<File> {
    let path = std::env::temp_dir().join(format!("hostile-{}", std::process::id()));
    let kind = rustix::fs::FileType::Fifo;
    match rustix::fs::mknodat(rustix::fs::CWD, &path, kind, rustix::fs::Mode::RWXU, 0) {
        Err(error) if error != rustix::io::Errno::EXIST => return Err(error.into()),
        _ => {}
    }
    File::options().read(true).write(true).open(path)
}

fn terminal() -> io::Result<(OwnedFd, OwnedFd)> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let slave = ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    Ok((master, slave))
}

/// Sends bytes with more descriptors than a [`Channel`] lets through.
fn send_with(socket: &OwnedFd, bytes: &[u8], attached: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(250))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(attached)) {
        return Err(io::Error::other("too many descriptors"));
    }
    let sent = sendmsg(
        socket,
        &[IoSlice::new(bytes)],
        &mut control,
        SendFlags::NOSIGNAL,
    )?;
    debug_assert_eq!(sent, bytes.len());
    Ok(())
}
