// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What an operation reports while it works: messages and progress bars. Without a terminal the
//! bars become lines.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use kapsule_dbus::operation::MessageType;

use super::style::{DIM, ERROR, FAILURE, HINT, SUCCESS, WARNING, styled};
use super::text::{escape, escape_lines};

/// Spaces per level of indentation.
const INDENT: usize = 2;
/// More levels than anybody means.
const MAX_LEVEL: i32 = 8;

/// The part of the terminal that shows one operation. Bars vanish when it is dropped.
#[derive(Debug)]
pub(crate) struct ProgressView {
    bars: MultiProgress,
    active: HashMap<String, Bar>,
    is_terminal: bool,
}

#[derive(Debug)]
struct Bar {
    bar: ProgressBar,
    indent: String,
    description: String,
}

impl ProgressView {
    pub(crate) fn new() -> Self {
        Self {
            bars: MultiProgress::with_draw_target(ProgressDrawTarget::stderr()),
            active: HashMap::new(),
            is_terminal: std::io::stderr().is_terminal(),
        }
    }

    /// Prints a message of the operation.
    pub(crate) fn message(&self, message_type: MessageType, text: &str, level: i32) {
        self.print(&format_message(message_type, text, level));
    }

    /// A bar begins; a negative total means that nobody knows how much there is to do.
    pub(crate) fn started(&mut self, id: &str, description: &str, total: i32, level: i32) {
        let indent = indent(level);
        let description = escape(description);
        if !self.is_terminal {
            self.print(&format!("{indent}{description}"));
        }
        let (total, template) = match u64::try_from(total) {
            Ok(total) => (Some(total), "{prefix}{msg} [{bar:30}] {percent:>3}%"),
            Err(_) => (None, "{prefix}{spinner} {msg}"),
        };
        // The templates are constants, and correct.
        let style = ProgressStyle::with_template(template)
            .unwrap_or_else(|_| ProgressStyle::default_spinner())
            .progress_chars("━╸ ")
            .tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ");
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden())
            .with_style(style)
            .with_prefix(indent.clone())
            .with_message(description.clone());
        let bar = self.bars.add(bar);
        if self.is_terminal {
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        let bar = Bar {
            bar,
            indent,
            description,
        };
        if let Some(old) = self.active.insert(id.to_owned(), bar) {
            old.bar.finish_and_clear();
        }
    }

    /// A bar moves.
    pub(crate) fn moved(&self, id: &str, current: i32) {
        if let Some(bar) = self.active.get(id)
            && bar.bar.length().is_some()
        {
            bar.bar.set_position(u64::try_from(current).unwrap_or(0));
        }
    }

    /// A bar has something to say.
    pub(crate) fn text(&self, id: &str, text: &str) {
        if let Some(bar) = self.active.get(id) {
            let text = escape(text);
            let message = if text.is_empty() {
                bar.description.clone()
            } else {
                format!("{}: {text}", bar.description)
            };
            bar.bar.set_message(message);
        }
    }

    /// A bar ends.
    pub(crate) fn completed(&mut self, id: &str, success: bool, message: &str) {
        let Some(bar) = self.active.remove(id) else {
            return;
        };
        bar.bar.finish_and_clear();
        let (style, mark) = if success {
            (SUCCESS, "✓")
        } else {
            (FAILURE, "✗")
        };
        if !message.is_empty() {
            let message = escape_lines(message);
            self.print(&format!("{}{} {message}", bar.indent, styled(style, mark)));
        }
    }

    /// Prints a line above the bars.
    pub(crate) fn print(&self, line: &str) {
        self.bars.suspend(|| anstream::eprintln!("{line}"));
    }
}

impl Drop for ProgressView {
    fn drop(&mut self) {
        for (_, bar) in self.active.drain() {
            bar.bar.finish_and_clear();
        }
    }
}

fn indent(level: i32) -> String {
    let level = usize::try_from(level.clamp(0, MAX_LEVEL)).unwrap_or(0);
    " ".repeat(level * INDENT)
}

fn format_message(message_type: MessageType, text: &str, level: i32) -> String {
    let text = escape_lines(text);
    let indent = indent(level);
    match message_type {
        MessageType::Info => format!("{indent}{text}"),
        MessageType::Success => format!("{indent}{} {text}", styled(SUCCESS, "✓")),
        MessageType::Warning => format!("{indent}{} {text}", styled(WARNING, "Warning:")),
        MessageType::Error => format!("{indent}{} {text}", styled(ERROR, "Error:")),
        MessageType::Dim => format!("{indent}{}", styled(DIM, &text)),
        MessageType::Hint => format!("{indent}{} {text}", styled(HINT, "Hint:")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_carry_their_mark_and_indentation() {
        let cases = [
            (MessageType::Info, 1, "  text"),
            (MessageType::Success, 0, "✓ text"),
            (MessageType::Warning, 2, "    Warning: text"),
            (MessageType::Error, -3, "Error: text"),
            (MessageType::Dim, 1, "  text"),
            (MessageType::Hint, 1, "  Hint: text"),
        ];
        for (message_type, level, expected) in cases {
            let line = format_message(message_type, "text", level);
            assert_eq!(anstream::adapter::strip_str(&line).to_string(), expected);
        }
        assert!(indent(i32::MAX).len() < 80);
    }

    #[test]
    fn bars_of_any_kind_can_come_in_any_order() {
        let mut view = ProgressView::new();
        view.moved("1", 3);
        view.text("1", "early");
        view.completed("1", true, "");
        view.started("1", "Downloading", -1, 1);
        view.moved("1", 7);
        view.started("2", "Unpacking", 100, 1);
        view.moved("2", 30);
        view.moved("2", -1);
        assert_eq!(view.active["1"].bar.length(), None);
        assert_eq!(view.active["2"].bar.length(), Some(100));
        view.text("1", "40% \u{1b}[2J");
        assert_eq!(
            view.active["1"].bar.message(),
            "Downloading: 40% \\u{1b}[2J"
        );
        view.completed("1", true, "");
        assert_eq!(view.active.len(), 1);
    }
}
