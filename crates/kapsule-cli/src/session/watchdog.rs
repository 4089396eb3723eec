// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Ends this process when it is told to and cannot.
//!
//! The relay never calls what `poll` does not promise to return at once. But the master of the
//! container's terminal is one open file that the container's agent has too: it may make it
//! blocking again, or take what `poll` promised. Then this process would wait in a call for as long
//! as the container likes, and so it would on a terminal of the user's that is stopped. There is no
//! call that only this side could make non-blocking (a master cannot be opened anew), so a second
//! thread waits for the signals that end a session, and when the relay has not obeyed within
//! [`GRACE`] it does what the relay would have done.

use std::io;
use std::time::Duration;

use rustix::process::Signal;

use super::signals::Signals;
use super::{host_terminal, mark};

/// How long the relay may take to obey.
const GRACE: Duration = Duration::from_millis(500);

/// Watches over `signals`, on which this process ends at once, until it ends.
pub(super) fn start(signals: &[Signal]) -> io::Result<()> {
    let mut signals = Signals::catch(signals)?;
    std::thread::Builder::new()
        .name("watchdog".into())
        .stack_size(64 * 1024)
        .spawn(move || {
            let signal = signals.wait();
            std::thread::sleep(GRACE);
            mark::remove();
            host_terminal::restore();
            // Returns only if the signal could not be raised.
            let _ = signal_hook::low_level::emulate_default_handler(signal.as_raw());
            std::process::exit(128 + signal.as_raw());
        })
        .map(drop)
}
