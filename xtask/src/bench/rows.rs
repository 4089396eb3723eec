// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What is measured, and against what.

mod peers;
mod sessions;

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use self::peers::Peers;
use super::Bench;
use super::report::{Outcome, Series, Unit};
use super::worker::{Request, Worker};
use crate::host::users::User;

const DAEMON: &str = "kapsule-daemon.service";
const BUS_NAME: &str = "org.kde.kapsule";
/// A small service of the same kind that every systemd host has: root, started by D-Bus, idle.
const PEER_DAEMON: &str = "systemd-hostnamed.service";
const PEER_BUS_NAME: &str = "org.freedesktop.hostname1";

/// The container that commands run in, and those that are made and removed again.
const CONTAINER: &str = "bench";
const NEW: &str = "bench-new";
const NEW_PEER: &str = "bench-new-peer";

/// Before what counts: caches fill, lazy things happen.
const WARM_UP: u32 = 2;

/// The aims of the project: issue "two commands".
const MEMORY_TARGET: f64 = 10e6;
const START_TARGET: f64 = 0.050;

/// Who measures.
#[derive(Debug, Clone, Copy)]
enum As {
    Alice,
    Root,
}

/// One of those that take turns.
struct Subject<'a> {
    name: &'a str,
    by: As,
    request: Request,
    /// To be run afterwards, outside of the time.
    undo: &'a [&'a str],
}

/// Everything that has to be there for measuring.
#[derive(Debug)]
pub(super) struct Setting {
    alice: Worker,
    root: Worker,
    /// Incus' names of alice's things.
    project: String,
    network: String,
    /// The container's first process, as the host numbers it.
    init: String,
    peers: Peers,
}

impl Setting {
    /// Starts the container, and is sure of an answer from the daemon.
    pub(super) fn prepare() -> Result<Self> {
        let (mut alice, mut root) = (Worker::start("alice")?, Worker::start("root")?);
        let uid = User::named("alice")?.uid();
        let (project, network) = (format!("kapsule-{uid}"), format!("kap{uid}"));
        if alice.run(&["kapsule", "info", CONTAINER]).is_err() {
            alice.run(&["kapsule", "create", CONTAINER, "--image", "local:debian"])?;
        }
        // Starts it where it does not run.
        alice.run(&["kapsule", "enter", CONTAINER, "--", "true"])?;
        let init = init_of(&mut root, &project)?;
        let mut setting = Self {
            alice,
            root,
            project,
            network,
            init,
            peers: Peers::default(),
        };
        setting.remove_new();
        Ok(setting)
    }

    /// What an interrupted run may have left.
    fn remove_new(&mut self) {
        let _ = self.alice.run(&["kapsule", "rm", "--force", NEW]);
        let _ = self.root.run(&["incus", "delete", "--force", NEW_PEER]);
    }

    pub(super) fn clean_up(mut self) {
        self.remove_new();
        self.remove_peers();
        let _ = self.alice.run(&["kapsule", "rm", "--force", CONTAINER]);
    }

    pub(super) fn measure(&mut self, bench: Bench, runs: u32) -> Result<Outcome> {
        match bench {
            Bench::Memory => self.memory(runs),
            Bench::Start => self.start(runs),
            Bench::Enter => self.enter(runs, false),
            Bench::EnterTerminal => self.enter(runs, true),
            Bench::List => self.list(runs),
            Bench::Shell => self.shell(runs),
            Bench::Crowd => self.crowd(runs),
            Bench::Stream => self.stream(runs),
            Bench::Print => self.print(runs),
            Bench::AgentMemory => self.agent_memory(runs),
            Bench::ClientMemory => self.client_memory(runs),
            Bench::Create => self.create(runs),
        }
        .with_context(|| format!("cannot measure {bench:?}"))
    }

    /// After a call and five idle seconds, in fresh processes; the same pages each time, so few suffice.
    fn memory(&mut self, runs: u32) -> Result<Outcome> {
        let units = [DAEMON, PEER_DAEMON];
        let mut series = units.map(|unit| Series {
            subject: unit.to_owned(),
            samples: Vec::new(),
        });
        for _ in 0..runs.clamp(1, 5) {
            self.root
                .run(&["systemctl", "restart", DAEMON, PEER_DAEMON])?;
            self.alice.run(&["kapsule", "list"])?;
            self.alice.run(&["hostnamectl", "status"])?;
            sleep(Duration::from_secs(5));
            for (unit, series) in units.iter().zip(&mut series) {
                let unit = (*unit).to_owned();
                series
                    .samples
                    .push(self.root.ask(&Request::Memory { unit })?.0);
            }
        }
        Ok(Outcome {
            unit: Unit::Bytes,
            target: Some(MEMORY_TARGET),
            series: series.into(),
            missing: Vec::new(),
        })
    }

    /// From the making of the process to the name on the bus, with what systemd sets up in between.
    fn start(&mut self, runs: u32) -> Result<Outcome> {
        let subject = |unit: &'static str, bus_name: &str| Subject {
            name: unit,
            by: As::Root,
            request: Request::Start {
                unit: unit.to_owned(),
                bus_name: bus_name.to_owned(),
            },
            undo: &[],
        };
        let subjects = [
            subject(DAEMON, BUS_NAME),
            subject(PEER_DAEMON, PEER_BUS_NAME),
        ];
        self.take_turns(&subjects, runs, Some(START_TARGET))
    }

    fn enter(&mut self, runs: u32, terminal: bool) -> Result<Outcome> {
        self.prepare_peers();
        // The daemon was restarted by what came before; the agent registers anew within a moment.
        self.alice
            .run(&["kapsule", "enter", CONTAINER, "--", "true"])?;
        let (init, project) = (self.init.clone(), self.project.clone());
        let mut subjects = vec![
            Subject {
                name: "kapsule enter NAME -- true",
                by: As::Alice,
                request: Request::command(&["kapsule", "enter", CONTAINER, "--", "true"], terminal),
                undo: &[],
            },
            Subject {
                name: "incus exec NAME -- true",
                by: As::Root,
                request: Request::command(
                    &[
                        "incus",
                        "exec",
                        "--project",
                        &project,
                        CONTAINER,
                        "--",
                        "true",
                    ],
                    terminal,
                ),
                undo: &[],
            },
            Subject {
                name: "nsenter -t PID -a true (the floor)",
                by: As::Root,
                request: Request::command(&["nsenter", "-t", &init, "-a", "true"], terminal),
                undo: &[],
            },
        ];
        subjects.extend(self.entered_peers(terminal));
        let outcome = self.take_turns(&subjects, runs, None)?;
        Ok(Outcome {
            missing: self.peers.missing.clone(),
            ..outcome
        })
    }

    fn list(&mut self, runs: u32) -> Result<Outcome> {
        let project = self.project.clone();
        let subjects = [
            Subject {
                name: "kapsule list",
                by: As::Alice,
                request: Request::command(&["kapsule", "list"], false),
                undo: &[],
            },
            Subject {
                name: "incus list",
                by: As::Root,
                request: Request::command(&["incus", "list", "--project", &project], false),
                undo: &[],
            },
        ];
        self.take_turns(&subjects, runs, None)
    }

    /// Ours ends when the owner can enter; Incus' as soon as the container's first process runs, and so
    /// its guest is waited for in another one.
    fn create(&mut self, runs: u32) -> Result<Outcome> {
        let launch = format!(
            "incus launch debian {NEW_PEER} --storage=default --network={} \
             --config=security.nesting=true",
            self.network
        );
        let booted = "until systemctl --quiet is-active multi-user.target; do sleep 0.02; done";
        let boot = format!("{launch} && incus exec {NEW_PEER} -- sh -c '{booted}' 2>/dev/null");
        let new = ["kapsule", "create", NEW, "--image", "local:debian"];
        let undo_peer = &["incus", "delete", "--force", NEW_PEER];
        let subjects = [
            Subject {
                name: "kapsule create",
                by: As::Alice,
                request: Request::command(&new, false),
                undo: &["kapsule", "rm", "--force", NEW],
            },
            Subject {
                name: "incus launch (not yet booted)",
                by: As::Root,
                request: Request::command(&["sh", "-c", &launch], false),
                undo: undo_peer,
            },
            Subject {
                name: "incus launch, until multi-user.target",
                by: As::Root,
                request: Request::command(&["sh", "-c", &boot], false),
                undo: undo_peer,
            },
        ];
        self.take_turns(&subjects, runs, None)
    }

    /// In rounds, so that whatever else the machine does meets all of them alike.
    fn take_turns(
        &mut self,
        subjects: &[Subject<'_>],
        runs: u32,
        target: Option<f64>,
    ) -> Result<Outcome> {
        let mut series: Vec<Series> = subjects
            .iter()
            .map(|subject| Series {
                subject: subject.name.to_owned(),
                samples: Vec::new(),
            })
            .collect();
        for round in 0..WARM_UP + runs.max(1) {
            for (subject, series) in subjects.iter().zip(&mut series) {
                let worker = match subject.by {
                    As::Alice => &mut self.alice,
                    As::Root => &mut self.root,
                };
                let (seconds, _) = worker.ask(&subject.request)?;
                if !subject.undo.is_empty() {
                    worker.run(subject.undo)?;
                }
                if round >= WARM_UP {
                    series.samples.push(seconds);
                }
            }
        }
        Ok(Outcome {
            unit: Unit::Seconds,
            target,
            series,
            missing: Vec::new(),
        })
    }
}

fn init_of(root: &mut Worker, project: &str) -> Result<String> {
    /// Of what `/1.0/instances/NAME/state` answers.
    #[derive(Deserialize)]
    struct InstanceState {
        pid: u32,
    }
    let url = format!("/1.0/instances/{CONTAINER}/state?project={project}");
    let said = root.run(&["incus", "query", &url])?;
    let state: InstanceState =
        serde_json::from_str(&said).context("cannot read what Incus says about the container")?;
    Ok(state.pid.to_string())
}
