// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Random calls of every method on every object, as a user without any privilege.

use kapsule_system_tests::container::{Container, names};
use kapsule_system_tests::host::{ALICE, BOB, Host, ROOT, alone, say};

use super::{daemon_pid, daemon_status, hostile_user};

/// How long, in seconds. For hours by hand: `KAPSULE_FUZZ_SECONDS=7200`.
const SECONDS: &str = "KAPSULE_FUZZ_SECONDS";
/// The number that decides the calls; the test prints the one that it used.
const SEED: &str = "KAPSULE_FUZZ_SEED";

/// All that is alice's, root's and everybody's. Bob's own things may change.
fn others(_host: &Host) -> String {
    ROOT.sh("set -e
        incus list --project kapsule-1000 --format csv --columns nsc
        incus list --project default --format csv --columns nsc
        incus image list --format csv --columns lf | sort
        for p in $(incus project list --format csv | cut -d, -f1 | grep -v -e 1001 | sort); do echo $p; incus project show $p | sha256sum; done
        find /var/lib/kapsule/containers/1000 /var/lib/kapsule/containers/0 2>/dev/null | sort
        find /etc /root /usr/lib/kapsule -type f -not -path '/etc/resolv*' | sort | xargs -d '\\n' sha256sum | sha256sum
        find /home/alice -maxdepth 1 | sort")
        .ok()
}

#[test]
fn random_calls_neither_break_nor_change_anything() {
    let Some(host) = alone() else { return };
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let seconds = number(SECONDS).unwrap_or(30);
    let seed = number(SEED).unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(1, |now| now.as_secs())
    });
    say(&format!(
        "D-Bus fuzz run: {SEED}={seed} {SECONDS}={seconds}"
    ));
    let victim = Container::create(ALICE, "t-victim", &[]);
    victim.sh("echo here > /var/tmp/t-mark");
    let (before, process) = (others(&host), daemon_pid());
    let memory = daemon_status("VmRSS");

    let program = hostile_user();
    let mut left = seconds;
    let mut calls = 0;
    while left > 0 {
        // Each run of the program ends well before a command is taken for hung.
        let part = left.min(60);
        let line = [
            program,
            "fuzz",
            &seed.wrapping_add(left).to_string(),
            &part.to_string(),
        ]
        .map(str::to_owned);
        let answers = BOB.run(line).ok();
        let count = |line: &str| line.split(' ').next()?.parse::<u64>().ok();
        calls += answers.lines().filter_map(count).sum::<u64>();
        if left == seconds {
            say(&answers);
        }
        assert!(
            answers.contains("(a result)"),
            "seed {seed}: nothing worked: {answers}"
        );
        left -= part;
    }
    say(&format!("{calls} calls"));

    let journal = ROOT.sh("journalctl --unit=kapsule-daemon.service --since=-1h --output=cat --grep='panicked|internal error' | tail -n 5");
    assert_eq!(journal.text().trim(), "", "seed {seed}");
    assert_eq!(
        daemon_pid(),
        process,
        "seed {seed}: the service was restarted"
    );
    ALICE.kapsule(["list"]).ok();
    assert_eq!(victim.sh("cat /var/tmp/t-mark"), "here", "seed {seed}");
    // Bob's are his own to make; they have to be possible to remove.
    for name in names(BOB) {
        BOB.kapsule(["rm", "--force", &name]).ok();
    }
    host.wait_until("bob's operations end", || {
        BOB.call("ListOperations", &[]).text().contains("[[]]")
    });
    assert_eq!(
        others(&host),
        before,
        "seed {seed}: somebody else's things have changed"
    );
    let grown = daemon_status("VmRSS").saturating_sub(memory);
    assert!(
        grown < 48 * 1024,
        "seed {seed}: the service has grown by {grown} kB"
    );
}
