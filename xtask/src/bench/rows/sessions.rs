// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Sessions: shells, crowds, streams, memory.

use anyhow::{Context as _, Result};

use super::{As, CONTAINER, Outcome, Request, Series, Setting, Subject, Unit};

/// The aims of the project: issue "entering a container".
const CROWD_TARGET: f64 = 0.300;
const AGENT_TARGET: f64 = 2e6;
const CLIENT_TARGET: f64 = 1e6;

/// What goes through pipes, in bytes.
const STREAM: &str = "1073741824";
/// What goes through a terminal, in bytes: terminals are slower.
const PRINTED: &str = "67108864";
/// Streams take seconds each, and vary little.
const STREAM_RUNS: u32 = 7;

impl Setting {
    /// An interactive login shell from its start to its end, with all that it reads before the first
    /// prompt: in the container, the same one put there by nsenter (the same files, and no more than they
    /// cost), and that of the host (with the host's files).
    pub(super) fn shell(&mut self, runs: u32) -> Result<Outcome> {
        let shell = ["bash", "-l", "-i", "-c", ":"];
        let inside = [
            &["kapsule", "enter", CONTAINER, "--no-shell", "--"],
            &shell[..],
        ]
        .concat();
        let init = self.init.clone();
        let uid = crate::host::users::User::named("alice")?.uid().to_string();
        let environment = [
            "env",
            "-i",
            "-C",
            "/home/alice",
            "HOME=/home/alice",
            "USER=alice",
            "LOGNAME=alice",
            "SHELL=/bin/bash",
            "TERM=xterm-256color",
        ];
        let nsenter = ["nsenter", "-t", &init, "-a", "-S", &uid, "-G", &uid];
        let put = [&nsenter[..], &environment, &shell].concat();
        let subjects = [
            Subject {
                name: "login shell in the container",
                by: As::Alice,
                request: Request::command(&inside, true),
                undo: &[],
            },
            Subject {
                name: "the same, by nsenter",
                by: As::Root,
                request: Request::command(&put, true),
                undo: &[],
            },
            Subject {
                name: "login shell on the host",
                by: As::Alice,
                request: Request::command(&shell, true),
                undo: &[],
            },
        ];
        self.take_turns(&subjects, runs, None)
    }

    /// Fifty at once.
    pub(super) fn crowd(&mut self, runs: u32) -> Result<Outcome> {
        let all = |command: &str| {
            format!("i=0; while [ $i -lt 50 ]; do {command} & i=$((i + 1)); done; wait")
        };
        let enter = all(&format!("kapsule enter {CONTAINER} -- true"));
        let nsenter = all(&format!("nsenter -t {} -a true", self.init));
        let subjects = [
            Subject {
                name: "50 times kapsule enter, at once",
                by: As::Alice,
                request: Request::command(&["sh", "-c", &enter], false),
                undo: &[],
            },
            Subject {
                name: "50 times nsenter, at once",
                by: As::Root,
                request: Request::command(&["sh", "-c", &nsenter], false),
                undo: &[],
            },
        ];
        self.take_turns(&subjects, runs, Some(CROWD_TARGET))
    }

    /// A GiB through `cat` in the container, from a pipe into a pipe.
    pub(super) fn stream(&mut self, runs: u32) -> Result<Outcome> {
        let through =
            |cat: &str| format!("head -c {STREAM} /dev/zero | {cat} | tail -c 1 >/dev/null");
        let enter = through(&format!("kapsule enter {CONTAINER} -- cat"));
        let exec = through(&format!(
            "incus exec --project {} {CONTAINER} -- cat",
            self.project
        ));
        let host = through("cat");
        let subjects = [
            Subject {
                name: "1 GiB through kapsule enter",
                by: As::Alice,
                request: Request::command(&["sh", "-c", &enter], false),
                undo: &[],
            },
            Subject {
                name: "1 GiB through incus exec",
                by: As::Root,
                request: Request::command(&["sh", "-c", &exec], false),
                undo: &[],
            },
            Subject {
                name: "1 GiB through cat on the host",
                by: As::Alice,
                request: Request::command(&["sh", "-c", &host], false),
                undo: &[],
            },
        ];
        self.take_turns(&subjects, runs.min(STREAM_RUNS), None)
    }

    /// 64 MiB printed to a terminal. In a container that is two terminals, one after the other, with a
    /// program in between, as with `script`.
    pub(super) fn print(&mut self, runs: u32) -> Result<Outcome> {
        let print = ["head", "-c", PRINTED, "/dev/zero"];
        let inside = [&["kapsule", "enter", CONTAINER, "--"], &print[..]].concat();
        let subjects = [
            Subject {
                name: "64 MiB printed in the container",
                by: As::Alice,
                request: Request::command(&inside, true),
                undo: &[],
            },
            Subject {
                name: "64 MiB printed through script(1)",
                by: As::Alice,
                request: Request::command(&["script", "-qc", &print.join(" "), "/dev/null"], true),
                undo: &[],
            },
            Subject {
                name: "64 MiB printed on the host",
                by: As::Alice,
                request: Request::command(&print, true),
                undo: &[],
            },
        ];
        self.take_turns(&subjects, runs.min(STREAM_RUNS), None)
    }

    /// Of an idle agent.
    pub(super) fn agent_memory(&mut self, runs: u32) -> Result<Outcome> {
        let look = format!(
            "for pid in $(pgrep -f '^/.kapsule/bin/kapsule-agent serve'); do \
             grep -q '{}_{CONTAINER}/' /proc/$pid/cgroup && grep ^Pss: /proc/$pid/smaps_rollup; done; :",
            self.project
        );
        pss_of("kapsule-agent", AGENT_TARGET, runs, || {
            self.root.run(&["sh", "-c", &look])
        })
    }

    /// Of a client whose session is open.
    pub(super) fn client_memory(&mut self, runs: u32) -> Result<Outcome> {
        let look = format!(
            "kapsule enter {CONTAINER} -- sleep 1 & sleep 0.5; \
             grep ^Pss: /proc/$!/smaps_rollup; wait"
        );
        pss_of("kapsule enter", CLIENT_TARGET, runs, || {
            self.alice.run(&["sh", "-c", &look])
        })
    }
}

/// The same pages each time, so few samples suffice.
fn pss_of(
    subject: &str,
    target: f64,
    runs: u32,
    mut look: impl FnMut() -> Result<String>,
) -> Result<Outcome> {
    let mut samples = Vec::new();
    for _ in 0..runs.clamp(1, 5) {
        samples.push(pss(&look()?).context("the process is not found")?);
    }
    Ok(Outcome {
        unit: Unit::Bytes,
        target: Some(target),
        series: vec![Series {
            subject: subject.to_owned(),
            samples,
        }],
        missing: Vec::new(),
    })
}

/// Bytes, from the first line of that kind in proc_pid_smaps(5).
fn pss(text: &str) -> Option<f64> {
    let kib = text
        .lines()
        .find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB"))?;
    Some(kib.trim().parse::<f64>().ok()? * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_kernels_words() {
        assert_eq!(pss("Pss:                 624 kB\n"), Some(624.0 * 1024.0));
        assert_eq!(pss("Rss: 1 kB"), None);
    }
}
