// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Whose code the programs are linked with, and the notices that have to go with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::programs::cargo;
use crate::run::output;

/// `NAME VERSION LICENCE` of each crate that is not ours.
pub(super) fn linked_crates() -> Result<Vec<String>> {
    // Only what ends up in the programs: not what builds or tests them.
    let lines = output(cargo().args([
        "tree",
        "--locked",
        "--edges=normal,no-proc-macro",
        "--prefix=none",
        "--no-dedupe",
        "--format={p} {l}",
        "--package=kapsule-agent",
        "--package=kapsule-open",
        "--package=kapsule-dbus-mux",
        "--package=kapsule-cli",
        "--package=kapsule-daemon",
        "--package=kapsule-ports",
        "--package=kapsule-bus",
    ]))?;
    // Our own are shown with their path, in parentheses.
    let foreign = lines
        .lines()
        .filter(|line| !line.is_empty() && !line.contains(" (/"))
        .map(|line| line.replacen(" v", " ", 1));
    Ok(foreign.collect::<BTreeSet<_>>().into_iter().collect())
}

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    version: String,
    manifest_path: PathBuf,
}

/// The notices in the sources of these crates, each text once, below the crates that have it.
pub(super) fn texts(crates: &[String]) -> Result<String> {
    let json = output(cargo().args(["metadata", "--locked", "--format-version=1"]))?;
    let metadata: Metadata =
        serde_json::from_str(&json).context("cannot read what cargo metadata says")?;
    let mut owners: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in metadata.packages {
        let name = format!("{} {}", package.name, package.version);
        if !crates
            .iter()
            .any(|line| line.starts_with(&format!("{name} ")))
        {
            continue;
        }
        let folder = package.manifest_path.parent().context("no folder")?;
        for text in notices_in(folder)? {
            owners.entry(text).or_default().push(name.clone());
        }
    }
    let mut by_owner: Vec<_> = owners
        .into_iter()
        .map(|(text, names)| (names, text))
        .collect();
    by_owner.sort();
    let rule = "=".repeat(78);
    Ok(by_owner
        .iter()
        .map(|(names, text)| {
            format!(
                "{rule}\n{}\n{rule}\n\n{}\n\n",
                names.join(", "),
                text.trim()
            )
        })
        .collect())
}

fn notices_in(folder: &Path) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_ascii_uppercase();
        let is_notice = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE"]
            .iter()
            .any(|start| name.starts_with(start));
        if is_notice && entry.path().is_file() {
            texts.push(String::from_utf8_lossy(&fs::read(entry.path())?).into_owned());
        }
    }
    Ok(texts)
}
