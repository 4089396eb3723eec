// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Every tracked file says whose it is and under which licence, as the REUSE specification has it: in its
//! own first lines, in a `.license` file beside it, or in REUSE.toml.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::dirs;
use crate::run::{cmd, output};

/// Split, or this file would seem to have two of each.
const LICENCE: &str = concat!("SPDX-License", "-Identifier:");
const COPYRIGHT: &str = concat!("SPDX-FileCopyright", "Text:");

pub(super) fn check() -> Result<()> {
    let root = dirs::workspace();
    let git = ["-c", "safe.directory=*", "ls-files", "-z", "--cached"];
    let tracked = output(cmd("git", git).current_dir(root))?;
    let reuse = fs::read_to_string(root.join("REUSE.toml")).unwrap_or_default();
    let covered = patterns(&reuse);
    let mut bare = Vec::new();
    let mut licences = licences_in(&reuse);
    for name in tracked.split('\0').filter(|name| !name.is_empty()) {
        let path = root.join(name);
        // Links have no text of their own; texts of licences are what the rest points to.
        if !path.is_file()
            || path.is_symlink()
            || name.starts_with("LICENSES/")
            || name.ends_with(".license")
        {
            continue;
        }
        let head = head(&path)?;
        let beside = fs::read_to_string(root.join(format!("{name}.license"))).unwrap_or_default();
        let said = [&head, &beside]
            .into_iter()
            .find(|text| text.contains(LICENCE) && text.contains(COPYRIGHT));
        match said {
            Some(text) => licences.extend(licences_in(text)),
            None if covered.iter().any(|pattern| matches(pattern, name)) => {}
            None => bare.push(name.to_owned()),
        }
    }
    licences.retain(|licence| {
        !root
            .join("LICENSES")
            .join(format!("{licence}.txt"))
            .exists()
    });
    let mut wrong = Vec::new();
    if !bare.is_empty() {
        wrong.push(format!("no licence said for: {}", bare.join(", ")));
    }
    if !licences.is_empty() {
        let names: Vec<String> = licences
            .into_iter()
            .map(|name| format!("LICENSES/{name}.txt"))
            .collect();
        wrong.push(format!("texts of licences missing: {}", names.join(", ")));
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("; "));
    }
    Ok(())
}

/// The first lines; the end of a long file is no place for this.
fn head(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().take(20).collect::<Vec<_>>().join("\n"))
}

/// The identifiers in SPDX lines, and in REUSE.toml's `SPDX-License-Identifier = "…"`.
fn licences_in(text: &str) -> BTreeSet<String> {
    let key = LICENCE.trim_end_matches(':');
    let expressions = text.lines().filter_map(|line| {
        let rest = line.split_once(key)?.1.trim_start();
        let rest = rest.strip_prefix([':', '='])?;
        Some(
            rest.trim()
                .trim_matches('"')
                .trim_end_matches("-->")
                .trim_end_matches("*/")
                .trim()
                .to_owned(),
        )
    });
    expressions
        .flat_map(|expression| {
            let words: Vec<String> = expression
                .split([' ', '(', ')'])
                .map(str::to_owned)
                .collect();
            words
                .into_iter()
                .filter(|word| !matches!(word.as_str(), "" | "AND" | "OR" | "WITH"))
        })
        .collect()
}

/// The values of `path = …` in REUSE.toml, one string or a list of them.
fn patterns(toml: &str) -> Vec<String> {
    let mut patterns = Vec::new();
    let mut in_list = false;
    for line in toml.lines().map(str::trim) {
        let begins = line
            .strip_prefix("path")
            .map(str::trim_start)
            .is_some_and(|rest| rest.starts_with('='));
        if begins || in_list {
            patterns.extend(line.split('"').skip(1).step_by(2).map(str::to_owned));
            in_list = (in_list || line.contains('[')) && !line.contains(']');
        }
    }
    patterns
}

/// REUSE's patterns: `*` stands for anything but `/`, `**` for anything.
fn matches(pattern: &str, name: &str) -> bool {
    if let Some(rest) = pattern.strip_prefix("**") {
        return (0..=name.len()).any(|at| name.is_char_boundary(at) && matches(rest, &name[at..]));
    }
    if let Some(rest) = pattern.strip_prefix('*') {
        let end = name.find('/').unwrap_or(name.len());
        return (0..=end).any(|at| name.is_char_boundary(at) && matches(rest, &name[at..]));
    }
    match (pattern.chars().next(), name.chars().next()) {
        (None, None) => true,
        (Some(a), Some(b)) if a == b => matches(&pattern[a.len_utf8()..], &name[b.len_utf8()..]),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_reuse_says() {
        for (pattern, name, wanted) in [
            ("Cargo.lock", "Cargo.lock", true),
            ("*.md", "README.md", true),
            ("*.md", "docs/README.md", false),
            ("docs/**", "docs/a/b.svg", true),
            ("**/*.snap", "a/b/c.snap", true),
            ("docs/*", "docs/a/b.svg", false),
        ] {
            assert_eq!(matches(pattern, name), wanted, "{pattern} {name}");
        }
    }

    #[test]
    fn paths_of_reuse_toml() {
        let toml = "version = 1\n[[annotations]]\npath = [\n  \"a\",\n  \"b/**\",\n]\n[[annotations]]\npath = \"c\"\n";
        assert_eq!(patterns(toml), ["a", "b/**", "c"]);
    }

    #[test]
    fn identifiers_of_expressions() {
        let text = format!(
            "// {LICENCE} MIT OR (Apache-2.0 AND BSD-3-Clause)\n<!-- {LICENCE} CC0-1.0 -->"
        );
        let found: Vec<String> = licences_in(&text).into_iter().collect();
        assert_eq!(found, ["Apache-2.0", "BSD-3-Clause", "CC0-1.0", "MIT"]);
    }
}
