// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Dependencies may only have licences that go with GPL-3.0-or-later, and come from the package registry.

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::programs::cargo;
use crate::run::output;

/// Permissive ones that the FSF lists as compatible with the GPL, version 3.
const ALLOWED: &[&str] = &[
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "LGPL-2.1-or-later",
    "MIT",
    "MPL-2.0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    "0BSD",
];

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    /// Where it comes from; none for our own.
    source: Option<String>,
}

pub(super) fn check() -> Result<()> {
    let json = output(cargo().args(["metadata", "--format-version", "1", "--locked"]))?;
    let metadata: Metadata =
        serde_json::from_str(&json).context("cannot read what cargo metadata says")?;
    let mut wrong = Vec::new();
    for package in metadata.packages {
        let Some(source) = &package.source else {
            continue;
        };
        let licence = package.license.unwrap_or_default();
        if !source.starts_with("registry+") {
            wrong.push(format!(
                "{} {} comes from {source}",
                package.name, package.version
            ));
        }
        if !allowed(&licence) {
            wrong.push(format!(
                "{} {} has the licence `{licence}`",
                package.name, package.version
            ));
        }
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("; "));
    }
    Ok(())
}

/// Whether one may choose so that all that applies is allowed. `/` is an old way to write OR.
fn allowed(expression: &str) -> bool {
    let expression = expression.replace('/', " OR ");
    let words: Vec<&str> = expression
        .split_whitespace()
        .flat_map(|word| word.split_inclusive('(').flat_map(|part| split_end(part)))
        .collect();
    let mut rest = words.as_slice();
    any(&mut rest) && rest.is_empty()
}

fn split_end(word: &str) -> Vec<&str> {
    if word == "(" {
        return vec![word];
    }
    let inner = word.trim_end_matches(')');
    let mut parts = vec![inner];
    parts.extend(word[inner.len()..].split_inclusive(')'));
    parts.retain(|part| !part.is_empty());
    parts
}

fn any(rest: &mut &[&str]) -> bool {
    let mut good = all(rest);
    while let ["OR", tail @ ..] = rest {
        *rest = tail;
        good |= all(rest);
    }
    good
}

fn all(rest: &mut &[&str]) -> bool {
    let mut good = one(rest);
    while let ["AND", tail @ ..] = rest {
        *rest = tail;
        good &= one(rest);
    }
    good
}

fn one(rest: &mut &[&str]) -> bool {
    match rest {
        ["(", tail @ ..] => {
            *rest = tail;
            let good = any(rest);
            if let [")", tail @ ..] = rest {
                *rest = tail;
                return good;
            }
            false
        }
        // An exception only ever permits more.
        [licence, "WITH", _, tail @ ..] | [licence, tail @ ..] => {
            let good = ALLOWED.contains(licence);
            *rest = tail;
            good
        }
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::allowed;

    #[test]
    fn expressions() {
        for (expression, wanted) in [
            ("MIT", true),
            ("MIT/Apache-2.0", true),
            ("Proprietary OR MIT", true),
            ("MIT AND Proprietary", false),
            ("(MIT OR Proprietary) AND Unicode-3.0", true),
            ("Apache-2.0 WITH LLVM-exception OR Proprietary", true),
            ("MIT AND (Proprietary OR GPL-2.0-only)", false),
            ("", false),
        ] {
            assert_eq!(allowed(expression), wanted, "{expression}");
        }
    }
}
