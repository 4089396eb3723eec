// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The log: the journal's own protocol where there is a journal, lines of text otherwise.
//! `KAPSULE_LOG` says what is logged, in the syntax of `tracing_subscriber::EnvFilter`.

use std::env;
use std::io;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt, registry};

const VARIABLE: &str = "KAPSULE_LOG";
/// zbus logs each call at its own levels.
const DEFAULT: &str = "info,zbus=warn";

/// Begins to log.
pub(crate) fn begin() {
    let filter = EnvFilter::try_from_env(VARIABLE);
    let mistake = match &filter {
        Err(error) if env::var_os(VARIABLE).is_some() => Some(error.to_string()),
        _ => None,
    };
    let filter = filter.unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    let journal = goes_to_journal()
        .then(tracing_journald::layer)
        .and_then(Result::ok);
    match journal {
        Some(journal) => registry().with(filter).with(journal).init(),
        None => registry()
            .with(filter)
            .with(fmt::layer().with_writer(io::stderr))
            .init(),
    }
    if let Some(mistake) = mistake {
        tracing::warn!("{VARIABLE} is ignored: {mistake}");
    }
}

/// Whether standard error is a stream to the journal: `JOURNAL_STREAM` names its device and
/// inode, and is inherited by programs whose standard error is something else (systemd.exec(5)).
fn goes_to_journal() -> bool {
    let Ok(stream) = env::var("JOURNAL_STREAM") else {
        return false;
    };
    let Ok(about) = rustix::fs::fstat(rustix::stdio::stderr()) else {
        return false;
    };
    stream == format!("{}:{}", about.st_dev, about.st_ino)
}
