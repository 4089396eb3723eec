// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! One user does all they can to the service: the others are served, and afterwards all is as before.

use std::time::{Duration, Instant};

use kapsule_system_tests::container::Container;
use kapsule_system_tests::host::{ALICE, BOB, Held, ROOT, alone, say};

use super::{daemon_pid, daemon_status, hostile_user};

/// How long alice may wait for `kapsule list`, beyond what a machine takes whose cores are all the
/// attacker's: that is measured with a command that asks nobody. It is about a second; this is where
/// she would think that it hangs.
const PROMPT: Duration = Duration::from_secs(5);
/// What the service may keep, in kB: the allocator gives back what it likes.
const KEPT: u64 = 96 * 1024;
/// And the most that it may take meanwhile: with what it has, less than its unit's `MemoryHigh`.
const MEANWHILE: u64 = 224 * 1024;

/// Lets bob attack, and alice list her containers meanwhile.
#[track_caller]
fn attack<Guard>(host: &Held<Guard>, what: &[&str]) -> String {
    let program = hostile_user();
    ALICE.kapsule(["list"]).ok();
    let (process, memory) = (daemon_pid(), daemon_status("VmRSS"));
    let mut attacker = BOB.command([&[program], what].concat()).start();
    std::thread::sleep(Duration::from_secs(2));
    let (mut times, mut alone) = (Vec::new(), Vec::new());
    let mut most = 0;
    while times.len() < 7 {
        let began = Instant::now();
        ALICE.kapsule(["--version"]).ok();
        alone.push(began.elapsed());
        let began = Instant::now();
        ALICE.kapsule(["list"]).ok();
        times.push(began.elapsed());
        most = most.max(daemon_status("VmRSS"));
        std::thread::sleep(Duration::from_millis(200));
    }
    let during = attacker.is_running();
    let output = attacker.wait();
    assert_eq!(daemon_pid(), process, "the service was restarted");
    times.sort();
    alone.sort();
    let machine = alone[alone.len() / 2];
    let (middle, worst) = (times[times.len() / 2], times[times.len() - 1]);
    say(&format!(
        "{what:?}: alice waited {middle:?} ({machine:?} for nothing), at worst {worst:?}; {memory} kB, {most} kB meanwhile, {} kB after{}",
        daemon_status("VmRSS"),
        if during { "" } else { " (it ended early)" }
    ));
    assert!(
        middle < PROMPT + 3 * machine,
        "{what:?}: {times:?}, {alone:?}"
    );
    assert!(
        most < memory + MEANWHILE,
        "{what:?}: {memory} kB before, {most} kB meanwhile"
    );
    host.wait_until("it has given back its memory", || {
        daemon_status("VmRSS") < memory + KEPT
    });
    output.ok()
}

#[test]
fn a_flood_of_calls_is_the_floods_own_trouble() {
    let Some(host) = alone() else { return };
    attack(&host, &["flood", "16", "12"]);
    attack(&host, &["flood-silent", "16", "12"]);
    attack(&host, &["connections", "5000", "10"]);
    // Bob himself is served again.
    host.wait_until("bob is served", || BOB.kapsule(["list"]).status == 0);
}

#[test]
fn large_arguments_are_refused_unread() {
    let Some(host) = alone() else { return };
    attack(&host, &["big", "900000", "4", "12"]);
    attack(&host, &["big", "30000000", "4", "12"]);
    // More than the bus lets through: it ends the connection.
    attack(&host, &["big", "140000000", "1", "8"]);
}

#[test]
fn thousands_of_operations_are_refused() {
    let Some(host) = alone() else { return };
    let said = attack(&host, &["operations", "10000"]);
    assert!(said.contains("LimitExceeded"), "{said}");
    host.wait_until("they have ended", || {
        BOB.call("ListOperations", &[]).text().contains("[[]]")
    });
    // Those that have ended count for a while.
    host.wait_until("bob may begin another one", || {
        BOB.call("StartContainer", &["s", "t-nothing"]).status == 0
    });
}

#[test]
fn thousands_of_questions_are_answered_in_turn() {
    let Some(host) = alone() else { return };
    let said = attack(&host, &["list", "3000"]);
    assert!(
        said.contains("3000 ok"),
        "not more than a hundred at once are too many: {said}"
    );
}

#[test]
fn sessions_that_are_held_cost_the_service_nothing() {
    let Some(host) = alone() else { return };
    let container = Container::create(BOB, "t-holds", &[]);
    container.sh("true");
    let open = || {
        let count = "ls /proc/$(systemctl show -P MainPID kapsule-daemon.service)/fd | wc -l";
        ROOT.sh(count)
            .ok()
            .trim()
            .parse::<u64>()
            .unwrap_or(u64::MAX)
    };
    let before = open();
    attack(&host, &["sessions", container.name, "300", "8"]);
    host.wait_until("no descriptor is left", || open() <= before + 4);
    assert_eq!(container.sh("id -un"), "bob");
}
