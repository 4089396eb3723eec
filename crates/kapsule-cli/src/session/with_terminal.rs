// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! A session with a terminal.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use kapsule_proto::session::{Channel, ToAgentSession};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::Signal;

use super::host_terminal::{RawMode, pass_size};
use super::mark::Mark;
use super::relay::Relay;
use super::signals::{self, Signals};
use super::start::{channel_error, io};
use super::stream::End;
use super::with_pipes::{died_of, left_of, number, take_end};
use super::writer::Writer;
use super::{Label, SessionEnd, SessionError, watchdog};

const CAUGHT: &[Signal] = &[
    Signal::HUP,
    Signal::INT,
    Signal::QUIT,
    Signal::TERM,
    Signal::USR1,
    Signal::USR2,
    Signal::TSTP,
    Signal::CONT,
    Signal::WINCH,
];

/// On these the session ends at once.
const FATAL: &[Signal] = &[Signal::HUP, Signal::TERM];

/// How long a program may go on after it has let go of its terminal: it has nothing left to show,
/// and an agent that never tells of its end must not hold the user.
const BLIND: Duration = Duration::from_secs(10);

/// Relays until the program has ended and the terminal shows what it wrote.
pub(super) fn hold(
    channel: Channel,
    master: OwnedFd,
    stderr: Option<OwnedFd>,
    label: &Label,
) -> Result<SessionEnd, SessionError> {
    // Closed before the master, for the agent to hear of the end before the kernel's hang-up acts.
    let mut channel = channel;
    let container = &label.container;
    let failed = |what| move |source| SessionError::Io { what, source };
    let mut signals = Signals::catch(CAUGHT).map_err(failed("catch signals"))?;
    watchdog::start(FATAL).map_err(failed("start a thread"))?;
    let mut screen = Screen::take(label)?;
    // It may have changed since it was asked for.
    pass_size(master.as_fd());
    let mut input = Relay::new(End::Stdin, End::Shared(master.as_fd()));
    let mut output = Relay::new(End::Shared(master.as_fd()), End::stdout());
    let mut errors = stderr.map(|stderr| Relay::new(End::Owned(stderr), End::Stderr));
    let mut writer: Option<Writer> = None;
    let mut ended = None;
    let mut blind_until = None;

    loop {
        if output.is_over() && errors.as_ref().is_none_or(Relay::is_over) && writer.is_none() {
            if let Some(end) = ended {
                return end;
            }
            blind_until.get_or_insert_with(|| Instant::now() + BLIND);
        }
        if ended.is_none() && (input.source_ended() || output.sink_gone()) {
            // The user's terminal has gone, whether or not a SIGHUP says so too.
            return Ok(died_of(Signal::HUP));
        }
        if writer.is_none()
            && let Some(terminal) = output.busy_terminal()
            // Without a thread it goes on as it did.
            && let Ok((thread, pipe)) = terminal.try_clone_to_owned().and_then(Writer::start)
        {
            output.write_through(pipe);
            writer = Some(thread);
        }
        let mut polled = Vec::new();
        signals.before_poll(&mut polled);
        if ended.is_none() {
            polled.push(PollFd::new(&channel, PollFlags::IN));
        }
        let input_interest = input.before_poll(&mut polled);
        let output_interest = output.before_poll(&mut polled);
        let errors_interest = errors
            .as_ref()
            .map(|errors| errors.before_poll(&mut polled));
        let shown = output.is_over().then_some(writer.as_ref()).flatten();
        polled.extend(shown.map(Writer::end));
        let is_last = shown.is_some();
        let timeout = blind_until.map(left_of);
        match poll(&mut polled, timeout.as_ref()) {
            Ok(0) => {
                return Err(SessionError::Blind {
                    container: container.clone(),
                });
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(io("wait for input")(errno)),
        }
        let results: Vec<PollFlags> = polled.iter().map(PollFd::revents).collect();
        let mut results = results.into_iter();

        let signalled = signals.after_poll(&mut results);
        let answered = ended.is_none() && results.next().is_some_and(|flags| !flags.is_empty());
        input.after_poll(input_interest, &mut results);
        output.after_poll(output_interest, &mut results);
        if let (Some(errors), Some(interest)) = (&mut errors, errors_interest) {
            errors.after_poll(interest, &mut results);
        }
        if is_last && results.next().is_some_and(|flags| !flags.is_empty()) {
            writer = None;
        }
        if signalled {
            let paused = writer.as_ref().map(Writer::pause);
            for signal in signals.pending() {
                match signal {
                    Signal::WINCH => pass_size(master.as_fd()),
                    Signal::CONT => {
                        screen.retake(label)?;
                        pass_size(master.as_fd());
                    }
                    Signal::TSTP => {
                        screen.leave();
                        signals::stop();
                        screen.retake(label)?;
                    }
                    // Dropping the master hangs up the container's terminal, and the agent ends
                    // what does not go by itself.
                    Signal::HUP | Signal::TERM => {
                        // For good: nothing is shown after the marks are taken back.
                        std::mem::forget(paused);
                        return Ok(died_of(signal));
                    }
                    _ => {
                        let message = ToAgentSession::Signal(number(signal));
                        channel
                            .send(&message, &[], None)
                            .map_err(|error| channel_error(error, container))?;
                    }
                }
            }
        }
        if answered && let Some(end) = take_end(&mut channel, container) {
            ended = Some(end);
            input.close();
            output.writer_ended();
            if let Some(errors) = &mut errors {
                errors.writer_ended();
            }
        }
    }
}

/// The user's terminal: raw and marked while the session has it. Given back in the order in which
/// fields are dropped.
#[derive(Debug)]
struct Screen {
    mark: Option<Mark>,
    raw: Option<RawMode>,
}

impl Screen {
    fn take(label: &Label) -> Result<Self, SessionError> {
        Ok(Self {
            mark: Mark::set(label),
            raw: Some(RawMode::set().map_err(Self::failed)?),
        })
    }

    /// Leaves the terminal to the shell, before this process stops.
    fn leave(&mut self) {
        self.mark = None;
        self.raw = None;
    }

    /// Takes the terminal again after this process was stopped, however that came.
    fn retake(&mut self, label: &Label) -> Result<(), SessionError> {
        match &self.raw {
            // Stopped by SIGSTOP, without a chance to leave: the shell changed the modes.
            Some(raw) => raw.set_again().map_err(Self::failed)?,
            None => self.raw = Some(RawMode::set().map_err(Self::failed)?),
        }
        if self.mark.is_none() {
            self.mark = Mark::set(label);
        }
        Ok(())
    }

    fn failed(source: std::io::Error) -> SessionError {
        SessionError::Io {
            what: "switch the terminal to raw mode",
            source,
        }
    }
}
