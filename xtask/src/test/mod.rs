// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `cargo xtask test`: every check and every test there is, to the end also when one fails, with a count
//! at the last.

mod dependencies;
mod licences;
mod package;
mod report;
mod unsafety;

use std::process::{Command, ExitCode};

use anyhow::Result;

use self::report::Report;
use crate::fuzz::Targets;
use crate::host::place::HOST_VARIABLE;
use crate::programs::cargo;
use crate::{dirs, host, needs};

/// Name of a host of their own, new for each run: tests neither depend on nor disturb what a developer
/// has in the usual one.
const HOST: &str = "test-host";

/// Runs everything, or only the test of the package. `skip_host`: only what needs no booted host.
pub(crate) fn test(skip_host: bool, only_package: bool) -> Result<ExitCode> {
    if only_package {
        package::check()?;
        return Ok(ExitCode::SUCCESS);
    }
    if std::env::var_os(HOST_VARIABLE).is_none() {
        return with_own_host();
    }
    needs::ensure(needs::BUILD)?;
    let mut report = Report::default();
    report.check("formatting", || {
        crate::run::stream(cargo().args(["fmt", "--all", "--check"]))
    });
    report.check("licences of our files", licences::check);
    report.check("licences of dependencies", dependencies::check);
    if dependencies::has_advisories() {
        report.check(
            "advisories about dependencies",
            dependencies::check_advisories,
        );
    } else {
        eprintln!(
            "\n== advisories about dependencies: SKIPPED: their database is no package, and is not there; \
             `cargo deny fetch` brings it"
        );
    }
    report.check("unsafe code", unsafety::check);
    report.check("lints", || {
        let args = [
            "clippy",
            "--quiet",
            "--workspace",
            "--all-targets",
            "--",
            "--deny",
            "warnings",
        ];
        crate::run::stream(cargo().args(args))
    });
    report.check("documentation", || {
        let args = [
            "doc",
            "--quiet",
            "--workspace",
            "--no-deps",
            "--document-private-items",
        ];
        crate::run::stream(cargo().args(args).env("RUSTDOCFLAGS", "--deny warnings"))
    });
    let most = [
        "test",
        "--workspace",
        "--exclude",
        "incus",
        // Programs that only libFuzzer can link: see below.
        "--exclude",
        "kapsule-fuzz",
        "--exclude",
        "kapsule-system-tests",
    ];
    report.cargo_tests("unit tests", cargo().args(most));
    fuzz(&mut report);
    if !skip_host {
        test_in_host(&mut report);
        report.check("the host goes down", host::down);
        report.check("the Debian package in a clean host", package::check);
        if report.all_passed() {
            host::destroy()?;
        } else {
            eprintln!("its files are kept; to look: {HOST_VARIABLE}={HOST} cargo xtask host up");
        }
    }
    Ok(report.finish())
}

/// Runs this same command with the tests' own host, and returns its exit code.
fn with_own_host() -> Result<ExitCode> {
    let status = Command::new(dirs::own_program())
        .args(std::env::args_os().skip(1))
        .env(HOST_VARIABLE, HOST)
        .status()?;
    Ok(ExitCode::from(
        status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .unwrap_or(1),
    ))
}

/// How long each fuzz target runs here, in seconds: all of them about a minute. Hours are for
/// `cargo xtask fuzz --seconds`.
const FUZZ_SECONDS: u32 = 5;

/// Feeds made-up input to every parser of what comes from elsewhere.
fn fuzz(report: &mut Report) {
    let mut targets = None;
    report.check("fuzz targets are built", || {
        targets = Some(Targets::build(None)?);
        Ok(())
    });
    let Some(targets) = targets else { return };
    for name in &targets.names {
        report.check(&format!("fuzzing {name}"), || {
            targets.run(name, FUZZ_SECONDS)
        });
    }
}

fn test_in_host(report: &mut Report) {
    let mut state = None;
    report.check("the host boots", || {
        // What an earlier run left behind must not decide this one.
        host::destroy()?;
        state = Some(host::up()?);
        Ok(())
    });
    let Some(state) = state else { return };
    let socket = state.root().join("var/lib/incus/unix.socket");
    report.cargo_tests(
        "the Incus client against the host's Incus",
        cargo()
            .args(["test", "-p", "incus"])
            .env("KAPSULE_TEST_INCUS_SOCKET", socket),
    );
    let mut hostile_agent = None;
    report.check("Kapsule is installed in the host", || {
        host::install::install()?;
        for image in ["debian", "debian-sysvinit", "busybox"] {
            host::images::provide(image)?;
        }
        hostile_agent = Some(crate::programs::hostile_agent()?);
        Ok(())
    });
    if let Some(hostile_agent) = hostile_agent {
        // How the tests reach the host: see tests/system/src/lib.rs.
        let own = crate::dirs::own_program();
        report.system_tests("system tests in the host", || {
            let mut command = cargo();
            command
                .args(["test", "-p", "kapsule-system-tests"])
                .env("KAPSULE_TEST_HOST", "1")
                .env("KAPSULE_TEST_HOSTILE_AGENT", &hostile_agent)
                .env("KAPSULE_XTASK", &own);
            command
        });
    }
}
