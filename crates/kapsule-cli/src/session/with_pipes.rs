// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! A session without a terminal: three pipes.

use std::time::{Duration, Instant};

use kapsule_proto::session::{Channel, FromAgent, Received, ToAgentSession};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::Signal;

use super::mark::Mark;
use super::relay::Relay;
use super::signals::{self, Signals};
use super::start::{Pipes, channel_error, io};
use super::stream::End;
use super::{Label, SessionEnd, SessionError};

/// Signals that are meant for the program and not for its go-between.
const PASSED_ON: &[Signal] = &[
    Signal::HUP,
    Signal::INT,
    Signal::QUIT,
    Signal::TERM,
    Signal::USR1,
    Signal::USR2,
];

/// How long the program may take to end when it is told to: `SIGTERM`, or `SIGHUP` because the
/// terminal has gone. Then this process goes, and the agent ends what is left.
const LAST: Duration = Duration::from_secs(30);

/// Within this time a second Ctrl-C is for this process. Later it is for the program again, which
/// may well have a use for more than one.
const AGAIN: Duration = Duration::from_secs(2);

/// Relays until the program has ended and what it wrote is delivered.
pub(super) fn hold(
    mut channel: Channel,
    pipes: Pipes,
    label: &Label,
) -> Result<SessionEnd, SessionError> {
    let container = &label.container;
    let caught = [PASSED_ON, &[Signal::TSTP]].concat();
    let mut signals = Signals::catch(&caught).map_err(|source| SessionError::Io {
        what: "catch signals",
        source,
    })?;
    let _mark = Mark::set(label);
    let mut input = Relay::new(End::Stdin, End::Owned(pipes.stdin));
    let mut output = Relay::new(End::Owned(pipes.stdout), End::Stdout);
    let mut errors = Relay::new(End::Owned(pipes.stderr), End::Stderr);
    let mut ended = None;
    let mut told = Told::default();

    loop {
        if output.is_over()
            && errors.is_over()
            && let Some(end) = ended
        {
            return end;
        }
        let mut polled = Vec::new();
        signals.before_poll(&mut polled);
        if ended.is_none() {
            polled.push(PollFd::new(&channel, PollFlags::IN));
        }
        let interests = [&input, &output, &errors].map(|relay| relay.before_poll(&mut polled));
        let timeout = told.last.map(|(until, _)| left_of(until));
        match poll(&mut polled, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(io("wait for input")(errno)),
        }
        let results: Vec<PollFlags> = polled.iter().map(PollFd::revents).collect();
        let mut results = results.into_iter();

        let signalled = signals.after_poll(&mut results);
        let answered = ended.is_none() && results.next().is_some_and(|flags| !flags.is_empty());
        for (relay, interest) in [&mut input, &mut output, &mut errors]
            .into_iter()
            .zip(interests)
        {
            relay.after_poll(interest, &mut results);
        }
        if let Some((until, signal)) = told.last
            && Instant::now() >= until
        {
            return Ok(died_of(signal));
        }
        if signalled {
            for signal in signals.pending() {
                // The program has ended and only its output is being delivered, or it was told
                // and does not go: then it is this process that is told to.
                let is_ours = ended.is_some() && signal != Signal::TSTP;
                if told.again(signal, Instant::now()) || is_ours {
                    return Ok(died_of(signal));
                }
                pass_on(&mut channel, signal, container)?;
            }
        }
        if answered && let Some(end) = take_end(&mut channel, container) {
            ended = Some(end);
            input.close();
            output.writer_ended();
            errors.writer_ended();
        }
    }
}

/// What the program was told.
#[derive(Debug, Default)]
struct Told {
    interrupted: Option<Instant>,
    hung_up: bool,
    terminated: bool,
    /// Since it was told to end: until when it may take, and by which signal.
    last: Option<(Instant, Signal)>,
}

impl Told {
    /// Notes a signal, and tells whether whoever sends it has lost patience with the program.
    fn again(&mut self, signal: Signal, now: Instant) -> bool {
        let again = match signal {
            Signal::INT => self
                .interrupted
                .replace(now)
                .is_some_and(|before| now.saturating_duration_since(before) < AGAIN),
            Signal::HUP => std::mem::replace(&mut self.hung_up, true),
            Signal::TERM => std::mem::replace(&mut self.terminated, true),
            _ => return false,
        };
        if signal != Signal::INT {
            self.last.get_or_insert((now + LAST, signal));
        }
        again
    }
}

fn pass_on(channel: &mut Channel, signal: Signal, container: &str) -> Result<(), SessionError> {
    let mut send = |signal: Signal| {
        let message = ToAgentSession::Signal(number(signal));
        channel
            .send(&message, &[], None)
            .map_err(|error| channel_error(error, container))
    };
    if signal == Signal::TSTP {
        // The program inside leads a session of its own, in which SIGTSTP would have no effect.
        send(Signal::STOP)?;
        signals::stop();
        send(Signal::CONT)
    } else {
        send(signal)
    }
}

/// How the session ended, if the agent says so or has gone; `None` while it goes on.
pub(super) fn take_end(
    channel: &mut Channel,
    container: &str,
) -> Option<Result<SessionEnd, SessionError>> {
    let container = container.to_owned();
    match channel.try_recv::<FromAgent>() {
        Ok(Received::Pending) => None,
        Ok(Received::Message(FromAgent::Exited(exit), _)) => Some(Ok(exit.into())),
        Ok(Received::Message(..)) => Some(Err(SessionError::Protocol {
            container,
            what: "it said something out of turn",
        })),
        Ok(Received::Closed) => Some(Err(SessionError::Lost { container })),
        Err(error) => Some(Err(channel_error(error, &container))),
    }
}

pub(super) fn died_of(signal: Signal) -> SessionEnd {
    SessionEnd::Signal(number(signal))
}

pub(super) fn number(signal: Signal) -> u8 {
    // Linux has 64 signals.
    u8::try_from(signal.as_raw()).unwrap_or(u8::MAX)
}

/// How long it is until then, for `poll`.
pub(super) fn left_of(until: Instant) -> Timespec {
    // Rounded up, so that it is not asked again and again at the end.
    let left = until.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
    Timespec::try_from(left).unwrap_or(Timespec {
        tv_sec: 1,
        tv_nsec: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_of_a_kind_is_for_the_client() {
        let begin = Instant::now();
        let mut told = Told::default();
        let mut again = |signal, after| told.again(signal, begin + Duration::from_millis(after));
        assert!(!again(Signal::INT, 0));
        assert!(!again(Signal::INT, 2500), "too late to be impatient");
        assert!(again(Signal::INT, 3500));
        assert!(!again(Signal::USR1, 3500) && !again(Signal::USR1, 3600));
        assert!(!again(Signal::TERM, 4000));
        assert!(!again(Signal::HUP, 4100), "another kind");
        assert!(again(Signal::TERM, 20_000));
        assert!(again(Signal::HUP, 20_000));
        assert_eq!(
            told.last,
            Some((begin + Duration::from_secs(34), Signal::TERM))
        );
    }
}
