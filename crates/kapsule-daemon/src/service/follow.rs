// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Waiting for Incus: progress for the user, and a cancel that reaches Incus.

use incus::{Operation, OperationInfo};

use super::incus_error;
use crate::error::{Error, Result};
use crate::ops::{Progress, Reporter};

/// Waits for an operation of Incus and shows its progress under `description`. When the user
/// cancels, Incus is asked to stop too, and what it says is waited for: after that nothing of it
/// runs any more.
pub(super) async fn follow(
    operation: Operation,
    reporter: &Reporter,
    description: &str,
) -> Result<OperationInfo> {
    let handle = operation.clone();
    let mut bar = Bar {
        reporter,
        description,
        progress: None,
    };
    let result = {
        let wait = operation.wait_with_progress(|step| bar.show(&step));
        tokio::pin!(wait);
        tokio::select! {
            result = &mut wait => result.map_err(incus_error),
            () = reporter.cancelled() => {
                // Not everything can be cancelled in Incus; then its end is waited for.
                let _ = handle.cancel().await;
                let _ = wait.await;
                Err(Error::cancelled())
            }
        }
    };
    bar.finish(result.is_ok());
    result
}

/// A progress bar that appears with the first news.
struct Bar<'a> {
    reporter: &'a Reporter,
    description: &'a str,
    progress: Option<Progress>,
}

impl Bar<'_> {
    fn show(&mut self, step: &incus::Progress) {
        // Sizes where Incus tells them, else percent, else only its words.
        let (current, total) = match (step.bytes_done, step.bytes_total, step.percent) {
            (Some(done), Some(total), _) => (done, Some(total)),
            (_, _, Some(percent)) => (u64::from(percent), Some(100)),
            _ => (0, None),
        };
        let progress = self
            .progress
            .get_or_insert_with(|| self.reporter.progress(self.description, total));
        if total.is_some() {
            // Bytes a second are far below what a float holds exactly.
            #[allow(clippy::cast_precision_loss)]
            let rate = step.speed.unwrap_or(0) as f64;
            progress.update(current, rate);
        }
        if !step.text.is_empty() {
            progress.text(step.text.clone());
        }
    }

    fn finish(self, success: bool) {
        if let Some(progress) = self.progress {
            progress.finish(success, String::new());
        }
    }
}
