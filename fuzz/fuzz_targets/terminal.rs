// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Texts of others that the command line prints: nothing in them may act on the terminal.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/kapsule-cli/src/ui/text.rs"]
#[allow(dead_code)]
mod text;

fuzz_target!(|input: &str| {
    let acts = |c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c);
    assert!(!text::escape(input).contains(acts));
    assert!(!text::escape_lines(input).contains(|c| c != '\n' && acts(c)));
    assert!(!text::date(input).contains(acts));
    if !input.contains(|c: char| acts(c) || !c.is_ascii()) {
        assert_eq!(text::escape(input), input);
    }
});
