// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! What can go wrong, in words a user can act on, and the questions callers ask of it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// The result of every call in this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a call did not do what it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No connection to Incus came about.
    #[error("cannot reach Incus at {}: {}", socket.display(), connect_hint(source))]
    Connect {
        /// The socket that was tried.
        socket: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Incus was reached and said nothing for too long.
    #[error(
        "Incus did not answer {method} {path} within {} seconds. See `journalctl -u incus` for what holds it up",
        after.as_secs()
    )]
    Timeout {
        /// The HTTP method.
        method: String,
        /// The request target.
        path: String,
        /// How long this crate waited.
        after: Duration,
    },
    /// The connection broke while a request was under way, or the body of an upload could not be read.
    #[error(
        "the connection to Incus broke during {method} {path}: {cause}. Incus may have been restarted; try again"
    )]
    Transport {
        /// The HTTP method.
        method: String,
        /// The request target.
        path: String,
        /// What happened, all causes in one line.
        cause: String,
    },
    /// Incus refused a request.
    #[error("Incus refused {method} {path}: {message} (status {status})")]
    Api {
        /// The HTTP method.
        method: String,
        /// The request target.
        path: String,
        /// The HTTP status.
        status: u16,
        /// Incus' `error_code`, normally the same as the status.
        code: i64,
        /// Incus' own words.
        message: String,
    },
    /// An operation ran and failed.
    #[error("{} failed in Incus: {message}", named(description))]
    OperationFailed {
        /// The operation's id.
        operation: String,
        /// What the operation was to do, in Incus' words.
        description: String,
        /// Incus' status code of the operation, 400.
        code: u16,
        /// Incus' own words.
        message: String,
    },
    /// An operation was cancelled.
    #[error("{} was cancelled", named(description))]
    Cancelled {
        /// The operation's id.
        operation: String,
        /// What the operation was to do, in Incus' words.
        description: String,
    },
    /// Incus no longer knows an operation: it forgets them five seconds after their end, and when it is restarted.
    #[error(
        "Incus no longer knows operation {operation}, so how it ended is unknown. Look at what it was to change"
    )]
    OperationGone {
        /// The operation's id.
        operation: String,
    },
    /// Incus answered something this crate does not understand.
    #[error("Incus gave an answer to {method} {path} that is not understood: {problem}")]
    Protocol {
        /// The HTTP method.
        method: String,
        /// The request target.
        path: String,
        /// What is wrong with the answer.
        problem: String,
    },
    /// An answer is larger than the caller, or this crate, lets it be.
    #[error("{what} is larger than the {limit} bytes that are allowed")]
    TooLarge {
        /// What is too large.
        what: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// A name that cannot stand in a request: empty, `.`, `..`, or a path made of such parts.
    #[error("{name:?} cannot be a name in Incus")]
    InvalidName {
        /// The name.
        name: String,
    },
    /// A path in an instance is of another kind than asked for, such as a directory where a file is expected.
    #[error("{path} is a {found} and not a {expected}")]
    WrongFileType {
        /// The path in the instance.
        path: String,
        /// What the caller asked for.
        expected: crate::FileType,
        /// What is there.
        found: crate::FileType,
    },
    /// A command in an instance ran longer than its caller allowed, and was killed.
    #[error("the command {command:?} in the instance was stopped after {} seconds", after.as_secs())]
    ExecTimeout {
        /// The first word of the command.
        command: String,
        /// The time it was given.
        after: Duration,
    },
}

impl Error {
    /// The thing asked for does not exist.
    ///
    /// An operation that failed tells this only in words, so for those it is a reading of Incus' text.
    pub fn is_not_found(&self) -> bool {
        match self {
            Error::Api { status, .. } => *status == 404,
            Error::OperationFailed { message, .. } => {
                let message = message.to_lowercase();
                message.ends_with("not found") || message.ends_with("does not exist")
            }
            _ => false,
        }
    }

    /// The thing to make exists already, or something else is changing it.
    ///
    /// Incus answers 409 for some kinds of things and 400 with the words "already exists" for others.
    pub fn is_conflict(&self) -> bool {
        match self {
            Error::Api {
                status, message, ..
            } => *status == 409 || message.contains("already exists"),
            Error::OperationFailed { message, .. } => message.contains("already exists"),
            _ => false,
        }
    }

    /// The thing was changed since its ETag was read: read it again and repeat.
    pub fn is_precondition_failed(&self) -> bool {
        matches!(self, Error::Api { status: 412, .. })
    }

    /// Incus is absent, not running, not permitted, or does not answer: the request itself is not at fault.
    pub fn is_unreachable(&self) -> bool {
        matches!(
            self,
            Error::Connect { .. } | Error::Timeout { .. } | Error::Transport { .. }
        )
    }

    /// Storage is full, or a quota is used up.
    pub fn is_no_space(&self) -> bool {
        let message = match self {
            Error::Api { message, .. } | Error::OperationFailed { message, .. } => {
                message.to_lowercase()
            }
            _ => return false,
        };
        [
            "no space left on device",
            "disk quota exceeded",
            "not enough space",
            "insufficient space",
        ]
        .iter()
        .any(|words| message.contains(words))
    }
}

/// What a failed connect means and what to do about it.
fn connect_hint(source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::NotFound => "there is no such socket. Install Incus if it is not there, then start it with \
             `systemctl enable --now incus.socket`"
            .to_owned(),
        io::ErrorKind::PermissionDenied => {
            "this process may not use it. Only root and members of the group incus-admin may".to_owned()
        }
        io::ErrorKind::ConnectionRefused => {
            "nothing listens there. Start Incus with `systemctl restart incus.socket incus.service`".to_owned()
        }
        io::ErrorKind::TimedOut => {
            "its queue of waiting connections stays full. See `journalctl -u incus` for what holds it up".to_owned()
        }
        _ => source.to_string(),
    }
}

/// The description of an operation, or a word for one that has none.
fn named(description: &str) -> &str {
    if description.is_empty() {
        "The operation"
    } else {
        description
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(status: u16, message: &str) -> Error {
        Error::Api {
            method: "GET".into(),
            path: "/1.0".into(),
            status,
            code: status.into(),
            message: message.into(),
        }
    }

    fn failed(message: &str) -> Error {
        Error::OperationFailed {
            operation: "id".into(),
            description: "Creating instance".into(),
            code: 400,
            message: message.into(),
        }
    }

    #[test]
    fn questions_have_the_right_answers() {
        assert!(api(404, "Instance not found").is_not_found());
        assert!(!api(500, "Instance not found in cache").is_not_found());
        assert!(failed("Image not found").is_not_found());
        assert!(api(409, "Instance busy").is_conflict());
        assert!(api(400, "The network already exists").is_conflict());
        assert!(!api(400, "Bad request").is_conflict());
        assert!(api(412, "ETag doesn't match").is_precondition_failed());
        assert!(failed("write /x: no space left on device").is_no_space());
        assert!(failed("Disk quota exceeded").is_no_space());
        assert!(!failed("Failed to run").is_no_space());
    }

    #[test]
    fn connect_errors_say_what_to_do() {
        for (kind, words) in [
            (io::ErrorKind::NotFound, "Install Incus"),
            (io::ErrorKind::PermissionDenied, "incus-admin"),
            (io::ErrorKind::ConnectionRefused, "systemctl restart"),
        ] {
            let error = Error::Connect {
                socket: "/run/x".into(),
                source: kind.into(),
            };
            assert!(error.is_unreachable());
            assert!(error.to_string().contains(words), "{error}");
            assert!(error.to_string().contains("/run/x"), "{error}");
        }
    }
}
