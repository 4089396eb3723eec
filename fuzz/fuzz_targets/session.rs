// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! A session's socket, as a hostile container or a hostile client may fill it: frames, their parts, and
//! descriptors where none belong. What the client reads, and what the agent reads.
//!
//! Input: one byte that says how it is sent, then the stream.

#![no_main]

use std::fmt::Debug;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use kapsule_proto::ports::FromInside;
use kapsule_proto::session::{
    Channel, ChannelError, FromAgent, MAX_DESCRIPTORS, Received, ToAgentSession,
};
use libfuzzer_sys::fuzz_target;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    sendmsg, socketpair,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Goes into a socket's buffer at once.
const MOST: usize = 32 * 1024;

fuzz_target!(|bytes: &[u8]| {
    let Some((how, stream)) = bytes.split_first() else {
        return;
    };
    let stream = &stream[..stream.len().min(MOST)];
    let descriptors = usize::from(how >> 1 & 0b111);
    let pieces = usize::from(how >> 4) + 1;
    if how & 1 == 0 {
        exchange::<FromAgent>(stream, descriptors, pieces);
        // The other thing that is read from inside in this form.
        exchange::<FromInside>(stream, descriptors, pieces);
    } else {
        exchange::<ToAgentSession>(stream, descriptors, pieces);
    }
});

fn pair() -> (OwnedFd, OwnedFd) {
    let flags = SocketFlags::CLOEXEC;
    socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None).expect("a pair of sockets")
}

fn exchange<T: Serialize + DeserializeOwned + PartialEq + Debug>(
    stream: &[u8],
    descriptors: usize,
    pieces: usize,
) {
    let (theirs, ours) = pair();
    let mut channel = Channel::new(ours);
    let mut attached = descriptors;
    for piece in stream.chunks(stream.len().div_ceil(pieces).max(1)) {
        send(&theirs, piece, std::mem::take(&mut attached));
        if !receive::<T>(&mut channel) {
            return;
        }
    }
    drop(theirs);
    // Somebody who looks at our descriptors may hold the socket open for a moment longer.
    let soon = Instant::now() + Duration::from_secs(10);
    let end = channel.recv::<T>(Some(soon));
    assert!(
        !matches!(end, Err(ChannelError::TimedOut)),
        "there is no end"
    );
}

/// Takes what is there. False after the end, or an error.
fn receive<T: Serialize + DeserializeOwned + PartialEq + Debug>(channel: &mut Channel) -> bool {
    loop {
        match channel.try_recv::<T>() {
            Ok(Received::Message(message, descriptors)) => {
                assert!(descriptors.len() <= MAX_DESCRIPTORS);
                round_trip(&message);
            }
            Ok(Received::Pending) => return true,
            Ok(Received::Closed) | Err(_) => return false,
        }
    }
}

fn round_trip<T: Serialize + DeserializeOwned + PartialEq + Debug>(message: &T) {
    let (ours, theirs) = pair();
    Channel::new(ours)
        .send(message, &[], None)
        .expect("a message that came can go");
    match Channel::new(theirs).try_recv::<T>() {
        Ok(Received::Message(again, none)) => assert!(again == *message && none.is_empty()),
        other => panic!("{message:?} became {other:?}"),
    }
}

fn send(socket: &OwnedFd, bytes: &[u8], descriptors: usize) {
    // Not the socket itself: it would stay open for as long as it is on its way.
    let (other, _) = pair();
    let borrowed = vec![other.as_fd(); if bytes.is_empty() { 0 } else { descriptors }];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !borrowed.is_empty() {
        assert!(control.push(SendAncillaryMessage::ScmRights(&borrowed)));
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    let sent = sendmsg(socket, &[IoSlice::new(bytes)], &mut control, flags);
    assert_eq!(sent, Ok(bytes.len()), "it fits");
}
