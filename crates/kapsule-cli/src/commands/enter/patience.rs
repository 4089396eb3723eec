// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! How long the way into a container may take.
//!
//! Usually as long as it takes: whoever waits sees the progress, and has Ctrl-C. With `--or-host`
//! somebody opened a terminal and wants a shell: then what shows no progress has [`SILENT`], and a
//! start has what the user allows. Creating shows how far it is, and is not limited. Ctrl-C ends
//! each of them early.

use std::future::Future;
use std::io::{IsTerminal as _, Write as _};
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use crate::error::CommandError;

/// How long a container that runs may take to answer; its system may just be booting.
const SILENT: Duration = Duration::from_secs(10);
/// After this, somebody who waits is told so.
const NOTICED: Duration = Duration::from_secs(1);

const WAITING: &str = "kapsule: waiting for the container (Ctrl-C for a shell of the host)";

#[derive(Debug)]
pub(super) struct Patience {
    limits: Option<Limits>,
}

#[derive(Debug)]
struct Limits {
    start: Duration,
    /// Until when the present step may take, and how long that was at its beginning.
    deadline: Option<(Instant, Duration)>,
}

impl Patience {
    pub(super) fn unlimited() -> Self {
        Self { limits: None }
    }

    /// For `--or-host`: a start may take so long.
    pub(super) fn limited(start: Duration) -> Self {
        let limits = Limits {
            start,
            deadline: None,
        };
        Self {
            limits: Some(limits),
        }
    }

    /// Begins to wait for something that says nothing meanwhile.
    pub(super) fn for_an_answer(&mut self) {
        self.set(|limits| SILENT.min(limits.start));
    }

    /// Begins to wait for a container that is started.
    pub(super) fn for_a_start(&mut self) {
        self.set(|limits| limits.start);
    }

    /// The usual limit of a step that always has one.
    pub(super) fn at_most(&self, usual: Duration) -> Duration {
        match &self.limits {
            Some(limits) => usual.min(SILENT).min(limits.start),
            None => usual,
        }
    }

    fn set(&mut self, time: impl FnOnce(&Limits) -> Duration) {
        if let Some(limits) = &mut self.limits {
            let time = time(limits);
            limits.deadline = Some((Instant::now() + time, time));
        }
    }

    /// Waits for `work` that neither shows anything nor knows Ctrl-C.
    pub(super) async fn silent<T>(
        &self,
        work: impl Future<Output = Result<T, CommandError>>,
    ) -> Result<T, CommandError> {
        if self.limits.is_none() {
            return work.await;
        }
        let mut work = pin!(self.shown(work));
        let mut notice = Notice(false);
        loop {
            tokio::select! {
                biased;
                result = &mut work => return result,
                _ = tokio::signal::ctrl_c() => return Err(CommandError::interrupted("interrupted")),
                () = sleep(NOTICED), if !notice.0 => notice.show(),
            }
        }
    }

    /// Waits for `work` that shows its progress and knows Ctrl-C.
    pub(super) async fn shown<T>(
        &self,
        work: impl Future<Output = Result<T, CommandError>>,
    ) -> Result<T, CommandError> {
        let Some((deadline, time)) = self.limits.as_ref().and_then(|limits| limits.deadline) else {
            return work.await;
        };
        tokio::select! {
            biased;
            result = work => result,
            () = sleep_until(deadline) => Err(CommandError::failed(format!(
                "no answer within {} s",
                time.as_secs()
            ))),
        }
    }
}

/// The line that says that something is waited for, as long as it is.
struct Notice(bool);

impl Notice {
    fn show(&mut self) {
        self.0 = true;
        self.write(WAITING);
    }

    fn write(&self, text: &str) {
        let mut stderr = std::io::stderr();
        if self.0 && stderr.is_terminal() {
            // A courtesy: not worth an error.
            let _ = stderr.write_all(text.as_bytes());
        }
    }
}

impl Drop for Notice {
    fn drop(&mut self) {
        self.write("\r\x1b[K");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn never() -> Result<(), CommandError> {
        std::future::pending().await
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_come_is_not_waited_for() {
        let mut patience = Patience::limited(Duration::from_secs(30));
        let began = Instant::now();
        patience.for_an_answer();
        let error = patience.silent(never()).await.unwrap_err();
        assert_eq!(error.to_string(), "no answer within 10 s");
        assert_eq!(began.elapsed().as_secs(), 10);
        // The limit is for all steps together, not for each.
        assert!(patience.silent(never()).await.is_err());
        assert_eq!(began.elapsed().as_secs(), 10);
        patience.for_a_start();
        assert!(patience.shown(never()).await.is_err());
        assert_eq!(began.elapsed().as_secs(), 40);
        assert!(patience.shown(async { Ok(()) }).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_below_the_usual_one_is_for_everything() {
        let mut patience = Patience::limited(Duration::from_secs(2));
        patience.for_an_answer();
        let error = patience.silent(never()).await.unwrap_err();
        assert_eq!(error.to_string(), "no answer within 2 s");
        assert_eq!(patience.at_most(SILENT * 2), Duration::from_secs(2));
        assert_eq!(Patience::unlimited().at_most(SILENT * 2), SILENT * 2);
    }
}
