// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Progress bars. The wire counts in 32 bits, so bytes go out as per cent, with the sizes in the
//! bar's text.

use std::time::{Duration, Instant};

use super::operation::printable;
use super::{Happening, Reporter};

/// The shortest time between two updates of one bar: faster than the eye is waste.
const INTERVAL: Duration = Duration::from_millis(100);

/// A progress bar. One that is dropped without [`finish`](Self::finish) ends unsuccessfully.
#[derive(Debug)]
pub(crate) struct Progress {
    reporter: Reporter,
    bar: String,
    total: Option<u64>,
    current: u64,
    /// What the clients have: the wire's value and the text.
    shown: (i32, String),
    shown_at: Option<Instant>,
    finished: bool,
}

impl Progress {
    pub(super) fn begin(
        reporter: Reporter,
        bar: String,
        description: &str,
        total: Option<u64>,
        indent: i32,
    ) -> Self {
        let total = total.filter(|total| *total > 0);
        reporter.send(Happening::ProgressStarted {
            bar: bar.clone(),
            description: description.to_owned(),
            total: if total.is_some() { 100 } else { -1 },
            indent,
        });
        Self {
            reporter,
            bar,
            total,
            current: 0,
            shown: (0, String::new()),
            shown_at: None,
            finished: false,
        }
    }

    /// `current` bytes are done, at `rate` bytes a second (0 when that is not known). What is
    /// less than before counts as no news.
    pub(crate) fn update(&mut self, current: u64, rate: f64) {
        self.current = self.current.max(current);
        let complete = self.total.is_some_and(|total| self.current >= total);
        let too_early = self.shown_at.is_some_and(|at| at.elapsed() < INTERVAL);
        if too_early && !complete {
            return;
        }
        let rate = if rate.is_finite() { rate.max(0.0) } else { 0.0 };
        let (value, wire_rate) = match self.total {
            Some(total) => (percent(self.current, total), rate * 100.0 / total as f64),
            // Without a total it is a count of signs of life.
            None => (self.shown.0.saturating_add(1), 0.0),
        };
        if value != self.shown.0 {
            self.shown.0 = value;
            self.shown_at = Some(Instant::now());
            self.reporter.send(Happening::ProgressUpdate {
                bar: self.bar.clone(),
                current: value,
                rate: wire_rate,
            });
        }
        self.show_text(describe(self.current, self.total, rate));
    }

    /// Says something about it in words, in place of the sizes.
    pub(crate) fn text(&mut self, text: impl Into<String>) {
        let text = printable(&text.into());
        if text == self.shown.1 {
            return;
        }
        if self.total.is_none() {
            self.shown.0 = self.shown.0.saturating_add(1);
            self.reporter.send(Happening::ProgressUpdate {
                bar: self.bar.clone(),
                current: self.shown.0,
                rate: 0.0,
            });
        }
        self.show_text(text);
    }

    fn show_text(&mut self, text: String) {
        if text != self.shown.1 {
            self.shown_at = Some(Instant::now());
            self.shown.1.clone_from(&text);
            self.reporter.send(Happening::ProgressText {
                bar: self.bar.clone(),
                text,
            });
        }
    }

    /// Ends the bar; a text that is not empty takes its place.
    pub(crate) fn finish(mut self, success: bool, message: impl Into<String>) {
        self.end(success, printable(&message.into()));
    }

    fn end(&mut self, success: bool, message: String) {
        if !self.finished {
            self.finished = true;
            let bar = self.bar.clone();
            self.reporter.send(Happening::ProgressCompleted {
                bar,
                success,
                message,
            });
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end(false, String::new());
    }
}

fn percent(current: u64, total: u64) -> i32 {
    let percent = u128::from(current) * 100 / u128::from(total.max(1));
    i32::try_from(percent.min(100)).unwrap_or(100)
}

fn describe(current: u64, total: Option<u64>, rate: f64) -> String {
    let mut text = size(current as f64);
    if let Some(total) = total {
        text = format!("{text} of {}", size(total as f64));
    }
    if rate > 0.0 {
        text = format!("{text}, {}/s", size(rate));
    }
    text
}

/// Bytes for people: three digits and a unit.
fn size(bytes: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let digits = if unit == 0 || value >= 100.0 { 0 } else { 1 };
    format!("{value:.digits$} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_for_people() {
        for (bytes, text) in [
            (0.0, "0 B"),
            (999.0, "999 B"),
            (1000.0, "1.0 KiB"),
            (1_572_864.0, "1.5 MiB"),
            (200.0 * 1024.0 * 1024.0, "200 MiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(
            describe(1024 * 1024, Some(10 * 1024 * 1024), 0.0),
            "1.0 MiB of 10.0 MiB"
        );
    }

    #[test]
    fn per_cent_cannot_overflow() {
        assert_eq!(percent(u64::MAX, u64::MAX), 100);
        assert_eq!(percent(5_000_000_000, 10_000_000_000), 50);
        assert_eq!(percent(3, 0), 100);
    }
}
