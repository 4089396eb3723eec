// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! One direction of a session: bytes from a source to a sink, without ever waiting in a call that
//! is not `poll`.
//!
//! Half-closing goes both ways: when the source ends, the sink is closed; when the sink's reader
//! has gone, the source is closed, so that its writer gets `SIGPIPE` as in any pipeline. Standard
//! input and output of this process are closed by putting `/dev/null` in their place; standard
//! error stays open for what there is to say at the end.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, Mode, OFlags, fstat};
use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, splice};
use rustix::stdio::{dup2_stdin, dup2_stdout, stderr, stdin, stdout};
use rustix::termios::isatty;

/// How much is read at once where bytes must be copied.
const BUFFER: usize = 64 * 1024;
/// How much is written at once to what may block: a pipe or a terminal that `poll` calls writable
/// takes this much (`PIPE_BUF`).
const SURE: usize = 4096;
/// How much is moved at once from pipe to pipe.
const SPLICE: usize = 1024 * 1024;
/// Most that is still taken after the program has ended. More than any pipe or terminal holds by
/// default, so that only something left running in the background can reach it.
const REST: usize = 2 * 1024 * 1024;

/// One end of a direction.
#[derive(Debug)]
pub(super) enum End<'a> {
    /// A pipe of ours; non-blocking.
    Owned(OwnedFd),
    /// The master of the container's terminal, which both directions share; non-blocking.
    Shared(BorrowedFd<'a>),
    /// Standard input of this process.
    Stdin,
    /// Standard output of this process.
    Stdout,
    /// Standard error of this process.
    Stderr,
}

impl AsFd for End<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Owned(descriptor) => descriptor.as_fd(),
            Self::Shared(descriptor) => *descriptor,
            Self::Stdin => stdin(),
            Self::Stdout => stdout(),
            Self::Stderr => stderr(),
        }
    }
}

impl End<'_> {
    fn is_ours(&self) -> bool {
        matches!(self, Self::Owned(_) | Self::Shared(_))
    }

    /// Lets the other side of it notice that nobody is here any more.
    fn close(self) {
        // A terminal stays: the shell that shares it is what notices, not a pipe's other end, and
        // messages still have to get there.
        if !self.is_ours() && isatty(&self) {
            return;
        }
        let null = || rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
        let replaced = match self {
            // Standard error stays, too: that the connection was lost is yet to be said there.
            Self::Owned(_) | Self::Shared(_) | Self::Stderr => Ok(()),
            Self::Stdin => null().and_then(dup2_stdin),
            Self::Stdout => null().and_then(dup2_stdout),
        };
        // Without a /dev/null the other side learns of the end a little later, from our exit.
        let _ = replaced;
    }
}

/// A direction.
#[derive(Debug)]
pub(super) struct Relay<'a> {
    state: State<'a>,
    method: Method,
    /// Bytes that may still be taken from the source, once its writer has ended.
    rest: Option<usize>,
}

#[derive(Debug)]
enum State<'a> {
    Open { source: End<'a>, sink: End<'a> },
    SourceEnded,
    SinkGone,
}

#[derive(Debug)]
enum Method {
    /// Both ends are pipes, and the kernel moves the pages.
    Splice { sink_full: bool },
    /// Through memory.
    Copy(Buffer),
}

#[derive(Debug)]
struct Buffer {
    bytes: Box<[u8]>,
    /// `bytes[start..end]` was read and not yet written.
    start: usize,
    end: usize,
    /// How much the sink takes at once.
    at_once: usize,
}

/// What `poll` has to look at for a direction.
#[derive(Debug, Default)]
pub(super) struct Interest {
    source: bool,
    sink: bool,
}

/// What one step did.
enum Step {
    /// So many bytes were taken from the source, and all that was taken is written.
    Moved(usize),
    /// So many bytes were taken from the source, and the sink has to take more first.
    Full(usize),
    /// The source has nothing now.
    Dry,
    /// The source has ended, and all that came from it is written.
    SourceEnded,
    /// Nobody reads from the sink any more.
    SinkGone,
}

impl<'a> Relay<'a> {
    pub(super) fn new(source: End<'a>, sink: End<'a>) -> Self {
        let method = if kind(&source) == FileType::Fifo && kind(&sink) == FileType::Fifo {
            Method::Splice { sink_full: false }
        } else {
            Method::Copy(Buffer::new(&sink))
        };
        Self {
            state: State::Open { source, sink },
            method,
            rest: None,
        }
    }

    /// Whether nothing more will be moved.
    pub(super) fn is_over(&self) -> bool {
        !matches!(self.state, State::Open { .. })
    }

    /// Whether it is over because the source ended.
    pub(super) fn source_ended(&self) -> bool {
        matches!(self.state, State::SourceEnded)
    }

    /// Whether it is over because nobody reads from the sink any more.
    pub(super) fn sink_gone(&self) -> bool {
        matches!(self.state, State::SinkGone)
    }

    /// Says that the writer has ended: what it left is still moved, and then the direction is
    /// over, even if others hold the source open.
    pub(super) fn writer_ended(&mut self) {
        self.rest.get_or_insert(REST);
        self.advance();
    }

    /// Ends the direction at once.
    pub(super) fn close(&mut self) {
        self.end(State::SourceEnded);
    }

    fn end(&mut self, how: State<'a>) {
        if let State::Open { source, sink } = std::mem::replace(&mut self.state, how) {
            source.close();
            sink.close();
        }
    }

    /// Puts what has to be waited for into `polled`; [`Self::after_poll`] takes it from there.
    pub(super) fn before_poll<'p>(&'p self, polled: &mut Vec<PollFd<'p>>) -> Interest {
        let State::Open { source, sink } = &self.state else {
            return Interest::default();
        };
        let sink_first = match &self.method {
            Method::Splice { sink_full } => *sink_full,
            Method::Copy(buffer) => !buffer.is_empty(),
        };
        // While the sink has to take something first, the source is left out: its hang-up would
        // be reported over and over. The sink is looked at in any case, because the end of its
        // reader is reported even to those who ask for nothing; except the terminal's master,
        // whose hang-up belongs to the other direction.
        let interest = Interest {
            source: !sink_first,
            sink: sink_first || !matches!(sink, End::Shared(_)),
        };
        if interest.source {
            polled.push(PollFd::from_borrowed_fd(source.as_fd(), PollFlags::IN));
        }
        if interest.sink {
            let flags = if sink_first {
                PollFlags::OUT
            } else {
                PollFlags::empty()
            };
            polled.push(PollFd::from_borrowed_fd(sink.as_fd(), flags));
        }
        interest
    }

    /// Moves what can be moved. Of the `results` of `poll`, takes those that
    /// [`Self::before_poll`] asked for.
    pub(super) fn after_poll(
        &mut self,
        interest: Interest,
        results: &mut impl Iterator<Item = PollFlags>,
    ) {
        let none = PollFlags::empty();
        let source = if interest.source {
            results.next()
        } else {
            None
        };
        let sink = if interest.sink { results.next() } else { None };
        let source = source.unwrap_or(none);
        let sink = sink.unwrap_or(none);
        let gone = sink.intersects(PollFlags::ERR | PollFlags::NVAL)
            || (sink.contains(PollFlags::HUP) && !sink.contains(PollFlags::OUT));
        if gone {
            self.end(State::SinkGone);
        } else if !source.is_empty() || sink.contains(PollFlags::OUT) {
            self.advance();
        }
    }

    /// Moves once; when the writer has ended, as long as there is something.
    fn advance(&mut self) {
        while let State::Open { source, sink } = &self.state {
            let budget = self.rest.unwrap_or(usize::MAX);
            let step = match &mut self.method {
                _ if budget == 0 => Step::SourceEnded,
                Method::Splice { sink_full } => {
                    match step_splice(source, sink, sink_full, budget) {
                        Some(step) => step,
                        None => {
                            self.method = Method::Copy(Buffer::new(sink));
                            continue;
                        }
                    }
                }
                Method::Copy(buffer) => buffer.step(source, sink, budget),
            };
            let taken = match step {
                Step::Moved(taken) | Step::Full(taken) => taken,
                Step::Dry | Step::SourceEnded | Step::SinkGone => 0,
            };
            self.rest = self.rest.map(|rest| rest.saturating_sub(taken));
            match step {
                Step::Moved(_) if self.rest.is_some() => {}
                Step::Moved(_) | Step::Full(_) => return,
                Step::Dry if self.rest.is_none() => return,
                Step::Dry | Step::SourceEnded => self.end(State::SourceEnded),
                Step::SinkGone => self.end(State::SinkGone),
            }
        }
    }
}

/// `None` if these two cannot be spliced after all.
fn step_splice(
    source: &End<'_>,
    sink: &End<'_>,
    sink_full: &mut bool,
    budget: usize,
) -> Option<Step> {
    let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
    let step = match splice(source, None, sink, None, SPLICE.min(budget), flags) {
        Ok(0) => Step::SourceEnded,
        Ok(moved) => {
            *sink_full = false;
            Step::Moved(moved)
        }
        Err(Errno::INTR) => Step::Moved(0),
        // Either nothing is there or there is no room for it.
        Err(Errno::AGAIN) => {
            *sink_full = is_ready(source, PollFlags::IN);
            if *sink_full { Step::Full(0) } else { Step::Dry }
        }
        // A sink that was opened for appending.
        Err(Errno::INVAL) => return None,
        Err(_) => Step::SinkGone,
    };
    Some(step)
}

impl Buffer {
    fn new(sink: &End<'_>) -> Self {
        let takes_all = sink.is_ours() || kind(sink) == FileType::RegularFile;
        Self {
            bytes: vec![0; BUFFER].into_boxed_slice(),
            start: 0,
            end: 0,
            at_once: if takes_all { BUFFER } else { SURE },
        }
    }

    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    fn step(&mut self, source: &End<'_>, sink: &End<'_>, budget: usize) -> Step {
        let mut taken = 0;
        if self.is_empty() {
            let most = self.bytes.len().min(budget);
            match rustix::io::read(source, &mut self.bytes[..most]) {
                Ok(0) => return Step::SourceEnded,
                Ok(read) => (self.start, self.end, taken) = (0, read, read),
                Err(Errno::INTR) => return Step::Moved(0),
                Err(Errno::AGAIN) => return Step::Dry,
                // The master of a terminal that nobody has open any more says EIO.
                Err(_) => return Step::SourceEnded,
            }
            // Most of the time there is room, and a round of the loop is saved.
            if !sink.is_ours() && !is_ready(sink, PollFlags::OUT) {
                return Step::Full(taken);
            }
        }
        let until = self.end.min(self.start + self.at_once);
        match rustix::io::write(sink, &self.bytes[self.start..until]) {
            Ok(written) => self.start += written,
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => return Step::SinkGone,
        }
        if self.is_empty() {
            Step::Moved(taken)
        } else {
            Step::Full(taken)
        }
    }
}

fn kind(end: &End<'_>) -> FileType {
    fstat(end).map_or(FileType::Unknown, |stat| {
        FileType::from_raw_mode(stat.st_mode)
    })
}

fn is_ready(end: &End<'_>, flags: PollFlags) -> bool {
    let mut polled = [PollFd::from_borrowed_fd(end.as_fd(), flags)];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut polled, Some(&now)).is_ok() && polled[0].revents().intersects(flags)
}

#[cfg(test)]
mod tests;
