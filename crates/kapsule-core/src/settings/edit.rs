// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Changing one key in the text of a configuration file, and nothing else: comments, order and what
//! is not understood stay.

use super::SettingKey;

/// What the text sets a key to, if it does.
#[must_use]
pub fn get(text: &str, key: &SettingKey) -> Option<String> {
    let lines = places(text, key);
    let last = lines.last()?;
    // The last one counts.
    let (_, value) = text.lines().nth(*last)?.split_once(['=', ':'])?;
    Some(value.trim().to_owned())
}

/// The text with the key set to a value that [`SettingKey::check`] has allowed.
#[must_use]
pub fn set(text: &str, key: &SettingKey, value: &str) -> String {
    let line = format!("{} = {value}", key.key());
    let mut lines: Vec<&str> = text.lines().collect();
    let places = places(text, key);
    if let Some((first, more)) = places.split_first() {
        lines[*first] = &line;
        for place in more.iter().rev() {
            lines.remove(*place);
        }
    } else if let Some(end) = end_of_section(&lines, key.section()) {
        lines.insert(end, &line);
    } else {
        let header = format!("[{}]", key.section());
        let gap = if lines.last().is_some_and(|last| !last.trim().is_empty()) {
            "\n"
        } else {
            ""
        };
        return format!("{}{gap}{header}\n{line}\n", joined(&lines));
    }
    joined(&lines)
}

/// The text without the key; nothing when it is not in there.
#[must_use]
pub fn unset(text: &str, key: &SettingKey) -> Option<String> {
    let places = places(text, key);
    if places.is_empty() {
        return None;
    }
    let rest: Vec<&str> = text
        .lines()
        .enumerate()
        .filter(|(number, _)| !places.contains(number))
        .map(|(_, line)| line)
        .collect();
    Some(joined(&rest))
}

fn joined(lines: &[&str]) -> String {
    lines.iter().flat_map(|line| [line, "\n"]).collect()
}

/// The numbers of the lines that set the key.
fn places(text: &str, key: &SettingKey) -> Vec<usize> {
    let mut in_section = false;
    let mut places = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if let Some(section) = header(line) {
            in_section = section.eq_ignore_ascii_case(key.section());
        } else if in_section && !is_comment(line) {
            let name = line.split(['=', ':']).next().unwrap_or_default().trim();
            if name.eq_ignore_ascii_case(key.key()) {
                places.push(number);
            }
        }
    }
    places
}

/// The number of the line after the section's last one that says something.
fn end_of_section(lines: &[&str], wanted: &str) -> Option<usize> {
    let mut in_section = false;
    let mut end = None;
    for (number, line) in lines.iter().enumerate() {
        match header(line) {
            Some(section) => in_section = section.eq_ignore_ascii_case(wanted),
            None if line.trim().is_empty() => continue,
            None => {}
        }
        if in_section {
            end = Some(number + 1);
        }
    }
    end
}

fn header(line: &str) -> Option<&str> {
    Some(line.trim().strip_prefix('[')?.strip_suffix(']')?.trim())
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with(['#', ';'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Fragment, Settings};

    fn key(text: &str) -> SettingKey {
        text.parse().unwrap()
    }

    #[test]
    fn changes_one_line_and_nothing_else() {
        let text = "# mine\n[kapsule]\n; default_image = old\ndefault_image: local:a\n\n[servers]\nx = https://x\n";
        assert_eq!(
            set(text, &key("default_image"), "local:b"),
            text.replace("default_image: local:a", "default_image = local:b")
        );
        assert_eq!(
            set(text, &key("default_container"), "dev"),
            text.replace("local:a\n", "local:a\ndefault_container = dev\n")
        );
        assert_eq!(
            set(text, &key("storage.pool"), "fast"),
            format!("{text}\n[storage]\npool = fast\n")
        );
        assert_eq!(set("", &key("storage.pool"), "p"), "[storage]\npool = p\n");
        assert_eq!(
            unset(text, &key("servers.x")).unwrap(),
            text.replace("x = https://x\n", "")
        );
        assert_eq!(unset(text, &key("servers.y")), None);
        // A key of that name in another section is another key.
        assert_eq!(unset("[network]\npool = x\n", &key("storage.pool")), None);
    }

    #[test]
    fn what_is_set_is_what_is_read() {
        let odd = "[Kapsule]\nDEFAULT_IMAGE = a:b\ndefault_image = c:d\n[storage]\n[kapsule]\ndefault_image=e:f";
        for text in ["", "\n\n", "[kapsule]", "no section = 1\n[x]\n", odd] {
            let written = set(text, &key("default_image"), "local:new");
            let fragment = Fragment::parse(&written).unwrap();
            let settings = Settings::merge(&[fragment]);
            assert_eq!(settings.default_image, "local:new", "{written}");
            assert_eq!(get(&written, &key("default_image")).unwrap(), "local:new");
            let without = unset(&written, &key("default_image")).unwrap();
            assert_eq!(Fragment::parse(&without).unwrap().default_image, None);
            assert_eq!(get(&without, &key("default_image")), None);
        }
    }
}
