// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The container's root against everybody else: a lying agent, a flooded daemon, a prepared file system.
//!
//! The lies are told by `src/bin/hostile-agent.rs`.

use kapsule_system_tests::container::{Container, IMAGE};
use kapsule_system_tests::host::{ALICE, BOB, Host, ROOT, alone, shared};
use kapsule_system_tests::process::{Output, Running};

/// A container whose agent has been taken away, and the program that takes its place.
struct Hostile {
    container: Container,
    program: String,
}

impl Hostile {
    fn new(name: &'static str) -> Self {
        drop(ALICE.kapsule(["rm", "--force", name]));
        let container = Container::create(ALICE, name, &["--image", IMAGE]);
        container.sh("true");
        let program = format!("/home/alice/{name}-agent");
        // Linked statically by `cargo xtask test`; by hand, the guest's libc has to do.
        let built = std::env::var_os("KAPSULE_TEST_HOSTILE_AGENT")
            .unwrap_or_else(|| env!("CARGO_BIN_EXE_hostile-agent").into());
        ALICE
            .command([
                "sh",
                "-c",
                &format!("cat > {program} && chmod 755 {program}"),
            ])
            .stdin(std::fs::read(built).unwrap_or_default())
            .run()
            .ok();
        let hostile = Self { container, program };
        hostile
            .inside(
                "0",
                "rm /etc/systemd/user/default.target.wants/kapsule-agent.service",
            )
            .ok();
        hostile
            .inside(
                "1000",
                "XDG_RUNTIME_DIR=/run/user/1000 systemctl --user stop kapsule-agent.service",
            )
            .ok();
        hostile
    }

    /// Runs a script inside as this user, as the container's root can.
    fn inside(&self, uid: &str, script: &str) -> Output {
        ROOT.run(self.line(uid, script))
    }

    fn line(&self, uid: &str, script: &str) -> Vec<String> {
        let name = self.container.name;
        let exec = [
            "incus",
            "exec",
            "--project",
            "kapsule-1000",
            name,
            "--user",
            uid,
            "--group",
            uid,
            "--",
        ];
        exec.iter()
            .chain(&["sh", "-c", script])
            .map(|word| (*word).to_owned())
            .collect()
    }

    /// Runs the hostile program as this user, until it has said that it began.
    fn start(&self, uid: &str, what: &str, begun: &str) -> Running {
        let mut running = ROOT
            .command(self.line(uid, &format!("exec {} {what}", self.program)))
            .start();
        running.wait_for(begun);
        running
    }

    /// Ends what runs inside of it.
    fn end(&self) {
        drop(self.inside("0", &format!("pkill -KILL -f ^{}", self.program)));
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        drop(ALICE.run(["rm", "-f", &self.program]));
    }
}

/// The daemon's process, and how many files it has open and how much memory in kB it uses.
fn daemon() -> (u64, u64, u64) {
    let script = "p=$(systemctl show -P MainPID kapsule-daemon.service); echo $p; ls /proc/$p/fd | wc -l; grep VmRSS /proc/$p/status | tr -dc 0-9";
    let said = ROOT.sh(script).ok();
    let numbers: Vec<u64> = said
        .lines()
        .filter_map(|line| line.trim().parse().ok())
        .collect();
    assert_eq!(numbers.len(), 3, "{said}");
    (numbers[0], numbers[1], numbers[2])
}

/// It is the same process as before, and has not grown.
fn is_unmoved(host: &Host, before: (u64, u64, u64)) {
    host.wait_until("the daemon has as many files open as before", || {
        daemon().1 <= before.1 + 2
    });
    let after = daemon();
    assert_eq!(after.0, before.0, "the daemon was restarted");
    assert!(after.2 < before.2 + 8 * 1024, "{before:?} {after:?}");
}

/// What the client has to say about a lie: it is the container's fault, and there is no panic.
#[track_caller]
fn is_refused(what: &str, output: &Output) {
    assert_eq!(output.status, 125, "{what}: {output}");
    let said = output.failed();
    assert!(
        said.contains("t3-liar"),
        "{what}: it does not say who: {output}"
    );
}

#[test]
fn no_lie_of_an_agent_hangs_or_harms_the_client() {
    let Some(host) = shared() else { return };
    let hostile = Hostile::new("t3-liar");
    let name = hostile.container.name;
    let before = daemon();
    let _agent = hostile.start("1000", "serve", "registered");
    // All at once: some take as long as the client's patience.
    let anywhere = [
        "silence",
        "gone",
        "half",
        "half-and-silence",
        "drip",
        "huge",
        "empty",
        "garbage",
        "notices",
        "exit-first",
        "two",
        "three",
        "many",
        "notice-with-descriptor",
        "started-and-gone",
        "started-twice",
        "flood",
    ];
    // Instead of a terminal's master.
    let terminals = [
        "file", "folder", "null", "zero", "pipe", "fifo", "socket", "slave", "none",
    ];
    let start = |what: &str, tty: bool| {
        let line = ALICE.enter_command(name, [what]);
        if tty { line.tty() } else { line }.start()
    };
    let mut running = Vec::new();
    for what in anywhere {
        running.push((format!("{what} without a terminal"), start(what, false)));
        running.push((format!("{what} in a terminal"), start(what, true)));
    }
    for what in terminals {
        running.push((format!("{what} as the terminal"), start(what, true)));
    }
    for what in ["file", "socket", "slave"] {
        running.push((format!("{what} that was not asked for"), start(what, false)));
    }
    for (what, running) in running {
        is_refused(&what, &running.wait());
    }
    // A failure that there is not is a failure.
    let odd = start("odd-failure", false).wait();
    assert!([125, 126, 127].contains(&odd.status), "{odd}");
    // A descriptor that comes with the end is closed with everything else.
    start("late-descriptor", false).wait().ended(0);
    // A terminal that is dead from the start: the end is the agent's word.
    start("dead-terminal", true).wait().ended(7);
    // Sessions that never end are the user's to end.
    for (what, tty, signal) in [
        ("deaf-terminal", true, "TERM"),
        ("for-ever", true, "HUP"),
        ("for-ever", false, "KILL"),
    ] {
        let client = start(what, tty);
        let pattern = format!("^kapsule enter {name} -- {what}");
        host.wait_until("it runs", || {
            ALICE.run(["pgrep", "-f", &pattern]).status == 0
        });
        std::thread::sleep(std::time::Duration::from_millis(300));
        ALICE
            .run(["pkill", &format!("-{signal}"), "-f", &pattern])
            .ok();
        assert!(client.wait().status >= 128, "{what}");
    }
    hostile.end();
    is_unmoved(&host, before);
}

/// Without a terminal signals are for the program, but an agent need not pass them on: then the second of a
/// kind, or the time after the first, ends the client.
#[test]
fn an_agent_that_swallows_signals_does_not_keep_the_user() {
    let Some(host) = shared() else { return };
    let hostile = Hostile::new("t3-swallow");
    let name = hostile.container.name;
    let _agent = hostile.start("1000", "serve", "registered");
    let patience = std::time::Duration::from_secs(30);
    let client = |tag: &str| {
        let client = ALICE.enter_command(name, ["for-ever", tag]).start();
        let pattern = format!("^kapsule enter {name} -- for-ever {tag}");
        host.wait_until("it runs", || {
            ALICE.run(["pgrep", "-f", &pattern]).status == 0
        });
        // And catches signals.
        std::thread::sleep(std::time::Duration::from_millis(500));
        (client, pattern)
    };
    let tell = |signal: &str, pattern: &str| {
        ALICE
            .run(["pkill", &format!("-{signal}"), "-f", pattern])
            .ok();
    };
    let began = std::time::Instant::now();
    let (patient, pattern) = client("patient");
    tell("TERM", &pattern);
    for (signal, status) in [("TERM", 143), ("HUP", 129), ("INT", 130)] {
        let (mut client, pattern) = client(signal);
        tell(signal, &pattern);
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert!(client.is_running(), "the first {signal} is the program's");
        tell(signal, &pattern);
        let told = std::time::Instant::now();
        client.wait().ended(status);
        assert!(told.elapsed() < patience / 2, "the second {signal}");
    }
    patient.wait().ended(143);
    assert!(began.elapsed() >= patience, "that was too early");
    hostile.end();
}

#[test]
fn the_container_gets_no_descriptor_of_the_host() {
    let Some(_host) = shared() else { return };
    let hostile = Hostile::new("t3-looker");
    let _agent = hostile.start("1000", "serve", "registered");
    ROOT.sh("echo secret > /root/t3-secret").ok();
    // Input and errors are files of the host, but what arrives are pipes.
    let script = "sudo sh -c 'exec kapsule list' >/dev/null; kapsule enter t3-looker -- look < /etc/passwd 2> ~/t3-errors; rm ~/t3-errors";
    let seen = ALICE.sh(script).ok();
    let links: Vec<&str> = seen.lines().collect();
    assert_eq!(links.len(), 3, "{seen}");
    assert!(
        links.iter().all(|link| link.starts_with("pipe:[")),
        "{seen}"
    );
    ROOT.sh("rm /root/t3-secret").ok();
}

#[test]
fn only_the_owner_registers() {
    let Some(_host) = shared() else { return };
    let hostile = Hostile::new("t3-false");
    let register = format!("{} register 1", hostile.program);
    // Root of the guest and one of its services, who are somebody else on the host; and the owner.
    ROOT.sh(&format!(
        "chmod a+x /home/alice && cp {0} /tmp/t3-agent && chmod 755 /tmp/t3-agent",
        hostile.program
    ))
    .ok();
    for (uid, status) in [("0", 1), ("33", 1), ("65534", 1), ("1000", 0)] {
        let said = hostile.inside(
            uid,
            &register.replace(&hostile.program, "/.kapsule/host/tmp/t3-agent"),
        );
        assert_eq!(said.status, status, "{uid}: {said}");
    }
    ROOT.sh("rm /tmp/t3-agent; chmod 700 /home/alice").ok();
    // What is no registration is none, also from the owner.
    hostile
        .inside("1000", &format!("{} mumble", hostile.program))
        .ok();
    // The newest one counts; the real one comes back when it is let.
    let _liar = hostile.start("1000", "serve", "registered");
    hostile
        .container
        .owner
        .enter("t3-false", ["exit-first"])
        .ended(125);
    hostile.end();
    assert_eq!(hostile.container.sh("id -un"), "alice");
}

#[test]
fn a_flooded_daemon_serves_the_others() {
    let Some(host) = alone() else { return };
    let hostile = Hostile::new("t3-flood");
    let theirs = {
        drop(BOB.kapsule(["rm", "--force", "t3-bobs"]));
        Container::create(BOB, "t3-bobs", &["--image", IMAGE])
    };
    assert_eq!(theirs.sh("id -un"), "bob");
    let before = daemon();
    let bob_works = || {
        for _ in 0..10 {
            assert_eq!(theirs.sh("id -un"), "bob");
            BOB.kapsule(["list"]).ok();
        }
    };
    // Registrations without end.
    let flood = ROOT
        .command(hostile.line("1000", &format!("{} register 2000", hostile.program)))
        .start();
    bob_works();
    flood.wait().ok();
    is_unmoved(&host, before);
    // An agent that takes nothing: at some point the daemon says so, and never waits for it.
    let deaf = hostile.start("1000", "deaf", "registered");
    let open = "for i in $(seq 600); do
            busctl --timeout=60 call org.kde.kapsule /org/kde/kapsule org.kde.kapsule.Containers1 OpenSession sb t3-flood false || exit 3
        done 2>&1 | tail -n 1";
    let said = ALICE.sh(open).text();
    assert!(said.contains("does not take sessions"), "{said}");
    bob_works();
    // Nor does a second one get as much again, while the first keeps what it was sent.
    let deaf_too = hostile.start("1000", "deaf", "registered");
    let said = ALICE.sh(open).text();
    assert!(said.contains("512 sessions wait"), "{said}");
    bob_works();
    hostile.end();
    drop((deaf, deaf_too));
    bob_works();
    is_unmoved(&host, before);
    // Connections that say nothing hold up only the agents of the same container.
    let knock = hostile.start("1000", "knock 100", "knocked");
    bob_works();
    hostile.end();
    drop(knock);
    is_unmoved(&host, before);
    assert_eq!(hostile.container.sh("id -un"), "alice");
}
