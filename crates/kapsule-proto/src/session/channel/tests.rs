// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::*;
use crate::session::{Bytes, FromAgent, Notice, Open, Shell, StdioSet, ToAgentSession};

fn pair() -> (Channel, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (Channel::new(ours.into()), theirs)
}

fn soon() -> Option<Instant> {
    Some(Instant::now() + Duration::from_secs(10))
}

fn open(env: Vec<(Bytes, Bytes)>) -> ToAgentSession {
    ToAgentSession::Open(Open {
        argv: vec![Bytes::from(b"a\n\xff".to_vec()), Bytes::new()],
        env,
        cwd: Some(Bytes::from(b"/".to_vec())),
        terminal: None,
        stdio: StdioSet::default(),
        shell: Shell::Login,
    })
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_le_bytes().to_vec();
    frame.extend_from_slice(payload);
    frame
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn messages_arrive_in_order_and_then_the_end() {
    let (mut sender, receiver) = pair();
    let mut receiver = Channel::new(receiver.into());
    let messages = [
        FromAgent::Notice(Notice::Shell),
        FromAgent::Started,
        FromAgent::Exited(crate::session::Exit::Code(7)),
    ];
    for message in &messages {
        sender.send(message, &[], None).unwrap();
    }
    drop(sender);
    for message in &messages {
        let (received, descriptors) = receiver.recv::<FromAgent>(soon()).unwrap().unwrap();
        assert_eq!(&received, message);
        assert!(descriptors.is_empty());
    }
    assert!(receiver.recv::<FromAgent>(soon()).unwrap().is_none());
}

#[test]
fn a_frame_may_come_byte_by_byte() {
    let (mut receiver, mut raw) = pair();
    let message = open(vec![]);
    let bytes = frame(&postcard::to_stdvec(&message).unwrap());
    let (last, head) = bytes.split_last().unwrap();
    for byte in head {
        raw.write_all(&[*byte]).unwrap();
        assert!(matches!(
            receiver.try_recv::<ToAgentSession>().unwrap(),
            Received::Pending
        ));
    }
    raw.write_all(&[*last]).unwrap();
    let Received::Message(received, _) = receiver.try_recv::<ToAgentSession>().unwrap() else {
        panic!("the frame is whole");
    };
    assert_eq!(received, message);
}

#[test]
fn a_megabyte_of_environment_passes() {
    let (mut sender, receiver) = pair();
    let env = (0..64)
        .map(|n| {
            (
                Bytes::from(format!("V{n}").into_bytes()),
                Bytes::from(vec![b'x'; 16 * 1024]),
            )
        })
        .collect();
    let message = open(env);
    let expected = message.clone();
    let reader = std::thread::spawn(move || {
        Channel::new(receiver.into())
            .recv::<ToAgentSession>(soon())
            .unwrap()
            .unwrap()
            .0
    });
    sender.send(&message, &[], soon()).unwrap();
    assert_eq!(reader.join().unwrap(), expected);
}

#[test]
fn descriptors_belong_to_their_frame() {
    let (mut sender, receiver) = pair();
    let mut receiver = Channel::new(receiver.into());
    let (mut read_end, write_end) = std::io::pipe().unwrap();
    sender
        .send(&FromAgent::Notice(Notice::Shell), &[], None)
        .unwrap();
    sender
        .send(&FromAgent::Started, &[write_end.as_fd()], None)
        .unwrap();
    sender
        .send(&FromAgent::Notice(Notice::WorkingDirectory), &[], None)
        .unwrap();
    drop(write_end);

    let counts: Vec<usize> = (0..3)
        .map(|_| {
            let (_, descriptors) = receiver.recv::<FromAgent>(soon()).unwrap().unwrap();
            let count = descriptors.len();
            for descriptor in descriptors {
                let flags = rustix::io::fcntl_getfd(&descriptor).unwrap();
                assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
                std::fs::File::from(descriptor)
                    .write_all(b"through")
                    .unwrap();
            }
            count
        })
        .collect();
    assert_eq!(counts, [0, 1, 0]);
    let mut text = String::new();
    read_end.read_to_string(&mut text).unwrap();
    assert_eq!(text, "through");
}

#[test]
fn surplus_descriptors_are_an_error_and_do_not_leak() {
    let (mut receiver, raw) = pair();
    let null = std::fs::File::open("/dev/null").unwrap();
    let before = open_files();
    for (at_once, times) in [(MAX_DESCRIPTORS + 1, 1), (100, 1), (1, MAX_DESCRIPTORS + 1)] {
        let (mut receiver_now, raw_now) = pair();
        let bytes = frame(&[0; 32]);
        let borrowed = vec![null.as_fd(); at_once];
        for n in 0..times {
            let mut space = vec![MaybeUninit::uninit(); 4096];
            let mut control = SendAncillaryBuffer::new(&mut space);
            assert!(control.push(SendAncillaryMessage::ScmRights(&borrowed)));
            let part = &bytes[n..=n];
            sendmsg(
                &raw_now,
                &[IoSlice::new(part)],
                &mut control,
                SendFlags::empty(),
            )
            .unwrap();
        }
        let error = receiver_now.recv::<FromAgent>(soon()).unwrap_err();
        assert!(matches!(error, ChannelError::TooManyDescriptors), "{error}");
    }
    // Other tests of this process open files too, hence not an exact comparison of each step.
    assert!(open_files() < before + 50);
    drop(raw);
    assert!(matches!(
        receiver.try_recv::<FromAgent>().unwrap(),
        Received::Closed
    ));
}

#[test]
fn the_end_in_the_middle_is_an_error() {
    for cut in 1..7 {
        let (mut receiver, mut raw) = pair();
        raw.write_all(&frame(&[1, 2, 3])[..cut]).unwrap();
        drop(raw);
        let result = receiver.recv::<FromAgent>(soon());
        assert!(
            matches!(
                result,
                Err(ChannelError::Truncated | ChannelError::Malformed(_))
            ),
            "{cut}"
        );
    }
}

#[test]
fn a_length_out_of_bounds_is_refused_before_it_is_read() {
    let (mut receiver, mut raw) = pair();
    raw.write_all(&u32::MAX.to_le_bytes()).unwrap();
    let result = receiver.recv::<FromAgent>(soon());
    assert!(matches!(result, Err(ChannelError::TooLong(_))));

    let (mut sender, _raw) = pair();
    let huge = open(vec![(Bytes::new(), Bytes::from(vec![0; MAX_FRAME]))]);
    let result = sender.send(&huge, &[], soon());
    assert!(matches!(result, Err(ChannelError::TooLong(_))));
}

#[test]
fn a_promised_length_costs_nothing_until_it_arrives() {
    let (mut receiver, mut raw) = pair();
    let length = u32::try_from(MAX_FRAME).unwrap();
    raw.write_all(&length.to_le_bytes()).unwrap();
    raw.write_all(b"x").unwrap();
    assert!(matches!(
        receiver.try_recv::<FromAgent>().unwrap(),
        Received::Pending
    ));
    assert!(receiver.incoming.payload.capacity() <= 2 * CHUNK);
}

#[test]
fn a_silent_or_deaf_other_end_does_not_hold_us() {
    let (mut channel, _raw) = pair();
    let short = Some(Instant::now() + Duration::from_millis(30));
    let result = channel.recv::<FromAgent>(short);
    assert!(matches!(result, Err(ChannelError::TimedOut)));

    let big = open(vec![(Bytes::new(), Bytes::from(vec![0; MAX_FRAME / 2]))]);
    let short = Some(Instant::now() + Duration::from_millis(30));
    let result = channel.send(&big, &[], short);
    assert!(matches!(result, Err(ChannelError::TimedOut)));
}

#[test]
fn a_flood_is_taken_one_by_one_and_sending_into_a_full_socket_fails() {
    let (mut sender, receiver) = pair();
    let mut receiver = Channel::new(receiver.into());
    let mut sent = 0_u32;
    let error = loop {
        match sender.send(&ToAgentSession::Signal(1), &[], None) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
        assert!(sent < 1_000_000, "a socket holds no million frames");
    };
    assert!(matches!(error, ChannelError::TimedOut));
    for _ in 0..sent {
        let received = receiver.try_recv::<ToAgentSession>().unwrap();
        assert!(matches!(
            received,
            Received::Message(ToAgentSession::Signal(1), _)
        ));
    }
    assert!(matches!(
        receiver.try_recv::<ToAgentSession>().unwrap(),
        Received::Pending
    ));
}

/// A small generator, so that a failure can be repeated from its seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

#[test]
fn garbage_never_panics_and_never_passes_for_more_than_it_is() {
    let whole = postcard::to_stdvec(&open(vec![(Bytes::new(), Bytes::new())])).unwrap();
    for seed in 1..20_000 {
        let mut random = Random(seed);
        let mut payload = if seed % 2 == 0 {
            whole.clone()
        } else {
            (0..random.next() % 64).map(|_| 0).collect()
        };
        for _ in 0..=random.next() % 4 {
            if payload.is_empty() {
                break;
            }
            let at = usize::try_from(random.next()).unwrap() % payload.len();
            payload[at] = random.next().to_le_bytes()[0];
        }
        payload.truncate(
            payload.len()
                - usize::try_from(random.next() % 3)
                    .unwrap()
                    .min(payload.len()),
        );
        if let Ok(message) = decode::<ToAgentSession>(&payload) {
            // What was understood was there: nothing is made up from a short frame.
            let again = postcard::to_stdvec(&message).unwrap();
            assert!(again.len() <= payload.len(), "seed {seed}");
        }
        let _ = decode::<FromAgent>(&payload);
    }
}

#[test]
fn bytes_after_a_message_are_an_error() {
    let mut payload = postcard::to_stdvec(&FromAgent::Started).unwrap();
    payload.push(0);
    assert!(matches!(
        decode::<FromAgent>(&payload),
        Err(ChannelError::Malformed(_))
    ));
    assert!(matches!(
        decode::<FromAgent>(&[]),
        Err(ChannelError::Malformed(_))
    ));
}
