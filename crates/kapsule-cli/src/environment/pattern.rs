// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Names in which `*` stands for any number of any characters.

/// Whether the name is one of those that the pattern stands for.
pub(super) fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let Some(star) = pattern.iter().position(|byte| *byte == b'*') else {
        return pattern == name;
    };
    let (start, rest) = (&pattern[..star], &pattern[star + 1..]);
    let Some(mut name) = name.strip_prefix(start) else {
        return false;
    };
    // What is between two stars may stand at the first place where it fits.
    let mut parts: Vec<&[u8]> = rest.split(|byte| *byte == b'*').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts.into_iter().filter(|part| !part.is_empty()) {
        match name.windows(part.len()).position(|window| window == part) {
            Some(at) => name = &name[at + part.len()..],
            None => return false,
        }
    }
    name.ends_with(end)
}

pub(super) fn is_pattern(text: &str) -> bool {
    text.contains('*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, name, expected) in [
            ("LC_*", "LC_ALL", true),
            ("LC_*", "LC_", true),
            ("LC_*", "LC", false),
            ("TERM", "TERM", true),
            ("TERM", "TERMINFO", false),
            ("*", "ANY", true),
            ("*TOKEN*", "GITHUB_TOKEN", true),
            ("*TOKEN*", "TOKEN", true),
            ("*TOKEN*", "TOKE", false),
            ("A*B*C", "AxBxC", true),
            ("A*B*C", "ABC", true),
            ("A*B*C", "AC", false),
            ("A*A", "A", false),
            ("**", "", true),
            ("A**B", "AB", true),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), name.as_bytes()),
                expected,
                "{pattern} {name}"
            );
        }
    }
}
