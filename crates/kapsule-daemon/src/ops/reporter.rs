// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! How work tells what it does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use kapsule_dbus::operation::MessageType;
use tokio::sync::mpsc;

use super::operation::{Operation, OperationId, printable};
use super::{Event, Happening, Progress};

/// What work gets to tell about itself and to hear that it is to stop. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Reporter {
    operation: Arc<Operation>,
    events: mpsc::UnboundedSender<Event>,
    /// The counter that operations and progress bars share.
    numbers: Arc<AtomicU64>,
    indent: i32,
}

impl Reporter {
    pub(super) fn new(
        operation: Arc<Operation>,
        events: mpsc::UnboundedSender<Event>,
        numbers: Arc<AtomicU64>,
    ) -> Self {
        Self {
            operation,
            events,
            numbers,
            indent: 1,
        }
    }

    /// The operation's number.
    pub(crate) fn id(&self) -> OperationId {
        self.operation.id
    }

    /// Neutral.
    pub(crate) fn info(&self, text: impl Into<String>) {
        self.message(MessageType::Info, &text.into());
    }

    /// Something was achieved.
    pub(crate) fn success(&self, text: impl Into<String>) {
        self.message(MessageType::Success, &text.into());
    }

    /// Something went otherwise than it should; the work goes on.
    pub(crate) fn warning(&self, text: impl Into<String>) {
        self.message(MessageType::Warning, &text.into());
    }

    /// Something failed.
    pub(crate) fn error(&self, text: impl Into<String>) {
        self.message(MessageType::Error, &text.into());
    }

    /// Of little interest.
    pub(crate) fn dim(&self, text: impl Into<String>) {
        self.message(MessageType::Dim, &text.into());
    }

    /// What to do next.
    pub(crate) fn hint(&self, text: impl Into<String>) {
        self.message(MessageType::Hint, &text.into());
    }

    fn message(&self, kind: MessageType, text: &str) {
        let text = printable(text);
        match kind {
            MessageType::Warning | MessageType::Error => {
                tracing::warn!("{}: {text}", self.operation.spec.description);
            }
            _ => tracing::debug!("{}: {text}", self.operation.spec.description),
        }
        self.operation.note(kind, &text, self.indent);
        self.send(Happening::Message {
            kind,
            text,
            indent: self.indent,
        });
    }

    /// One level further in.
    #[must_use]
    pub(crate) fn indented(&self) -> Self {
        Self {
            indent: self.indent.saturating_add(1),
            ..self.clone()
        }
    }

    /// Begins a progress bar over `total` bytes, if that is known.
    pub(crate) fn progress(&self, description: impl Into<String>, total: Option<u64>) -> Progress {
        let bar = self.numbers.fetch_add(1, Ordering::Relaxed).to_string();
        Progress::begin(
            self.clone(),
            bar,
            &printable(&description.into()),
            total,
            self.indent,
        )
    }

    /// Tells that the set of containers, or the state of one, has changed. Work calls this after
    /// its last success message.
    pub(crate) fn containers_changed(&self) {
        self.send(Happening::ContainersChanged);
    }

    /// Whether somebody asked the work to stop and clean up.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.operation.is_cancelled()
    }

    /// Resolves when somebody asks the work to stop and clean up; at once when it has been asked
    /// already.
    pub(crate) async fn cancelled(&self) {
        self.operation.cancelled().await;
    }

    pub(super) fn send(&self, happening: Happening) {
        // Nobody listens at the daemon's end: then nobody is to be told.
        let _ = self.events.send(Event {
            operation: Arc::clone(&self.operation),
            happening,
        });
    }
}
