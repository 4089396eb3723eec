// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! How a session ended, and passing that on.

use std::process::ExitCode;

use kapsule_proto::session::{Exit, FailedStage};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, Signal, setrlimit};

use super::SessionError;

/// How the program of a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionEnd {
    /// By itself, with this status.
    Code(u8),
    /// By this signal (Linux number): its own death, or one that told this client to end.
    Signal(u8),
}

impl From<Exit> for SessionEnd {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Code(code) => Self::Code(code),
            Exit::Signal(signal) => Self::Signal(signal),
        }
    }
}

impl SessionEnd {
    /// Ends as the program did: with its status, or by the signal that it died of where a shell
    /// makes a difference of it (a script is stopped by Ctrl-C only if the program in it died of
    /// `SIGINT`). Other signals, which would leave a core dump of the wrong program, become
    /// 128 + n as shells print them.
    #[must_use]
    pub(crate) fn pass_on(self) -> ExitCode {
        let signal = match self {
            Self::Code(code) => return ExitCode::from(code),
            Self::Signal(signal) => signal,
        };
        let told_apart = [
            Signal::HUP,
            Signal::INT,
            Signal::QUIT,
            Signal::KILL,
            Signal::PIPE,
            Signal::TERM,
        ];
        let number = i32::from(signal);
        if told_apart.iter().any(|one| one.as_raw() == number) {
            let none = Rlimit {
                current: Some(0),
                maximum: Some(0),
            };
            // A core dump of this client helps nobody; if it cannot be prevented, so be it.
            let _ = setrlimit(Resource::Core, none);
            // Returns only if the signal could not be raised.
            let _ = signal_hook::low_level::emulate_default_handler(number);
        }
        ExitCode::from(128_u8.saturating_add(signal))
    }
}

/// The exit status for a session that could not be held.
pub(super) fn failure_code(error: &SessionError) -> u8 {
    match error {
        SessionError::Failed {
            stage: FailedStage::Exec,
            errno,
            ..
        } if *errno == Errno::NOENT.raw_os_error() => 127,
        SessionError::Failed {
            stage: FailedStage::Exec,
            ..
        } => 126,
        _ => 125,
    }
}

/// What to tell the user about a program that could not be started.
pub(super) fn explain_failure(program: &str, stage: FailedStage, errno: i32) -> String {
    let reason = match errno {
        0 => String::new(),
        _ => format!(": {}", std::io::Error::from_raw_os_error(errno)),
    };
    match stage {
        FailedStage::Exec if errno == Errno::NOENT.raw_os_error() => {
            format!("`{program}` was not found inside the container")
        }
        FailedStage::Exec => format!("`{program}` cannot be run inside the container{reason}"),
        FailedStage::Request => format!("the agent refused the request{reason}"),
        FailedStage::Terminal => {
            format!("no terminal could be made inside the container{reason}")
        }
        FailedStage::Spawn => format!("no process could be made inside the container{reason}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_have_the_statuses_that_shells_use() {
        for (stage, errno, code) in [
            (FailedStage::Exec, Errno::NOENT, 127),
            (FailedStage::Exec, Errno::ACCESS, 126),
            (FailedStage::Exec, Errno::TOOBIG, 126),
            (FailedStage::Spawn, Errno::AGAIN, 125),
            (FailedStage::Request, Errno::NOENT, 125),
        ] {
            let error = SessionError::Failed {
                program: "x".into(),
                stage,
                errno: errno.raw_os_error(),
            };
            assert_eq!(error.exit_code(), code, "{error}");
        }
    }
}
