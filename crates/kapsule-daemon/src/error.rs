// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The daemon's one error type: a kind that programs can match and a text for people.

use kapsule_core::image::ImageRefError;
use kapsule_core::name::NameError;
use kapsule_core::options::OptionsError;

/// What kind of failure it is; each has a D-Bus error name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    AccessDenied,
    AgentUnavailable,
    AlreadyExists,
    Cancelled,
    Failed,
    IncusUnavailable,
    InvalidArgument,
    LimitExceeded,
    NotFound,
    NotRunning,
    /// Allowed to who gives a password, which nobody could be asked for.
    PasswordNeeded,
}

/// A failure as the user gets to see it: what happened, why, and what to do next.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Error {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
}

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Failed, message)
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument, message)
    }

    pub(crate) fn cancelled() -> Self {
        Self::new(ErrorKind::Cancelled, "cancelled")
    }

    /// Puts what was being done in front of the text.
    pub(crate) fn context(self, doing: impl std::fmt::Display) -> Self {
        Self {
            kind: self.kind,
            message: format!("{doing}: {}", self.message),
        }
    }
}

impl From<NameError> for Error {
    fn from(error: NameError) -> Self {
        Self::invalid(error.to_string())
    }
}

impl From<ImageRefError> for Error {
    fn from(error: ImageRefError) -> Self {
        Self::invalid(error.to_string())
    }
}

impl From<OptionsError> for Error {
    fn from(error: OptionsError) -> Self {
        Self::invalid(error.to_string())
    }
}
