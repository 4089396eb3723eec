// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Exit statuses. The table in [`HELP`] is the documentation; the constants are what it says.

use std::process::ExitCode;

use crate::session::SessionEnd;

/// Something was asked for and could not be done.
pub(crate) const FAILED: u8 = 1;
/// The command line was not understood.
pub(crate) const USAGE: u8 = 2;
/// `enter`: the command was not reached.
pub(crate) const NOT_ENTERED: u8 = 125;
/// Ctrl-C.
pub(crate) const INTERRUPTED: u8 = 130;

/// For `--help` and the manual page.
pub(crate) const HELP: &str = "\
Exit status:
  0      done
  1      it could not be done; the reason is on standard error
  2      the command line was not understood
  130    interrupted with Ctrl-C; unfinished work was cancelled

Exit status of enter, if not that of the command:
  125    the container could not be entered
  126    the command was found and could not be executed
  127    the command was not found
  128+N  the command was killed by signal N";

/// How a run that did not fail ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// As it should.
    Done,
    /// As the command in the container did.
    Ended(SessionEnd),
}

impl Outcome {
    /// The exit status. When the command was killed by a signal, this process may die of the same
    /// one here.
    pub(crate) fn into_exit_code(self) -> ExitCode {
        match self {
            Self::Done => ExitCode::SUCCESS,
            Self::Ended(end) => end.pass_on(),
        }
    }
}
