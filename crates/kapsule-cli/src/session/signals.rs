// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Signals sent to this process while a session runs.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::Signal;
use signal_hook::iterator::backend::{Pending, SignalDelivery};
use signal_hook::iterator::exfiltrator::SignalOnly;

/// Catches the signals that a session has to do something about. They stay caught when this is
/// dropped, as a process that held a session has only its end before it.
pub(super) struct Signals(SignalDelivery<UnixStream, SignalOnly>);

impl Signals {
    /// Catches `signals`, except those that this process was started to ignore (`nohup`).
    pub(super) fn catch(signals: &[Signal]) -> io::Result<Self> {
        let ignored = ignored_signals();
        let numbers = signals
            .iter()
            .map(|signal| signal.as_raw())
            .filter(|number| ignored & (1 << (number - 1)) == 0);
        let (read, write) = UnixStream::pair()?;
        SignalDelivery::with_pipe(read, write, SignalOnly, numbers).map(Self)
    }

    /// Those that have come since the last call.
    pub(super) fn pending(&mut self) -> impl Iterator<Item = Signal> + use<> {
        let pending: Pending<SignalOnly> = self.0.pending();
        pending.filter_map(Signal::from_named_raw)
    }

    /// Waits for the first one, without doing anything meanwhile.
    pub(super) fn wait(&mut self) -> Signal {
        loop {
            if let Some(signal) = self.pending().next() {
                return signal;
            }
            let mut polled = [PollFd::new(self, PollFlags::IN)];
            // Interrupted or not, the next round finds out.
            let _ = poll(&mut polled, None);
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get_read().as_fd()
    }
}

impl std::fmt::Debug for Signals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signals").finish_non_exhaustive()
    }
}

/// Stops this process as Ctrl-Z does; returns when it is continued.
pub(super) fn stop() {
    // Fails for no signal that exists.
    let _ = signal_hook::low_level::emulate_default_handler(Signal::TSTP.as_raw());
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
