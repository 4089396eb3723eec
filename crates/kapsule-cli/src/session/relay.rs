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

use rustix::event::{PollFd, PollFlags};
use rustix::fs::FileType;
use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, splice};

use super::stream::End;

/// How much is read at once where bytes must be copied.
const BUFFER: usize = 64 * 1024;
/// How much is written at once to what may block: a pipe or a terminal that `poll` calls writable
/// takes this much (`PIPE_BUF`).
const SURE: usize = 4096;
/// How much is moved at once from pipe to pipe, and the size of a pipe of ours through which much
/// goes: the larger, the less often its two ends have to wait for each other.
const SPLICE: usize = 1024 * 1024;
/// How often in a row one direction moves what it does not gather, before others have their turn.
const ROUNDS: usize = 16;
/// How much is much. Pipes of that size are a scarce good (`pipe-user-pages-soft`).
const MUCH: usize = 1024 * 1024;
/// Most that is still taken after the program has ended. More than any pipe or terminal holds by
/// default, so that only something left running in the background can reach it.
const REST: usize = 2 * 1024 * 1024;

/// A direction.
#[derive(Debug)]
pub(super) struct Relay<'a> {
    state: State<'a>,
    method: Method,
    /// Bytes that may still be taken from the source, once its writer has ended.
    rest: Option<usize>,
    /// How much has been moved.
    moved: usize,
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
    Splice {
        sink_full: bool,
        /// The pipes were made for much.
        wide: bool,
    },
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
    /// Reads as long as much is there before it writes.
    gathers: bool,
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
        let method = if source.kind() == FileType::Fifo && sink.kind() == FileType::Fifo {
            Method::Splice {
                sink_full: false,
                wide: false,
            }
        } else {
            Method::Copy(Buffer::new(&sink))
        };
        Self {
            state: State::Open { source, sink },
            method,
            rest: None,
            moved: 0,
        }
    }

    /// Once much has gone to a terminal, that terminal: its writing is worth a thread.
    pub(super) fn busy_terminal(&self) -> Option<BorrowedFd<'_>> {
        match &self.state {
            State::Open {
                sink: End::Terminal(terminal),
                ..
            } if self.moved >= MUCH => Some(terminal.as_fd()),
            _ => None,
        }
    }

    /// Lets a thread write to the sink: from now on through this pipe.
    pub(super) fn write_through(&mut self, pipe: OwnedFd) {
        if let State::Open { sink, .. } = &mut self.state {
            *sink = End::Owned(pipe);
        }
        if let Method::Copy(buffer) = &mut self.method {
            buffer.gathers = false;
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
            Method::Splice { sink_full, .. } => *sink_full,
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

    /// Moves once, or a few times where that is little; when the writer has ended, as long as there
    /// is something.
    fn advance(&mut self) {
        let mut rounds = match &self.method {
            Method::Copy(buffer) if !buffer.gathers => ROUNDS,
            _ => 0,
        };
        while let State::Open { source, sink } = &self.state {
            let budget = self.rest.unwrap_or(usize::MAX);
            let step = match &mut self.method {
                _ if budget == 0 => Step::SourceEnded,
                Method::Splice { sink_full, wide } => {
                    if self.moved >= MUCH && !*wide {
                        source.widen(SPLICE);
                        sink.widen(SPLICE);
                        *wide = true;
                    }
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
            self.moved = self.moved.saturating_add(taken);
            match step {
                Step::Moved(_) if self.rest.is_some() => {}
                Step::Moved(_) if rounds > 0 => rounds -= 1,
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
            *sink_full = source.is_ready(PollFlags::IN);
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
        let takes_all = sink.never_blocks() || sink.kind() == FileType::RegularFile;
        Self {
            bytes: vec![0; BUFFER].into_boxed_slice(),
            start: 0,
            end: 0,
            at_once: if takes_all { BUFFER } else { SURE },
            gathers: true,
        }
    }

    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    fn step(&mut self, source: &End<'_>, sink: &End<'_>, budget: usize) -> Step {
        let mut taken = 0;
        if self.is_empty() {
            let most = self.bytes.len().min(budget);
            match self.fill(source, most) {
                Ok(0) => return Step::SourceEnded,
                Ok(read) => taken = read,
                Err(Errno::INTR) => return Step::Moved(0),
                Err(Errno::AGAIN) => return Step::Dry,
                // The master of a terminal that nobody has open any more says EIO.
                Err(_) => return Step::SourceEnded,
            }
            // Most of the time there is room, and a round of the loop is saved.
            if !sink.never_blocks() && !sink.is_ready(PollFlags::OUT) {
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

/// A terminal gives little at once (4 KiB) however much there is.
const FEW: usize = 2048;

impl Buffer {
    /// Reads into the empty buffer, at most so many bytes, and as long as much is there.
    fn fill(&mut self, source: &End<'_>, most: usize) -> Result<usize, Errno> {
        (self.start, self.end) = (0, 0);
        loop {
            match rustix::io::read(source, &mut self.bytes[self.end..most]) {
                Ok(read) => {
                    self.end += read;
                    let enough = !self.gathers || read < FEW || self.end == most;
                    if enough || !source.never_blocks() {
                        return Ok(self.end);
                    }
                }
                // An end or an error will come again.
                Err(_) if self.end > 0 => return Ok(self.end),
                Err(errno) => return Err(errno),
            }
        }
    }
}

#[cfg(test)]
mod tests;
