// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The daemon's own walls, looked at from outside while it runs. What the unit asks for and the machine
//! cannot give (a control group's controller) is at least set. See docs/hardening.md.

use kapsule_system_tests::host::{ROOT, say, shared};

/// What docs/hardening.md says about the unit's exposure, in tenths: in bold, after "exposure of".
fn documented() -> u32 {
    let document = include_str!("../../../docs/hardening.md");
    let after = document
        .split_once("exposure of **")
        .map(|(_, after)| after);
    let score = after
        .and_then(|after| after.split_once("**"))
        .map(|(score, _)| score);
    let tenths = score.and_then(|score| score.replace('.', "").parse().ok());
    tenths.unwrap_or_else(|| panic!("docs/hardening.md does not tell the score"))
}

/// The daemon's process, running.
fn daemon() -> String {
    ROOT.kapsule(["list"]).ok();
    ROOT.run(["systemctl", "show", "-P", "MainPID", "kapsule-daemon"])
        .ok()
}

#[test]
fn the_units_exposure_is_not_worse_than_documented() {
    let Some(_host) = shared() else { return };
    let threshold = format!("--threshold={}", documented());
    let unit = "kapsule-daemon.service";
    ROOT.run([
        "systemd-analyze",
        "security",
        "--no-pager",
        &threshold,
        unit,
    ])
    .ok();
    // The test can fail: with one tenth less it does.
    let threshold = format!("--threshold={}", documented() - 1);
    ROOT.run([
        "systemd-analyze",
        "security",
        "--no-pager",
        &threshold,
        unit,
    ])
    .failed();
}

#[test]
fn the_daemon_has_exactly_the_rights_it_needs() {
    let Some(_host) = shared() else { return };
    let pid = daemon();
    let status = ROOT.sh(&format!("cat /proc/{pid}/task/*/status")).ok();
    let values = |key: &str| -> Vec<String> {
        let key = format!("{key}:");
        let lines = status.lines().filter_map(|line| line.strip_prefix(&key));
        lines.map(|value| value.trim().to_owned()).collect()
    };
    // CAP_CHOWN is 0, CAP_SETGID 6, CAP_SETUID 7.
    let needed = format!("{:016x}", 1 << 0 | 1 << 6 | 1 << 7);
    for set in ["CapPrm", "CapBnd"] {
        assert!(
            values(set).iter().all(|value| *value == needed),
            "{set}: {status}"
        );
    }
    // A thread that works as a user has none in effect.
    let none = format!("{:016x}", 0);
    let effective = values("CapEff");
    assert!(effective.contains(&needed), "{status}");
    assert!(
        effective
            .iter()
            .all(|value| *value == needed || *value == none),
        "{status}"
    );
    for (key, wanted) in [
        ("CapAmb", none.as_str()),
        ("NoNewPrivs", "1"),
        ("Seccomp", "2"),
        ("Umask", "0077"),
    ] {
        let found = values(key);
        assert!(
            !found.is_empty() && found.iter().all(|value| value == wanted),
            "{key}: {found:?}"
        );
    }
}

#[test]
fn the_daemon_can_write_where_it_must_and_nowhere_else() {
    let Some(_host) = shared() else { return };
    let root = format!("/proc/{}/root", daemon());
    let try_in = |folder: &str| {
        ROOT.sh(&format!(
            "touch {root}{folder}/t-wall && rm {root}{folder}/t-wall"
        ))
    };
    for folder in ["/var/lib/kapsule", "/etc", "/home/alice"] {
        try_in(folder).ok();
    }
    for folder in [
        "/usr",
        "/usr/lib/kapsule",
        "/var",
        "/var/lib",
        "/opt",
        "/srv",
        "/boot",
        "/run",
        "/dev",
        "/tmp",
    ] {
        let refused = try_in(folder);
        refused.failed();
        assert!(
            refused.errors().contains("Read-only file system"),
            "{folder}: {refused}"
        );
    }
}

#[test]
fn the_daemon_can_start_no_program() {
    let Some(_host) = shared() else { return };
    let root = format!("/proc/{}/root", daemon());
    ROOT.sh("for d in /tmp /run /home/alice; do cp /bin/true $d/t-program; done")
        .ok();
    for program in [
        "/usr/bin/true",
        "/usr/bin/sh",
        "/usr/bin/kapsule",
        "/tmp/t-program",
        "/run/t-program",
        "/home/alice/t-program",
    ] {
        let refused = ROOT.run([format!("{root}{program}")]);
        assert_eq!(refused.status, 126, "{program}: {refused}");
    }
    ROOT.sh("rm /tmp/t-program /run/t-program /home/alice/t-program")
        .ok();
}

#[test]
fn the_daemon_has_no_network_and_no_devices() {
    let Some(_host) = shared() else { return };
    let pid = daemon();
    let interfaces = ROOT
        .sh(&format!("tail -n +3 /proc/{pid}/net/dev | cut -d: -f1"))
        .ok();
    assert_eq!(interfaces.trim(), "lo");
    // It sees which ranges and addresses the host uses.
    for table in ["route", "fib_trie", "igmp"] {
        let seen = ROOT
            .sh(&format!("cat /proc/{pid}/root/run/kapsule/{table}"))
            .ok();
        let host = ROOT.sh(&format!("cat /proc/1/net/{table}")).ok();
        // Containers of other tests come and go: a network or so may.
        let line = |text: &str| text.lines().take(2).map(str::to_owned).collect::<Vec<_>>();
        assert!(
            seen.lines().count() >= 2 && line(&seen) == line(&host),
            "{table}: {seen}, {host}"
        );
    }
    let devices = ROOT
        .sh(&format!(
            "find /proc/{pid}/root/dev -type b -o -name kvm -o -name fuse -o -name mem"
        ))
        .ok();
    assert_eq!(devices, "");
}

#[test]
fn memory_and_threads_have_limits() {
    let Some(_host) = shared() else { return };
    daemon();
    for (property, value) in [
        ("MemoryHigh", (256_u64 << 20).to_string()),
        ("MemoryMax", (512_u64 << 20).to_string()),
        ("TasksMax", "512".to_owned()),
        ("LimitCORE", "0".to_owned()),
    ] {
        let set = ROOT
            .run(["systemctl", "show", "-P", property, "kapsule-daemon"])
            .ok();
        assert_eq!(set, value, "{property}");
    }
    let group = "/sys/fs/cgroup/system.slice/kapsule-daemon.service";
    for (file, value) in [("memory.max", 512_u64 << 20), ("pids.max", 512)] {
        let enforced = ROOT.run(["cat", &format!("{group}/{file}")]);
        if enforced.status == 0 {
            assert_eq!(enforced.text().trim(), value.to_string());
        } else {
            say(&format!(
                "not looked at: {file}; this machine's control groups have no such controller"
            ));
        }
    }
}
