// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! All operations: which there are, and how one begins and ends.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::Instrument as _;

use super::operation::{Operation, OperationId, OperationSpec, Status};
use super::{Event, Happening, Reporter};
use crate::error::{Error, ErrorKind, Result};

/// How long an operation can still be asked about after its end.
pub(crate) const LINGER: Duration = Duration::from_secs(5);

/// Most operations that one user can have running.
const MAX_RUNNING: usize = 16;

/// Most operations of one user that are remembered, with those that have just ended. Each has an object,
/// and several signals for each of the user's programs: who begins more than this in the time that one
/// is remembered begins them for their own sake.
const MAX_REMEMBERED: usize = 100;

/// The operations of this run of the daemon. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Operations {
    all: Arc<Mutex<BTreeMap<OperationId, Arc<Operation>>>>,
    events: mpsc::UnboundedSender<Event>,
    numbers: Arc<AtomicU64>,
}

impl Operations {
    /// None yet, and the stream on which is told what happens to them.
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Event>) {
        let (events, stream) = mpsc::unbounded_channel();
        let numbers = Arc::new(AtomicU64::new(1));
        (
            Self {
                all: Arc::default(),
                events,
                numbers,
            },
            stream,
        )
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<OperationId, Arc<Operation>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers an operation and begins its work once `gate` has resolved: the client must have
    /// been told the operation's number before anything happens to it. A gate that resolves to
    /// an error ends the operation without any work.
    ///
    /// # Errors
    /// `LimitExceeded` when the user has too many running.
    pub(crate) fn start<Gate, Work>(
        &self,
        spec: OperationSpec,
        gate: Gate,
        work: impl FnOnce(Reporter) -> Work + Send + 'static,
    ) -> Result<Arc<Operation>>
    where
        Gate: Future<Output = Result<()>> + Send + 'static,
        Work: Future<Output = Result<()>> + Send + 'static,
    {
        let user = spec.asked_by;
        let operation = {
            let mut all = self.all();
            let theirs = || all.values().filter(|other| other.spec.asked_by == user);
            let running = theirs()
                .filter(|other| other.status() == Status::Running)
                .count();
            if running >= MAX_RUNNING {
                return Err(Error::new(
                    ErrorKind::LimitExceeded,
                    format!(
                        "{running} of your operations are running already; wait for one to end, or cancel one"
                    ),
                ));
            }
            if theirs().count() >= MAX_REMEMBERED {
                return Err(Error::new(
                    ErrorKind::LimitExceeded,
                    format!(
                        "{MAX_REMEMBERED} of your operations have ended within the last seconds; wait {} s before you begin another one",
                        LINGER.as_secs()
                    ),
                ));
            }
            let id = OperationId(self.numbers.fetch_add(1, Ordering::Relaxed));
            let operation = Arc::new(Operation::new(id, spec));
            all.insert(id, Arc::clone(&operation));
            operation
        };

        let span = tracing::info_span!(
            "operation",
            id = %operation.id,
            kind = operation.spec.kind.as_str(),
            target = operation.spec.target,
            user,
            owner = operation.spec.owner,
        );
        let reporter = Reporter::new(
            Arc::clone(&operation),
            self.events.clone(),
            Arc::clone(&self.numbers),
        );
        let description = operation.spec.description.clone();
        let body = async move {
            gate.await?;
            tracing::info!("{description}: begins");
            work(reporter).await
        };
        let this = self.clone();
        let watched = Arc::clone(&operation);
        tokio::spawn(
            async move {
                // On a task of its own, so that even a panic leaves an operation that has ended.
                let body = tokio::spawn(body.in_current_span());
                let result = body.await.unwrap_or_else(|_| {
                    Err(Error::failed(
                        "internal error: the work stopped unexpectedly",
                    ))
                });
                this.end(watched, result).await;
            }
            .instrument(span),
        );
        Ok(operation)
    }

    async fn end(&self, operation: Arc<Operation>, result: Result<()>) {
        operation.finish(result);
        let description = &operation.spec.description;
        match operation.status() {
            Status::Failed => tracing::warn!("{description}: {}", operation.error()),
            status => tracing::info!("{description}: {}", status.as_str()),
        }
        let tell = |happening| {
            let operation = Arc::clone(&operation);
            // Nobody listens when the daemon ends.
            let _ = self.events.send(Event {
                operation,
                happening,
            });
        };
        tell(Happening::Completed);
        tokio::time::sleep(LINGER).await;
        self.all().remove(&operation.id);
        tell(Happening::Gone);
    }

    /// Those of one user, or of everybody, that can be asked about: running and just ended.
    pub(crate) fn known(&self, user: Option<u32>) -> Vec<Arc<Operation>> {
        self.all()
            .values()
            .filter(|operation| user.is_none_or(|user| operation.spec.asked_by == user))
            .cloned()
            .collect()
    }

    /// Those that still run.
    pub(crate) fn running(&self, user: Option<u32>) -> Vec<Arc<Operation>> {
        let mut known = self.known(user);
        known.retain(|operation| operation.status() == Status::Running);
        known
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
