// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Every kind of guest: with systemd, with sysvinit, with nothing but BusyBox; whole, and with parts missing.

use kapsule_system_tests::container::{Container, provided};
use kapsule_system_tests::host::{ALICE, ROOT, shared};

/// One that an earlier run may have left is removed first.
fn create(name: &'static str, image: &str) -> Container {
    drop(ALICE.kapsule(["rm", "--force", name]));
    Container::create(ALICE, name, &["--image", image])
}

fn agent(container: &Container) -> String {
    let info = container.info();
    info["agent"].as_str().unwrap_or_default().to_owned()
}

/// What has to hold for each guest, whatever is in it.
fn is_at_home(container: &Container, has_sudo: bool) {
    let name = container.name;
    let said =
        container.sh("id -un; id -u; id -g; echo $HOME $USER; pwd; hostname; echo ${PATH:+path}");
    let expected = [
        "alice",
        "1000",
        "1000",
        "/home/alice alice",
        "/home/alice",
        name,
        "path",
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
    ALICE.enter(name, ["sh", "-c", "exit 7"]).ended(7);
    ALICE
        .enter(name, ["sh", "-c", "kill -TERM $$; sleep 9"])
        .ended(143);
    ALICE.enter(name, ["t3-no-such-program"]).ended(127);
    assert_eq!(
        ALICE
            .enter_command(name, ["cat"])
            .stdin(*b"a\0\xff\n")
            .run()
            .stdout,
        b"a\0\xff\n"
    );
    if has_sudo {
        assert_eq!(ALICE.enter(name, ["sudo", "-n", "id", "-u"]).ok(), "0");
    }
    // A terminal, its size, and Ctrl-C.
    let mut session = ALICE.kapsule_command(["enter", name]).tty().start();
    session.write("stty size; tty; echo shell=$((6 * 7)); test -t 2 && sleep 1000\n");
    session.wait_for("24 80");
    session.wait_for("/dev/pts/");
    session.wait_for("shell=42");
    std::thread::sleep(std::time::Duration::from_millis(300));
    session.write([3]);
    std::thread::sleep(std::time::Duration::from_millis(300));
    session.write("exit 5\n");
    session.wait().ended(5);
}

fn survives_restarts(container: &Container) {
    let mark = "cat /proc/sys/kernel/random/boot_id /proc/1/stat | tr -d '\\n' | cut -d' ' -f22";
    let first = container.sh(mark);
    ALICE.kapsule(["restart", container.name]).ok();
    let second = container.sh(mark);
    assert_ne!(first, second, "it was not restarted");
    // Behind the daemon's back.
    let incus = |what: &str| {
        let command = format!(
            "timeout 30 incus {what} --force --project kapsule-1000 {}",
            container.name
        );
        ROOT.sh(&command).ok();
    };
    incus("restart");
    let third = container.sh(mark);
    assert_ne!(second, third, "it was not restarted");
    incus("stop");
    let fourth = container.sh(mark);
    assert_ne!(third, fourth, "it was not started");
    ALICE.kapsule(["stop", container.name]).ok();
    assert_eq!(container.status(), "Stopped");
}

#[test]
fn busybox_alone() {
    let Some(_host) = shared() else { return };
    let container = create("t3-busybox", &provided("busybox"));
    is_at_home(&container, false);
    assert_eq!(agent(&container), "plain");
    // There is really nothing else.
    assert_eq!(container.sh("for p in sudo useradd bash systemctl; do command -v $p; done; ls /etc/pam.d 2>/dev/null; true"), "");
    survives_restarts(&container);
    assert_eq!(
        container.sh("id -un; ls -a /.kapsule | grep -c run; grep -c ^alice: /etc/passwd"),
        "alice\n1\n1"
    );
}

#[test]
fn debian_with_sysvinit() {
    let Some(_host) = shared() else { return };
    let container = create("t3-sysvinit", &provided("debian-sysvinit"));
    is_at_home(&container, true);
    assert_eq!(agent(&container), "plain");
    assert_eq!(container.sh("cat /proc/1/comm"), "init");
    survives_restarts(&container);
    is_at_home(&container, true);
}

#[test]
fn debian_with_systemd() {
    let Some(_host) = shared() else { return };
    let container = create("t3-systemd", &provided("debian"));
    is_at_home(&container, true);
    assert_eq!(agent(&container), "user-manager");
    // One login session of logind's and a user manager, and what PAM gives.
    assert_eq!(
        container
            .sh("loginctl show-user alice -P Linger; systemctl --user is-system-running --wait"),
        "yes\nrunning"
    );
    assert_eq!(
        container.sh("echo $XDG_RUNTIME_DIR; stat -c %U:%a $XDG_RUNTIME_DIR"),
        "/run/user/1000\nalice:700"
    );
    survives_restarts(&container);
    is_at_home(&container, true);
}

#[test]
fn a_shell_that_is_missing_is_replaced_and_said() {
    let Some(_host) = shared() else { return };
    let container = create("t3-shell", &provided("debian"));
    let change = "sudo sed -i 's|^\\(alice:.*:\\)[^:]*$|\\1/no/such/shell|' /etc/passwd; grep -c /no/such/shell /etc/passwd";
    assert_eq!(container.sh(change), "1");
    for restarted in [false, true] {
        let mut session = ALICE
            .kapsule_command(["enter", container.name])
            .tty()
            .start();
        session.write("echo shell=$((6 * 7)) $0; exit 3\n");
        session.wait_for("shell=42 -sh");
        let output = session.wait();
        output.ended(3);
        let said = output.all();
        assert!(said.contains("/bin/sh"), "{restarted} {said}");
        // A command of one's own needs no shell, or gets the one that there is.
        assert_eq!(ALICE.enter(container.name, ["id", "-un"]).ok(), "alice");
        // Not undone: the file is the user's to change.
        assert_eq!(container.sh("grep -c /no/such/shell /etc/passwd"), "1");
        if !restarted {
            ALICE.kapsule(["restart", container.name]).ok();
        }
    }
}

#[test]
fn without_user_managers_there_is_a_system_service() {
    let Some(_host) = shared() else { return };
    let container = create("t3-masked", &provided("debian"));
    container.sh("sudo systemctl mask user@.service");
    ALICE.kapsule(["restart", container.name]).ok();
    assert_eq!(
        container.sh("id -un; systemctl is-active kapsule-agent.service; sudo -n id -u"),
        "alice\nactive\n0"
    );
    assert_eq!(agent(&container), "plain");
    container.sh("sudo systemctl unmask user@.service");
    ALICE.kapsule(["restart", container.name]).ok();
    assert_eq!(container.sh("id -un"), "alice");
    assert_eq!(agent(&container), "user-manager");
}

#[test]
fn a_guest_that_masks_the_agents_unit_is_entered_all_the_same() {
    let Some(_host) = shared() else { return };
    let container = create("t3-unit-masked", &provided("debian"));
    container.sh("sudo ln -sf /dev/null /etc/systemd/user/kapsule-agent.service");
    ALICE.kapsule(["restart", container.name]).ok();
    assert_eq!(container.sh("id -un; sudo -n id -u"), "alice\n0");
    // Started by pid 1, not by the daemon as the last resort, which takes it half a minute.
    assert_eq!(
        container.sh("pgrep -fc '^/.kapsule/bin/kapsule-agent supervise'"),
        "1"
    );
}

/// While a container starts, Incus holds a copy of each mount of the host. Without the unit that keeps
/// those to themselves, each start would leave copies in all containers, and they would double.
#[test]
fn a_start_leaves_no_mounts_in_other_containers() {
    let Some(_host) = shared() else { return };
    let container = create("t3-mounts", &provided("busybox"));
    let count = || -> usize { container.sh("wc -l < /proc/1/mountinfo").parse().unwrap() };
    let before = count();
    for _ in 0..2 {
        drop(create("t3-mounts-other", &provided("busybox")));
    }
    // Other tests mount one thing or another on the host meanwhile, not a copy of everything.
    let after = count();
    assert!(after < before + 20, "{before} mounts, then {after}");
    let copies = container.sh("grep -c /var/lib/incus/devices/ /proc/1/mountinfo; true");
    assert_eq!(copies, "0");
}

#[test]
fn several_start_at_once() {
    let Some(_host) = shared() else { return };
    let image = provided("busybox");
    let names = ["t3-a", "t3-b", "t3-c", "t3-d", "t3-e", "t3-f"];
    drop(ALICE.kapsule([&["rm", "--force"], &names[..]].concat()));
    let made: Vec<_> = names
        .iter()
        .map(|name| {
            ALICE
                .kapsule_command(["create", name, "--image", &image])
                .start()
        })
        .collect();
    let containers = names.map(|name| Container::planned(ALICE, name));
    for running in made {
        running.wait().ok();
    }
    for container in &containers {
        ALICE.kapsule(["stop", container.name]).ok();
    }
    let entered: Vec<_> = names
        .iter()
        .map(|name| ALICE.enter_command(name, ["id", "-un"]).start())
        .collect();
    for running in entered {
        assert_eq!(running.wait().ok(), "alice");
    }
}
