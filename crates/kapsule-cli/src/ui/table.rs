// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Tables without borders: columns as wide as their content, nothing cut off.

use comfy_table::Table;
use comfy_table::presets::NOTHING;

use super::style::{BOLD, styled};
use super::text::escape;

/// Lays out a table with a bold header. Cells are escaped here.
pub(crate) fn table<const N: usize>(header: [&str; N], rows: Vec<[String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(header);
    for row in rows {
        table.add_row(row.map(|cell| escape(&cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let mut text = String::new();
    for (number, line) in table.lines().enumerate() {
        let line = line.trim_end();
        if number == 0 {
            text.push_str(&styled(BOLD, line));
        } else {
            text.push_str(line);
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn aligns_and_never_truncates() {
        let long = "a".repeat(63);
        let text = plain(&table(
            ["NAME", "STATUS"],
            vec![
                ["dev".to_owned(), "Running".to_owned()],
                [long.clone(), "Stopped".to_owned()],
            ],
        ));
        let expected = [
            format!("{:63}  STATUS", "NAME"),
            format!("{:63}  Running", "dev"),
            format!("{long}  Stopped"),
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn escapes_cells() {
        let text = plain(&table(["X"], vec![["a\u{1b}[2J\nb".to_owned()]]));
        assert_eq!(text, "X\na\\u{1b}[2J\\nb\n");
    }
}
