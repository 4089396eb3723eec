// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Signals sent to this process while a session runs.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;

use nix::sys::signal::{SigSet, Signal as NixSignal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::Signal;
use signal_hook::iterator::backend::{Pending, SignalDelivery};
use signal_hook::iterator::exfiltrator::SignalOnly;

/// Catches the signals that a session has to do something about. They stay caught when this is
/// dropped, as a process that held a session has only its end before it.
pub(super) struct Signals {
    handled: SignalDelivery<UnixStream, SignalOnly>,
    /// `SIGTSTP` is blocked and not handled: a process that has stopped tells its parent by which
    /// signal, and it stops by this one only if nothing handles it.
    stop: Option<SignalFd>,
}

impl Signals {
    /// Catches `signals`, except those that this process was started to ignore (`nohup`). To be
    /// called before there are other threads.
    pub(super) fn catch(signals: &[Signal]) -> io::Result<Self> {
        let ignored = ignored_signals();
        let is_wanted = |signal: &Signal| ignored & (1 << (signal.as_raw() - 1)) == 0;
        let numbers = signals
            .iter()
            .filter(|signal| is_wanted(signal) && **signal != Signal::TSTP)
            .map(|signal| signal.as_raw());
        let (read, write) = UnixStream::pair()?;
        let handled = SignalDelivery::with_pipe(read, write, SignalOnly, numbers)?;
        let stop = if signals.contains(&Signal::TSTP) && is_wanted(&Signal::TSTP) {
            stop_signal().thread_block()?;
            let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
            Some(SignalFd::with_flags(&stop_signal(), flags)?)
        } else {
            None
        };
        Ok(Self { handled, stop })
    }

    /// Those that have come since the last call.
    pub(super) fn pending(&mut self) -> impl Iterator<Item = Signal> + use<> {
        let pending: Pending<SignalOnly> = self.handled.pending();
        let stop = self
            .stop
            .as_ref()
            .and_then(|stop| stop.read_signal().ok().flatten())
            .map(|_| Signal::TSTP);
        pending.filter_map(Signal::from_named_raw).chain(stop)
    }

    /// Waits for the first one, without doing anything meanwhile.
    pub(super) fn wait(&mut self) -> Signal {
        loop {
            if let Some(signal) = self.pending().next() {
                return signal;
            }
            let mut polled = Vec::new();
            self.before_poll(&mut polled);
            // Interrupted or not, the next round finds out.
            let _ = poll(&mut polled, None);
        }
    }

    /// Puts what has to be waited for into `polled`; [`Self::after_poll`] takes it from there.
    pub(super) fn before_poll<'p>(&'p self, polled: &mut Vec<PollFd<'p>>) {
        let stop = self.stop.iter().map(AsFd::as_fd);
        let all = std::iter::once(self.handled.get_read().as_fd()).chain(stop);
        polled.extend(all.map(|descriptor| PollFd::from_borrowed_fd(descriptor, PollFlags::IN)));
    }

    /// Whether there is something [`Self::pending`]. Of the `results` of `poll`, takes those that
    /// [`Self::before_poll`] asked for.
    pub(super) fn after_poll(&self, results: &mut impl Iterator<Item = PollFlags>) -> bool {
        results
            .take(1 + usize::from(self.stop.is_some()))
            .fold(false, |any, result| any | !result.is_empty())
    }
}

impl std::fmt::Debug for Signals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signals").finish_non_exhaustive()
    }
}

fn stop_signal() -> SigSet {
    SigSet::from_iter([NixSignal::SIGTSTP])
}

/// Stops this process as Ctrl-Z does; returns when it is continued, or at once where nobody is who
/// could continue it (an orphaned process group).
pub(super) fn stop() {
    let signal = stop_signal();
    // These fail for no signal that exists. It stays pending until it is let through, and then
    // nothing but its default is there to act.
    let _ = nix::sys::signal::raise(NixSignal::SIGTSTP);
    let _ = signal.thread_unblock();
    let _ = signal.thread_block();
}

/// Bit n − 1 is set if signal n was ignored when this process was started.
fn ignored_signals() -> u64 {
    static IGNORED: OnceLock<u64> = OnceLock::new();
    *IGNORED.get_or_init(|| {
        std::fs::read_to_string("/proc/self/status")
            .ok()
            .as_deref()
            .and_then(parse_ignored)
            // Rust programs start with this one ignored; nothing here catches it.
            .unwrap_or(0)
    })
}

fn parse_ignored(status: &str) -> Option<u64> {
    let field = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(field.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_the_kernel() {
        let status = "Name:\tx\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\n";
        assert_eq!(parse_ignored(status), Some(0x1001));
        assert_eq!(parse_ignored("Name:\tx\n"), None);
        assert_eq!(parse_ignored("SigIgn:\tpigs\n"), None);
    }
}
