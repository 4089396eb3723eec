// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! One piece of long work, as it stands.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kapsule_dbus::operation::MessageType;
use tokio::sync::watch;

use crate::error::{ErrorKind, Result};

/// Most messages that are kept of one operation; what comes after is shown to those who listen
/// and not kept.
const MAX_RECORD: usize = 1000;

/// Number of an operation, unique in a run of the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct OperationId(pub(crate) u64);

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OperationKind {
    Create,
    Delete,
    DeleteImage,
    ImportImage,
    RefreshImages,
    Restart,
    SetOptions,
    SetupUser,
    Start,
    Stop,
}

impl OperationKind {
    /// The name that clients see.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Delete => "delete",
            Self::DeleteImage => "delete_image",
            Self::ImportImage => "import_image",
            Self::RefreshImages => "refresh_images",
            Self::Restart => "restart",
            Self::SetOptions => "set_options",
            Self::SetupUser => "setup_user",
            Self::Start => "start",
            Self::Stop => "stop",
        }
    }

    /// What it does to a container or image, for people.
    fn describe(self, subject: &str) -> String {
        let verb = match self {
            Self::Create => "Create container",
            Self::Delete => "Delete container",
            Self::DeleteImage => "Delete image",
            Self::ImportImage => "Import image",
            Self::RefreshImages if subject.is_empty() => return "Refresh all images".to_owned(),
            Self::RefreshImages => "Refresh image",
            Self::Restart => "Restart container",
            Self::SetOptions => "Change the options of container",
            Self::SetupUser => "Set up the user in container",
            Self::Start => "Start container",
            Self::Stop => "Stop container",
        };
        format!("{verb} {subject}")
    }
}

/// How an operation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Running,
    Completed,
    Failed,
    Cancelled,
}

impl Status {
    /// The name that clients see.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What an operation is about.
#[derive(Clone, Debug)]
pub(crate) struct OperationSpec {
    pub(crate) kind: OperationKind,
    /// What it does, for people; names the target.
    pub(crate) description: String,
    /// The container or image; empty when there is no single one.
    pub(crate) target: String,
    /// Who asked for it. It is this user's operation.
    pub(crate) asked_by: u32,
    /// Whose container it is about: the same user's, or another's, whom an administrator named.
    pub(crate) owner: u32,
}

/// What is longer is no name: image aliases may have 255 characters.
const MAX_SUBJECT: usize = 256;

impl OperationSpec {
    /// An operation of a user on a container or image of theirs. Those that refresh have no target,
    /// as existing clients know them: the alias of an image is not the name of one.
    pub(crate) fn new(kind: OperationKind, subject: &str, user: u32) -> Self {
        // It has not been checked yet, and goes to clients and to the journal as it is.
        let subject: String = printable(subject).chars().take(MAX_SUBJECT).collect();
        let target = match kind {
            OperationKind::RefreshImages => "",
            _ => &subject,
        };
        Self {
            kind,
            description: kind.describe(&subject),
            target: target.to_owned(),
            asked_by: user,
            owner: user,
        }
    }

    /// The same, on something of this user's.
    pub(crate) fn about(mut self, owner: u32) -> Self {
        if owner != self.asked_by {
            self.owner = owner;
            self.description = format!("{} of user {owner}", self.description);
        }
        self
    }
}

/// One operation.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) id: OperationId,
    pub(crate) spec: OperationSpec,
    state: Mutex<State>,
    cancel: watch::Sender<bool>,
}

#[derive(Debug)]
struct State {
    status: Status,
    error: String,
    error_kind: Option<ErrorKind>,
    record: Vec<(MessageType, String, i32)>,
}

impl Operation {
    pub(super) fn new(id: OperationId, mut spec: OperationSpec) -> Self {
        spec.description = printable(&spec.description);
        spec.target = printable(&spec.target);
        Self {
            id,
            spec,
            state: Mutex::new(State {
                status: Status::Running,
                error: String::new(),
                error_kind: None,
                record: Vec::new(),
            }),
            cancel: watch::Sender::new(false),
        }
    }

    /// Nothing that is done under the lock can leave the state half changed.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn status(&self) -> Status {
        self.state().status
    }

    /// Empty unless failed or cancelled.
    pub(crate) fn error(&self) -> String {
        self.state().error.clone()
    }

    /// What kind of failure ended it.
    pub(crate) fn error_kind(&self) -> Option<ErrorKind> {
        self.state().error_kind
    }

    /// All messages so far: kind, text, level of indentation.
    pub(crate) fn record(&self) -> Vec<(MessageType, String, i32)> {
        self.state().record.clone()
    }

    pub(super) fn note(&self, kind: MessageType, text: &str, indent: i32) {
        let record = &mut self.state().record;
        if record.len() < MAX_RECORD {
            record.push((kind, text.to_owned(), indent));
        }
    }

    /// Asks it to stop and clean up; false when it is over already.
    pub(crate) fn cancel(&self) -> bool {
        if self.status() != Status::Running {
            return false;
        }
        self.cancel.send_replace(true);
        true
    }

    pub(super) fn is_cancelled(&self) -> bool {
        *self.cancel.borrow()
    }

    /// Resolves when somebody asks it to stop.
    pub(super) async fn cancelled(&self) {
        let mut cancel = self.cancel.subscribe();
        // The sender lives in `self`, so this ends only with a true.
        let _ = cancel.wait_for(|asked| *asked).await;
    }

    /// Writes down how it ended.
    pub(super) fn finish(&self, result: Result<()>) {
        let cancelled = self.is_cancelled();
        let mut state = self.state();
        match result {
            Ok(()) => state.status = Status::Completed,
            Err(error) => {
                state.status = if cancelled || error.kind == ErrorKind::Cancelled {
                    Status::Cancelled
                } else {
                    Status::Failed
                };
                state.error_kind = Some(error.kind);
                state.error = printable(&error.message);
                if state.error.is_empty() {
                    state.error = "failed without a reason".to_owned();
                }
            }
        }
    }
}

/// Texts come from images, servers and file names too: what would drive a terminal, or what
/// D-Bus cannot carry, is left out, and a page is enough.
pub(super) fn printable(text: &str) -> String {
    const MAX: usize = 8192;
    text.chars()
        .filter(|c| !c.is_control() || *c == '\n' || *c == '\t')
        .take(MAX)
        .collect()
}
