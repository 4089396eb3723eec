// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Output: prose goes to standard error, data to standard output. Colours only reach terminals,
//! and respect `NO_COLOR` (anstream).

mod progress;
mod style;
mod table;
mod text;

pub(crate) use progress::ProgressView;
pub(crate) use style::{DIM, HEADING, styled};
pub(crate) use table::table;
pub(crate) use text::{date, escape, escape_lines, size};

use std::io::{ErrorKind as IoErrorKind, IsTerminal as _, Write as _};

use serde::Serialize;

use crate::error::{CommandError, ErrorKind};
use style::{ERROR, HINT, WARNING};

/// Prints data.
pub(crate) fn data(text: &str) -> Result<(), CommandError> {
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| {
            if text.is_empty() || text.ends_with('\n') {
                Ok(())
            } else {
                out.write_all(b"\n")
            }
        })
        .and_then(|()| out.flush())
        .map_err(|error| match error.kind() {
            IoErrorKind::BrokenPipe => CommandError::new(ErrorKind::BrokenPipe, error),
            _ => CommandError::new(ErrorKind::Failed, error)
                .context("cannot write to standard output"),
        })
}

/// Prints data as JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<(), CommandError> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| CommandError::new(ErrorKind::Failed, error))?;
    data(&text)
}

/// Prints what is about to be done.
pub(crate) fn heading(text: &str) {
    anstream::eprintln!("{}", styled(HEADING, &escape_lines(text)));
}

/// Prints something of little interest.
pub(crate) fn dim(text: &str) {
    anstream::eprintln!("{}", styled(DIM, &escape_lines(text)));
}

/// Prints that something goes otherwise than asked for.
pub(crate) fn warning(text: &str) {
    anstream::eprintln!("{} {}", styled(WARNING, "Warning:"), escape_lines(text));
}

/// Prints why something failed.
pub(crate) fn error(text: &str) {
    anstream::eprintln!("{} {}", styled(ERROR, "Error:"), escape_lines(text));
}

/// Prints what to do next.
pub(crate) fn hint(text: &str) {
    anstream::eprintln!("{} {}", styled(HINT, "Hint:"), escape_lines(text));
}

/// Asks a question whose answer is no unless somebody says yes.
pub(crate) fn confirm(question: &str) -> bool {
    anstream::eprint!("{} [y/N] ", escape_lines(question));
    let mut answer = String::new();
    if std::io::stdin().read_line(&mut answer).is_err() {
        return false;
    }
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

/// Whether there is somebody to ask.
pub(crate) fn is_interactive() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}
