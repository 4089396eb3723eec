// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What happens to operations.

use std::sync::Arc;

use kapsule_dbus::operation::MessageType;

use super::operation::Operation;

/// Something that happened, for whoever shows operations to clients.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// The operation that it happened to.
    pub(crate) operation: Arc<Operation>,
    /// What happened.
    pub(crate) happening: Happening,
}

/// What can happen. Between the start and `Gone`, `Completed` comes exactly once.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Happening {
    /// It has something to say.
    Message {
        kind: MessageType,
        text: String,
        indent: i32,
    },
    /// A progress bar begins; a total of -1 is unknown.
    ProgressStarted {
        bar: String,
        description: String,
        total: i32,
        indent: i32,
    },
    /// A progress bar moves, by `rate` a second.
    ProgressUpdate {
        bar: String,
        current: i32,
        rate: f64,
    },
    /// A progress bar has something to say.
    ProgressText { bar: String, text: String },
    /// A progress bar ends.
    ProgressCompleted {
        bar: String,
        success: bool,
        message: String,
    },
    /// The set of containers, or the state of one, has changed.
    ContainersChanged,
    /// It is over; the operation's state tells how.
    Completed,
    /// Nothing is kept of it any more.
    Gone,
}
