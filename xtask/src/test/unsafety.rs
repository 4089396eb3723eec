// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! There is unsafe code in one module only, and it stays small enough to be read in one go. The compiler
//! denies it elsewhere, as long as every crate takes the workspace's lints and no file allows it.

use std::fs;

use anyhow::{Context as _, Result, bail};

use crate::dirs;
use crate::run::{cmd, output};

/// The one module, and the most lines that one reads in one go.
const ALLOWED: &str = "crates/kapsule-agent/src/spawn.rs";
const MOST_LINES: usize = 350;
/// Its targets are entered from C++, by a macro that no lint of ours should judge.
const FUZZ: &str = "fuzz/Cargo.toml";
/// Split, or this file would be among those that it looks for.
const LINT: &str = concat!("unsafe", "_code");

pub(super) fn check() -> Result<()> {
    let root = dirs::workspace();
    let list = ["-c", "safe.directory=*", "ls-files", "-z", "--cached"];
    let tracked = output(cmd("git", list).current_dir(root))?;
    let mut wrong = Vec::new();
    for name in tracked.split('\0').filter(|name| root.join(name).is_file()) {
        let is_manifest = name.ends_with("/Cargo.toml") && name != FUZZ;
        if !is_manifest && !name.ends_with(".rs") {
            continue;
        }
        let text =
            fs::read_to_string(root.join(name)).with_context(|| format!("cannot read {name}"))?;
        if is_manifest && !takes_lints(&text) {
            wrong.push(format!("{name} does not take the workspace's lints"));
        }
        let mentions = text.contains(LINT);
        if name == ALLOWED {
            let lines = text.lines().count();
            if !mentions || lines > MOST_LINES {
                wrong.push(format!(
                    "{name}: {lines} lines, at most {MOST_LINES}, and it says that it may"
                ));
            }
        } else if mentions {
            wrong.push(format!("{name} speaks of {LINT}"));
        }
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("; "));
    }
    Ok(())
}

fn takes_lints(manifest: &str) -> bool {
    let mut lines = manifest.lines().map(str::trim);
    lines.any(|line| line == "[lints]") && lines.next() == Some("workspace = true")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lints_are_taken_or_not() {
        assert!(takes_lints("[package]\n\n[lints]\nworkspace = true\n"));
        assert!(!takes_lints("[package]\nworkspace = true\n"));
        assert!(!takes_lints("[lints]\n[dependencies]\n"));
    }
}
