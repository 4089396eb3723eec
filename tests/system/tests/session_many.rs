// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Many sessions, one after the other and at once; and what others see of them.

use kapsule_system_tests::container::common;
use kapsule_system_tests::host::{ALICE, BOB, ROOT, alone, shared};

/// Open files of the daemon and of the owner's agent.
fn open_files() -> (u32, u32) {
    let count = |script: &str| ROOT.sh(script).ok().parse().unwrap_or(0);
    let daemon = count("ls /proc/$(systemctl show -P MainPID kapsule-daemon.service)/fd | wc -l");
    let agent = format!(
        "incus exec --project kapsule-1000 {} -- sh -c 'ls /proc/$(pgrep -of \"^/.kapsule/bin/kapsule-agent serve\")/fd | wc -l'",
        common().name
    );
    (daemon, count(&agent))
}

#[test]
fn hundreds_of_sessions_leave_nothing_behind() {
    // Alone: what others do would be counted too.
    let Some(host) = alone() else { return };
    let name = common().name;
    common().sh("true");
    let before = open_files();
    assert!(before.0 > 5 && before.1 > 5, "{before:?}");
    let script = format!(
        "for i in $(seq 300); do
            said=$(kapsule enter {name} -- sh -c \"echo $i; exit $((i % 256))\"); status=$?
            [ \"$said $status\" = \"$i $((i % 256))\" ] || echo \"$i: $said $status\"
        done"
    );
    assert_eq!(ALICE.run(["bash", "-c", &script]).ok(), "");
    // All of them are there before the first one ends.
    let script = format!(
        "rm -rf ~/t3-many; mkdir ~/t3-many; cd ~/t3-many
        for i in $(seq 200); do
            kapsule enter {name} -- sh -c \"touch begun$i; until test -e go; do sleep 0.2; done; echo $i; exit $((i % 256))\" > said$i 2>&1 < /dev/null &
            pids[i]=$!
        done
        until [ $(ls | grep -c begun) = 200 ]; do sleep 0.1; done; touch go
        for i in $(seq 200); do
            wait ${{pids[i]}}; status=$?
            [ \"$(cat said$i) $status\" = \"$i $((i % 256))\" ] || echo \"$i: $(cat said$i) $status\"
        done; rm -r ~/t3-many"
    );
    assert_eq!(ALICE.run(["bash", "-c", &script]).ok(), "");
    let after = || {
        // The daemon lets go of what it knew of the last sessions when it opens the next.
        common().sh("true");
        let now = open_files();
        now.0 <= before.0 && now.1 <= before.1
    };
    host.wait_until("as many files are open as before", after);
    assert_eq!(common().sh("pgrep -c begun || true"), "0");
}

/// The bus watches only so many connections for the daemon; those that went at once must not add up.
#[test]
fn callers_that_do_not_wait_use_nothing_up() {
    let Some(host) = alone() else { return };
    let hurry = "for i in $(seq 700); do
            dbus-send --system --dest=org.kde.kapsule /org/kde/kapsule org.kde.kapsule.Manager.ListContainers
        done";
    BOB.sh(hurry).ok();
    assert_eq!(common().sh("id -un"), "alice");
    BOB.kapsule(["list"]).ok();
    ROOT.kapsule(["list"]).ok();
    let stats = "busctl --json=short call org.freedesktop.DBus /org/freedesktop/DBus \
        org.freedesktop.DBus.Debug.Stats GetConnectionStats s org.kde.kapsule";
    let rules = || ROOT.sh(stats).json()["data"][0]["MatchRules"]["data"].as_u64();
    host.wait_until("the bus watches few", || {
        rules().is_some_and(|rules| rules < 50)
    });
}

#[test]
fn nothing_of_a_session_shows_on_anybodys_command_line() {
    let Some(_host) = shared() else { return };
    let name = common().name;
    let script = format!(
        "export T_SECRET=value-of-32101 LC_T3=value-of-32102
        exec kapsule enter {name} -e T_SECRET -- sh -c 'test -n \"$T_SECRET$LC_T3\" && echo ready; exec sleep 32103'"
    );
    for tty in [false, true] {
        let line = ALICE.command(["sh", "-c", &script]);
        let mut session = if tty { line.tty() } else { line }.start();
        session.wait_for("ready");
        // As bob sees them; written so that the search does not find itself.
        let seen = BOB.sh("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep -a 'value-of-3210[12]'; true");
        assert_eq!(seen.ok(), "");
        // The command itself: the client that was told it, the program that it is, and nobody between.
        let seen = BOB.sh("grep -al 'sleep.\\?3210[3]' /proc/[0-9]*/cmdline 2>/dev/null | while read f; do tr '\\0' ' ' < $f | cut -c1-14; echo; done | sort");
        let seen = seen.ok();
        let words: Vec<&str> = seen
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        assert_eq!(words, ["kapsule enter", "sleep 32103"]);
        let environ = BOB.sh("cat /proc/[0-9]*/environ 2>/dev/null | grep -ac 'value-of-3210[12]'");
        assert_eq!(environ.text().trim(), "0");
    }
}

#[test]
fn bob_opens_nothing_of_alices() {
    let Some(_host) = shared() else { return };
    let name = common().name;
    // Her own are there, so that what fails below fails because of him.
    let method = "org.kde.kapsule.Containers1.OpenSession";
    for as_root in ["false", "true"] {
        ALICE
            .call_at("/org/kde/kapsule", method, &["sb", name, as_root])
            .ok();
        assert_eq!(
            BOB.error_name(method, &[name, as_root]),
            "org.kde.kapsule.Error.NotFound"
        );
        for trick in [
            "../1000/t-common",
            "1000/t-common",
            "kapsule-1000/t-common",
            "t-common?project=kapsule-1000",
        ] {
            assert_eq!(
                BOB.error_name(method, &[trick, as_root]),
                "org.kde.kapsule.Error.InvalidArgument",
                "{trick}"
            );
        }
    }
    BOB.enter(name, ["true"]).ended(125);
    // No socket that has no place in the file system, and no folder that lets him in.
    let abstracts = BOB
        .sh("grep -aE '@.*(kapsule|agent)' /proc/net/unix; true")
        .ok();
    assert!(!abstracts.contains("kapsule/containers"), "{abstracts}");
    for path in [
        "/var/lib/kapsule/",
        "/var/lib/kapsule/containers/",
        "/var/lib/kapsule/containers/1000/",
        "/var/lib/kapsule/containers/1000/t-common/",
        "/var/lib/kapsule/containers/1000/t-common/spec.json",
        "/var/lib/incus/containers/",
        "/var/lib/incus/storage-pools/default/containers/kapsule-1000_t-common/rootfs/etc/passwd",
    ] {
        ROOT.run(["test", "-e", path]).ok();
        BOB.run(["ls", path]).failed();
        BOB.run(["touch", &format!("{path}t3")]).failed();
    }
    // Neither the daemon's open files nor the agent's or a client's.
    let mut session = ALICE
        .enter_command(name, ["sh", "-c", "echo ready; exec sleep 32201"])
        .start();
    session.wait_for("ready");
    for program in [
        "kapsule-daemon",
        "^/.kapsule/bin/kapsule-agent serve",
        "^kapsule enter",
        "^sleep 32201",
    ] {
        let pids = ROOT.run(["pgrep", "-f", program]).ok();
        for pid in pids.lines() {
            BOB.sh(&format!("ls /proc/{pid}/fd/ /proc/{pid}/root/"))
                .failed();
            BOB.sh(&format!("kill -0 {pid}")).failed();
        }
    }
}
