// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Counting what passed and what failed.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};

/// What ran so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    passed: u64,
    /// What failed, by name; some steps stand for more than one test.
    failed: Vec<(String, u64)>,
}

/// The numbers that cargo's own test harness prints.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    /// The tests that failed.
    names: Vec<String>,
}

impl Counts {
    /// Adds a line such as `module::name --- FAILED` or `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
    fn add(&mut self, line: &str) {
        if let Some(name) = line.strip_suffix(" --- FAILED") {
            self.names.push(name.to_owned());
        }
        let Some(rest) = line.strip_prefix("test result: ") else {
            return;
        };
        let words: Vec<&str> = rest
            .split([' ', ';'])
            .filter(|word| !word.is_empty())
            .collect();
        let number_before = |word: &str| {
            let at = words.iter().position(|next| *next == word)?;
            words.get(at.checked_sub(1)?)?.parse::<u64>().ok()
        };
        self.passed += number_before("passed").unwrap_or(0);
        self.failed += number_before("failed").unwrap_or(0);
    }
}

impl Report {
    /// Something that holds or does not: counts as one.
    pub(super) fn check(&mut self, name: &str, check: impl FnOnce() -> Result<()>) {
        let begin = Instant::now();
        eprintln!("\n== {name}");
        match check() {
            Ok(()) => {
                self.passed += 1;
                eprintln!("== {name}: passed ({:.1} s)", begin.elapsed().as_secs_f64());
            }
            Err(error) => self.fail(name, 1, &error),
        }
    }

    /// A `cargo test`, of which each test counts.
    pub(super) fn cargo_tests(&mut self, name: &str, command: &mut Command) {
        let begin = Instant::now();
        eprintln!("\n== {name}");
        let (counts, result) = run_tests(command, &[]);
        self.take(name, begin, counts, result);
    }

    /// As [`cargo_tests`](Self::cargo_tests), for tests of a whole system with all its own timing:
    /// a few that fail are tried once more, by themselves. What fails for a reason fails again; what
    /// passes then is named, to be looked into.
    pub(super) fn system_tests(&mut self, name: &str, command: impl Fn() -> Command) {
        let begin = Instant::now();
        eprintln!("\n== {name}");
        let (mut counts, mut result) = run_tests(&mut command(), &[]);
        let again = std::mem::take(&mut counts.names);
        if (1..=MOST_AGAIN).contains(&again.len()) && again.len() as u64 == counts.failed {
            eprintln!("== {name}: once more: {}", again.join(", "));
            let (second, ended) = run_tests(&mut command(), &again);
            for passed in again.iter().filter(|test| !second.names.contains(test)) {
                eprintln!("== {name}: UNSTABLE: {passed} failed, and passed when tried again");
            }
            counts.passed += second.passed;
            counts.failed = second.failed;
            result = ended;
        }
        self.take(name, begin, counts, result);
    }

    fn take(&mut self, name: &str, begin: Instant, counts: Counts, result: Result<()>) {
        self.passed += counts.passed;
        match result {
            Ok(()) if counts.failed == 0 => {
                eprintln!(
                    "== {name}: {} passed ({:.1} s)",
                    counts.passed,
                    begin.elapsed().as_secs_f64()
                );
            }
            Ok(()) => self.fail(
                name,
                counts.failed,
                &anyhow::anyhow!("{} failed", counts.failed),
            ),
            Err(error) => self.fail(name, counts.failed.max(1), &error),
        }
    }

    fn fail(&mut self, name: &str, count: u64, error: &anyhow::Error) {
        eprintln!("== {name}: FAILED: {error:#}");
        self.failed.push((name.to_owned(), count));
    }

    pub(super) fn all_passed(&self) -> bool {
        self.failed.is_empty()
    }

    /// Says what failed, and closes with the count alone on a line.
    pub(super) fn finish(self) -> ExitCode {
        eprintln!();
        for (name, count) in &self.failed {
            eprintln!("failed: {name} ({count})");
        }
        let failed: u64 = self.failed.iter().map(|(_, count)| count).sum();
        println!("{} passed, {failed} failed", self.passed);
        if failed == 0 && self.passed > 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

/// More failures than this are no accident.
const MOST_AGAIN: usize = 5;

/// Runs `cargo test`, all of its tests or only those of these names.
fn run_tests(command: &mut Command, only: &[String]) -> (Counts, Result<()>) {
    // One failing crate must not hide the others' results.
    command.args(["--quiet", "--no-fail-fast"]);
    if !only.is_empty() {
        command.args(["--", "--exact"]).args(only);
    }
    let mut counts = Counts::default();
    let result = echo(command, |line| counts.add(line));
    (counts, result)
}

/// A test program that says nothing for so long will not say anything more.
const SILENCE: Duration = Duration::from_secs(15 * 60);

/// Runs a command, passing its stdout on line by line and to `each`.
fn echo(command: &mut Command, mut each: impl FnMut(&str)) -> Result<()> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // A group of its own can be ended as a whole; Control-C still ends it, by way of the pipe.
        .process_group(0)
        .spawn()
        .context("cannot start cargo test")?;
    let stdout = child.stdout.take().context("no stdout")?;
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    loop {
        match lines.recv_timeout(SILENCE) {
            Ok(line) => {
                let line = String::from_utf8_lossy(&line);
                println!("{line}");
                each(&line);
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
                child.wait()?;
                bail!(
                    "nothing happened for {} minutes, so it was ended",
                    SILENCE.as_secs() / 60
                );
            }
        }
    }
    let status = child.wait()?;
    if !status.success() {
        bail!("cargo test ended with {status}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_several_programs_add_up() {
        let mut counts = Counts::default();
        for line in [
            "running 3 tests",
            "module::broken --- FAILED",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s",
        ] {
            counts.add(line);
        }
        assert_eq!(
            counts,
            Counts {
                passed: 4,
                failed: 2,
                names: vec!["module::broken".to_owned()],
            }
        );
    }

    #[test]
    fn a_failed_check_counts_and_others_go_on() {
        let mut report = Report::default();
        report.check("bad", || anyhow::bail!("no"));
        report.check("good", || Ok(()));
        assert_eq!(
            (report.passed, report.failed),
            (1, vec![("bad".to_owned(), 1)])
        );
    }

    #[test]
    fn a_test_of_the_system_gets_a_second_chance_and_no_third() {
        // Fails the first time it is run, and passes when it is asked for by name.
        let moody = || {
            let mut command = Command::new("sh");
            let script = r#"case "$*" in *--exact\ a::b) echo 'test result: ok. 1 passed; 0 failed';;
                *) echo 'a::b --- FAILED'; echo 'test result: FAILED. 2 passed; 1 failed'; exit 1;; esac"#;
            command.args(["-c", script, "sh"]);
            command
        };
        let mut report = Report::default();
        report.system_tests("moody", moody);
        assert_eq!((report.passed, report.failed.len()), (3, 0));
        let broken = || {
            let mut command = Command::new("sh");
            let script =
                "echo 'a::b --- FAILED'; echo 'test result: FAILED. 0 passed; 1 failed'; exit 1";
            command.args(["-c", script]);
            command
        };
        let mut report = Report::default();
        report.system_tests("broken", broken);
        assert_eq!(report.failed, [("broken".to_owned(), 1)]);
    }

    #[test]
    fn tests_that_do_not_compile_count_as_failed() {
        let mut report = Report::default();
        report.cargo_tests("broken", Command::new("false").arg("x"));
        assert_eq!(
            (report.passed, report.failed),
            (0, vec![("broken".to_owned(), 1)])
        );
    }
}
