// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `cargo xtask fuzz`: builds the fuzz targets with libFuzzer's instrumentation and runs them on the inputs
//! in `fuzz/corpus`. The instrumentation is LLVM's and needs no flag that stable Rust does not have; what
//! cargo-fuzz adds to it, AddressSanitizer, finds faults that safe Rust has not.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::programs::{cargo, host_triple};
use crate::run::stream;
use crate::{dirs, needs};

/// libFuzzer itself is C++.
const NEEDS: &[needs::Need] = &[("g++", "c++")];

/// What tells libFuzzer which branches an input took, and what values were compared there.
const INSTRUMENTATION: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Longer than this for one input is a hang, on however busy a machine.
const HANG: u32 = 30;
/// More memory than this for inputs of a few kilobytes is a fault, in megabytes.
const MEMORY: u32 = 1024;

/// The targets, built.
#[derive(Debug)]
pub(crate) struct Targets {
    programs: PathBuf,
    /// Their names, in order.
    pub(crate) names: Vec<String>,
}

/// Runs one target, or all, for so many seconds each.
pub(crate) fn fuzz(target: Option<&str>, seconds: u32) -> Result<()> {
    let targets = Targets::build(target)?;
    for name in &targets.names {
        targets.run(name, seconds)?;
    }
    Ok(())
}

impl Targets {
    /// Builds all targets, or one.
    pub(crate) fn build(only: Option<&str>) -> Result<Self> {
        let mut names = all()?;
        if let Some(only) = only {
            if !names.contains(only) {
                let known: Vec<_> = names.into_iter().collect();
                bail!("there is no fuzz target '{only}', but {}", known.join(", "));
            }
            names.retain(|name| name == only);
        }
        needs::ensure(needs::BUILD)?;
        needs::ensure(NEEDS)?;
        let triple = host_triple()?;
        let mut command = cargo();
        command
            .args(["build", "--quiet", "--profile", "fuzz", "--target", &triple])
            .args(["-p", "kapsule-fuzz", "--features", "libfuzzer"])
            .env("RUSTFLAGS", INSTRUMENTATION);
        for name in &names {
            command.args(["--bin", name]);
        }
        stream(&mut command).context("cannot build the fuzz targets")?;
        Ok(Self {
            programs: dirs::target().join(triple).join("fuzz"),
            names: names.into_iter().collect(),
        })
    }

    /// Runs one. What it finds out about new inputs stays in `target/fuzz-corpus`.
    pub(crate) fn run(&self, name: &str, seconds: u32) -> Result<()> {
        let found = dirs::target().join("fuzz-corpus").join(name);
        let faults = dirs::target().join("fuzz-faults");
        for folder in [&found, &faults] {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let out = Command::new(self.programs.join(name))
            .current_dir(dirs::workspace())
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-timeout={HANG}"))
            .arg(format!("-rss_limit_mb={MEMORY}"))
            .arg(format!("-artifact_prefix={}/{name}-", faults.display()))
            .arg("-print_final_stats=1")
            .arg(&found)
            .arg(corpus(name))
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot start the fuzz target {name}"))?;
        let said = String::from_utf8_lossy(&out.stderr);
        if !out.status.success() {
            let lines: Vec<&str> = said.lines().collect();
            bail!(
                "{}\n{name} found a fault. Again: {} FILE, with the file named above",
                lines[lines.len().saturating_sub(40)..].join("\n"),
                self.programs.join(name).display()
            );
        }
        let runs = statistic(&said, "number_of_executed_units").context("it ran nothing")?;
        // Each input of the corpus is run once before anything else.
        let seeds = fs::read_dir(corpus(name))?.count();
        if usize::try_from(runs).unwrap_or(usize::MAX) < seeds.max(1) {
            bail!("{name} ran only {runs} of its {seeds} inputs; give it more time");
        }
        eprintln!("fuzz {name}: {runs} inputs, no fault");
        Ok(())
    }
}

/// The inputs that are part of the checkout.
fn corpus(name: &str) -> PathBuf {
    dirs::workspace().join("fuzz/corpus").join(name)
}

/// The names of all targets.
fn all() -> Result<BTreeSet<String>> {
    let folder = dirs::workspace().join("fuzz/fuzz_targets");
    let read = || format!("cannot read {}", folder.display());
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(&folder).with_context(read)? {
        let path = entry.with_context(read)?.path();
        let name = path
            .file_stem()
            .map(|name| name.to_string_lossy().into_owned());
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(name);
        }
    }
    Ok(names)
}

/// A line of libFuzzer's closing statistics: `stat::NAME:   NUMBER`.
fn statistic(said: &str, name: &str) -> Option<u64> {
    said.lines()
        .filter_map(|line| line.strip_prefix("stat::")?.split_once(':'))
        .find(|(key, _)| *key == name)
        .and_then(|(_, value)| value.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_inputs_to_begin_with_and_an_entry_for_cargo() {
        let manifest = fs::read_to_string(dirs::workspace().join("fuzz/Cargo.toml")).unwrap();
        let names = all().unwrap();
        assert!(!names.is_empty());
        for name in names {
            assert!(
                manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")),
                "{name}"
            );
            let inputs =
                fs::read_dir(corpus(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(inputs.count() >= 2, "{name}");
        }
    }

    #[test]
    fn statistics_are_read() {
        let said =
            "Done 5 runs\nstat::number_of_executed_units: 51234\nstat::new_units_added:  7\n";
        assert_eq!(statistic(said, "number_of_executed_units"), Some(51_234));
        assert_eq!(statistic(said, "peak_rss_mb"), None);
    }
}
