// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Measuring, in the host.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use super::watch::Watch;
use crate::host::exec::server::open_terminal;
use crate::run::{cmd, output, run as run_quietly};

/// Seconds from before the fork to the exit, and what it printed to stdout.
pub(super) fn run(argv: &[String], terminal: bool) -> Result<(f64, String)> {
    let (program, args) = argv.split_first().context("no command")?;
    let mut command = Command::new(program);
    command.args(args);
    if terminal {
        return Ok((run_in_terminal(command, argv)?, String::new()));
    }
    // Files, not pipes: what a command leaves running must not keep us.
    let (mut out, mut err) = (tempfile::tempfile()?, tempfile::tempfile()?);
    command
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(err.try_clone()?);
    let begin = Instant::now();
    let status = command.status();
    let seconds = begin.elapsed().as_secs_f64();
    let status = status.with_context(|| format!("cannot start {program}"))?;
    let (printed, complaint) = (content(&mut out)?, content(&mut err)?);
    if !status.success() {
        bail!(
            "`{}` failed ({status}): {}",
            argv.join(" "),
            complaint.trim()
        );
    }
    Ok((seconds, printed))
}

fn run_in_terminal(mut command: Command, argv: &[String]) -> Result<f64> {
    let (master, slave) = open_terminal(24, 80)?;
    command
        .stdin(slave.try_clone()?)
        .stdout(slave.try_clone()?)
        .stderr(slave);
    let mut master = File::from(master);
    let drained = thread::spawn(move || {
        let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
        // Ends with EIO, once nobody has the terminal open.
        while let Ok(count @ 1..) = master.read(&mut buffer) {
            text.extend_from_slice(&buffer[..count]);
        }
        text
    });
    let begin = Instant::now();
    let status = command.status();
    let seconds = begin.elapsed().as_secs_f64();
    drop(command);
    let text = drained.join().unwrap_or_default();
    let status = status.with_context(|| format!("cannot start {}", argv.join(" ")))?;
    if !status.success() {
        let text = String::from_utf8_lossy(&text);
        bail!("`{}` failed ({status}): {}", argv.join(" "), text.trim());
    }
    Ok(seconds)
}

fn content(file: &mut File) -> Result<String> {
    file.rewind()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Seconds from when systemd made the process until the bus says that it owns its name.
pub(super) fn start(unit: &str, bus_name: &str) -> Result<f64> {
    run_quietly(&mut cmd("systemctl", ["stop", unit]))?;
    // Or systemd finds that we start it too often.
    run_quietly(&mut cmd("systemctl", ["reset-failed", unit]))?;
    let watch = Watch::begin(bus_name)?;
    run_quietly(&mut cmd("systemctl", ["start", unit]))?;
    let owned = watch.new_owner()?;
    Ok(owned.saturating_sub(process_made(unit)?) as f64 / 1e6)
}

/// When systemd made the unit's process, in microseconds since 1970: ExecMainStartTimestamp of org.freedesktop.systemd1(5).
fn process_made(unit: &str) -> Result<u64> {
    // How unit names become object paths: sd_bus_path_encode(3).
    let object: String = unit
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            other => format!("_{other:02x}"),
        })
        .collect();
    let said = output(&mut cmd(
        "busctl",
        [
            "get-property",
            "org.freedesktop.systemd1",
            &format!("/org/freedesktop/systemd1/unit/{object}"),
            "org.freedesktop.systemd1.Service",
            "ExecMainStartTimestamp",
        ],
    ))?;
    let number = said.strip_prefix("t ").context("systemd tells no time")?;
    Ok(number.parse()?)
}

/// Bytes of the proportional set size: /proc/pid/smaps_rollup in proc_pid_smaps(5).
pub(super) fn memory(unit: &str) -> Result<f64> {
    let show = ["show", "--property=MainPID", "--value", unit];
    let pid = output(&mut cmd("systemctl", show))?;
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path)
        .with_context(|| format!("cannot read {path}; does {unit} run?"))?;
    let kib = text
        .lines()
        .find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB"))
        .with_context(|| format!("{path} has no Pss"))?;
    Ok(kib.trim().parse::<f64>()? * 1024.0)
}
