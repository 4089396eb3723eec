// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Why a command failed: a kind that decides the exit status, a text, and hints.

use std::fmt;

use crate::exit;
use crate::ui;

/// What kind of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    /// Whoever reads our output has gone. Not worth a word.
    BrokenPipe,
    /// It could not be done.
    Failed,
    /// The service went away before it answered.
    Gone,
    /// Ctrl-C.
    Interrupted,
    /// There is no such container or image.
    NotFound,
    /// The container does not run.
    NotRunning,
    /// The container could not be entered; with the exit status.
    NotEntered(u8),
    /// It takes a password, and nobody could be asked for it.
    PasswordNeeded,
    /// All that there is to say has been said.
    Reported,
    /// The command line asks for something that cannot be.
    Usage,
}

/// A failure as the user gets to see it.
#[derive(Debug)]
pub(crate) struct CommandError {
    pub(crate) kind: ErrorKind,
    error: anyhow::Error,
    hints: Vec<String>,
}

impl CommandError {
    pub(crate) fn new(kind: ErrorKind, error: impl Into<anyhow::Error>) -> Self {
        Self {
            kind,
            error: error.into(),
            hints: Vec::new(),
        }
    }

    /// With a text: what happened and why.
    pub(crate) fn message(kind: ErrorKind, text: impl fmt::Display) -> Self {
        Self::new(kind, anyhow::Error::msg(text.to_string()))
    }

    pub(crate) fn failed(text: impl fmt::Display) -> Self {
        Self::message(ErrorKind::Failed, text)
    }

    pub(crate) fn usage(text: impl fmt::Display) -> Self {
        Self::message(ErrorKind::Usage, text)
    }

    pub(crate) fn interrupted(text: impl fmt::Display) -> Self {
        Self::message(ErrorKind::Interrupted, text)
    }

    /// When each failure has been printed already.
    pub(crate) fn reported() -> Self {
        Self::message(ErrorKind::Reported, "some of it failed")
    }

    /// Adds what to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Puts what was being done in front of the text.
    pub(crate) fn context(mut self, doing: impl fmt::Display) -> Self {
        self.error = self.error.context(doing.to_string());
        self
    }

    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.kind = kind;
        self
    }

    /// The exit status; see [`exit::HELP`].
    pub(crate) fn code(&self) -> u8 {
        match self.kind {
            ErrorKind::BrokenPipe => 0,
            ErrorKind::Failed
            | ErrorKind::Gone
            | ErrorKind::NotFound
            | ErrorKind::NotRunning
            | ErrorKind::PasswordNeeded
            | ErrorKind::Reported => exit::FAILED,
            ErrorKind::Interrupted => exit::INTERRUPTED,
            ErrorKind::NotEntered(code) => code,
            ErrorKind::Usage => exit::USAGE,
        }
    }

    /// Prints it to standard error.
    pub(crate) fn print(&self) {
        match self.kind {
            ErrorKind::BrokenPipe | ErrorKind::Reported => return,
            ErrorKind::Interrupted => ui::warning(&self.to_string()),
            _ => ui::error(&self.to_string()),
        }
        for hint in &self.hints {
            ui::hint(hint);
        }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_every_exit_status() {
        for kind in [
            ErrorKind::BrokenPipe,
            ErrorKind::Failed,
            ErrorKind::Gone,
            ErrorKind::Interrupted,
            ErrorKind::NotFound,
            ErrorKind::NotRunning,
            ErrorKind::NotEntered(exit::NOT_ENTERED),
            ErrorKind::PasswordNeeded,
            ErrorKind::Reported,
            ErrorKind::Usage,
        ] {
            let code = CommandError::message(kind, "x").code();
            assert!(
                exit::HELP.contains(&format!("\n  {code} ")),
                "{kind:?}: {code}"
            );
        }
    }

    #[test]
    fn tells_what_was_being_done_first() {
        let error = CommandError::failed("no such file").context("cannot read x");
        assert_eq!(error.to_string(), "cannot read x: no such file");
    }
}
