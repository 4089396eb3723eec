// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Files in which `@name@` stands for something that is only known when they are installed.

use anyhow::{Result, bail};

/// Puts the values in. A name that nobody knows is an error, not a broken file.
pub(crate) fn fill(template: &str, values: &[(&str, &str)]) -> Result<String> {
    let words: Vec<&str> = template.split('@').collect();
    let inner = words
        .get(1..words.len().saturating_sub(1))
        .unwrap_or_default();
    // Mail addresses and instances of units have an @ too, but no lone lowercase word between two.
    let unknown = inner.iter().find(|word| {
        !word.is_empty()
            && word.bytes().all(|byte| byte.is_ascii_lowercase())
            && !values.iter().any(|(name, _)| name == *word)
    });
    if let Some(unknown) = unknown {
        bail!("it has the unknown placeholder @{unknown}@");
    }
    Ok(values
        .iter()
        .fold(template.to_owned(), |text, (name, value)| {
            text.replace(&format!("@{name}@"), value)
        }))
}

#[cfg(test)]
mod tests {
    use super::fill;

    #[test]
    fn placeholders_become_values() {
        let text = fill(
            "ExecStart=@libdir@/kapsule/kapsule-daemon\n",
            &[("libdir", "/opt/lib")],
        );
        assert_eq!(text.unwrap(), "ExecStart=/opt/lib/kapsule/kapsule-daemon\n");
    }

    #[test]
    fn an_unknown_placeholder_is_named() {
        let error = fill("@sysconfdir@/x", &[("prefix", "/usr")]).unwrap_err();
        assert!(error.to_string().contains("@sysconfdir@"), "{error}");
    }

    #[test]
    fn unit_instances_and_addresses_are_no_placeholders() {
        let text = "After=user@1000.service\nname <a@b.c>\n";
        assert_eq!(fill(text, &[]).unwrap(), text);
    }
}
