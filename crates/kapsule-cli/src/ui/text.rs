// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Texts from elsewhere, made fit for a terminal.

/// Makes characters visible that would move the cursor, change colours or reorder the line.
/// For names and other words.
pub(crate) fn escape(text: &str) -> String {
    escape_except(text, |_| false)
}

/// As [`escape`], and keeps line breaks. For messages.
pub(crate) fn escape_lines(text: &str) -> String {
    escape_except(text, |c| c == '\n')
}

fn escape_except(text: &str, keep: impl Fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if !keep(c) && (c.is_control() || reorders(c)) {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// Unicode's marks for the direction of writing.
fn reorders(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A number of bytes as people read it.
#[allow(clippy::cast_precision_loss)] // one decimal is shown
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        // What would be shown as 1000.0 belongs to the next unit.
        if value < 999.95 {
            break;
        }
        value /= 1000.0;
        unit = next;
    }
    format!("{value:.1} {unit}")
}

/// The day of an ISO 8601 time; empty when there is none.
pub(crate) fn date(time: &str) -> String {
    match time.get(..10) {
        // Go's zero time: never.
        Some("0001-01-01") | None => String::new(),
        Some(day) => escape(day),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_would_act_on_the_terminal() {
        assert_eq!(escape("dev"), "dev");
        assert_eq!(escape("Büro ✓"), "Büro ✓");
        assert_eq!(escape("a\u{1b}[31mb"), "a\\u{1b}[31mb");
        assert_eq!(escape("a\nb\u{7}"), "a\\nb\\u{7}");
        assert_eq!(escape("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(escape("a\u{9b}31m"), "a\\u{9b}31m");
        assert_eq!(escape_lines("a\nb\r"), "a\nb\\r");
    }

    #[test]
    fn sizes_have_one_decimal() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (999_949, "999.9 kB"),
            (999_950, "1.0 MB"),
            (62_345_678, "62.3 MB"),
            (4_200_000_000, "4.2 GB"),
            (5_000_000_000_000_000, "5000.0 TB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn dates_are_days() {
        assert_eq!(date("2026-11-22T10:00:00+00:00"), "2026-11-22");
        assert_eq!(date("0001-01-01T00:00:00Z"), "");
        assert_eq!(date(""), "");
    }
}
