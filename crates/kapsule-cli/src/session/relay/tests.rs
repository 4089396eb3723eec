// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use rustix::event::{Timespec, poll};

use super::*;

/// A direction between two ends that the test holds the other sides of, through the kernel's pages
/// or through memory.
fn direction(pages: bool) -> (PipeWriter, Relay<'static>, PipeReader) {
    let (source, writer) = std::io::pipe().unwrap();
    let (reader, sink) = std::io::pipe().unwrap();
    let (source, sink) = (OwnedFd::from(source), OwnedFd::from(sink));
    for ours in [&source, &sink] {
        rustix::io::ioctl_fionbio(ours, true).unwrap();
    }
    let mut relay = Relay::new(End::Owned(source), End::Owned(sink));
    assert!(matches!(relay.method, Method::Splice { .. }));
    if !pages && let State::Open { sink, .. } = &relay.state {
        relay.method = Method::Copy(Buffer::new(sink));
    }
    (writer, relay, reader)
}

/// One round of the loop that the sessions have; waits for at most `milliseconds`.
fn round(relay: &mut Relay<'_>, milliseconds: i64) {
    let mut polled = Vec::new();
    let interest = relay.before_poll(&mut polled);
    let timeout = Timespec {
        tv_sec: 0,
        tv_nsec: milliseconds * 1_000_000,
    };
    poll(&mut polled, Some(&timeout)).unwrap();
    let results: Vec<PollFlags> = polled.iter().map(PollFd::revents).collect();
    relay.after_poll(interest, &mut results.into_iter());
}

#[test]
fn bytes_arrive_and_the_end_with_them() {
    for pages in [true, false] {
        let (mut writer, mut relay, mut reader) = direction(pages);
        let data: Vec<u8> = (0..=255).cycle().take(1_000_000).collect();
        let sent = data.clone();
        let sender = std::thread::spawn(move || writer.write_all(&sent).unwrap());
        let receiver = std::thread::spawn(move || {
            let mut received = Vec::new();
            reader.read_to_end(&mut received).unwrap();
            received
        });
        while !relay.is_over() {
            round(&mut relay, 900);
        }
        assert!(relay.source_ended());
        sender.join().unwrap();
        assert!(receiver.join().unwrap() == data, "pages {pages}");
    }
}

#[test]
fn a_reader_that_goes_is_noticed_without_a_byte_to_write() {
    for pages in [true, false] {
        let (mut writer, mut relay, reader) = direction(pages);
        round(&mut relay, 0);
        assert!(!relay.is_over());
        drop(reader);
        round(&mut relay, 900);
        assert!(relay.sink_gone());
        // And its writer is told, as in a pipeline.
        let error = writer.write_all(b"x").unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    }
}

#[test]
fn a_sink_that_is_full_makes_the_source_wait() {
    for pages in [true, false] {
        let (writer, mut relay, mut reader) = direction(pages);
        let writer = OwnedFd::from(writer);
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        let mut writer = File::from(writer);
        let chunk = [7; 4096];
        let mut accepted = 0;
        let mut refused = 0;
        while refused < 10 {
            match writer.write(&chunk) {
                Ok(written) => accepted += written,
                Err(_) => refused += 1,
            }
            round(&mut relay, 1);
        }
        // Two pipes and a buffer hold this much, and not for ever more.
        assert!((64 * 1024..512 * 1024).contains(&accepted), "{accepted}");
        assert!(!relay.is_over());
        drop(writer);
        let receiver = std::thread::spawn(move || {
            let mut received = Vec::new();
            reader.read_to_end(&mut received).unwrap();
            received.len()
        });
        while !relay.is_over() {
            round(&mut relay, 900);
        }
        assert_eq!(receiver.join().unwrap(), accepted);
    }
}

#[test]
fn what_the_program_left_is_delivered_and_nobody_is_waited_for() {
    for pages in [true, false] {
        let (mut writer, mut relay, mut reader) = direction(pages);
        writer.write_all(b"last words").unwrap();
        // The writer stays open, as by something that was left in the background.
        relay.writer_ended();
        assert!(relay.is_over());
        let mut received = String::new();
        reader.read_to_string(&mut received).unwrap();
        assert_eq!(received, "last words");

        let (_writer, mut relay, _reader) = direction(pages);
        relay.writer_ended();
        assert!(relay.is_over());
    }
}

#[test]
fn somebody_who_writes_for_ever_is_left() {
    let (mut writer, mut relay, mut reader) = direction(false);
    let noise = std::thread::spawn(move || while writer.write_all(&[0; 65536]).is_ok() {});
    let reading = std::thread::spawn(move || {
        let mut received = Vec::new();
        reader.read_to_end(&mut received).unwrap();
        received.len()
    });
    relay.writer_ended();
    while !relay.is_over() {
        round(&mut relay, 900);
    }
    noise.join().unwrap();
    assert!(reading.join().unwrap() <= REST);
}

#[test]
fn ends_that_cannot_be_spliced_are_copied() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let (mut reader, sink) = std::io::pipe().unwrap();
    let mut relay = Relay::new(End::Owned(ours.into()), End::Owned(sink.into()));
    assert!(matches!(relay.method, Method::Copy(_)));
    theirs.write_all(b"through").unwrap();
    drop(theirs);
    while !relay.is_over() {
        round(&mut relay, 900);
    }
    let mut received = String::new();
    reader.read_to_string(&mut received).unwrap();
    assert_eq!(received, "through");
}
