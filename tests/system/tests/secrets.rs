// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Nothing secret leaks: what others see of a session, what is written down, who may read it.

use kapsule_system_tests::bus::CONTAINERS;
use kapsule_system_tests::container::{Container, common};
use kapsule_system_tests::host::{ALICE, BOB, ROOT, shared};
use kapsule_system_tests::process::Session;

/// What must not be found. Never on a command line of ours: it goes to where it is needed through stdin.
const SECRET: &str = "t-hush-7c1d2a";

/// The files of these that hold the secret, as this user finds them.
fn holding_secret(who: Session, files: &str) -> Vec<String> {
    let script = format!("grep -rlasF -D skip -f /dev/stdin {files} || true");
    let found = who
        .command(["sh", "-c", &script])
        .stdin(format!("{SECRET}\n"))
        .run();
    let ours = |line: &&str| !line.contains("/self/");
    found
        .text()
        .lines()
        .filter(ours)
        .map(str::to_owned)
        .collect()
}

/// Where Kapsule, Incus, the journal and the bus write things down, without the containers' own files.
const WRITTEN: &str = "/var/lib/kapsule /run/kapsule /etc/kapsule /var/log /run/log /run/incus \
    /var/lib/incus/database /var/lib/incus/devices /run/dbus /tmp /var/tmp";

/// That neither the journal nor a file has it.
#[track_caller]
fn nobody_wrote_it_down() {
    for who in [ROOT, BOB] {
        let none: [&str; 0] = [];
        assert_eq!(holding_secret(who, WRITTEN), none, "found by {}", who.user);
    }
    // The journal may be compressed: ask it.
    let script = "journalctl --no-pager --boot --output=export > /root/t-journal.$$
        grep -acF -f /dev/stdin /root/t-journal.$$; rm /root/t-journal.$$";
    let lines = ROOT
        .command(["sh", "-c", script])
        .stdin(format!("{SECRET}\n"))
        .run();
    assert_eq!(lines.text().trim(), "0", "lines of the journal: {lines}");
}

#[test]
fn a_sessions_environment_is_on_no_command_line_and_in_no_file() {
    let Some(host) = shared() else { return };
    let container = common();
    // The variable reaches `kapsule` as a shell's would: by its environment.
    let script = format!(
        "IFS= read -r T_HUSH; export T_HUSH
         exec kapsule enter --env T_HUSH {} -- sh -c 'echo ready; sleep 27182; :' </dev/null",
        container.name
    );
    let mut session = ALICE.command(["sh", "-c", &script]).start();
    session.write(format!("{SECRET}\n"));
    session.wait_for("ready");
    let inside = container.sh("tr '\\0' '\\n' < /proc/$(pgrep -f '^sleep 27182')/environ");
    assert!(
        inside.contains(SECRET),
        "it is where it should be: {inside}"
    );

    for who in [ROOT, BOB] {
        let none: [&str; 0] = [];
        let lines = holding_secret(who, "/proc/[0-9]*/cmdline");
        assert_eq!(lines, none, "command lines, seen by {}", who.user);
    }
    // The client, and the session inside: alice's processes, which nobody else may look into.
    assert!(holding_secret(BOB, "/proc/[0-9]*/environ").is_empty());
    let environments = holding_secret(ROOT, "/proc/[0-9]*/environ");
    assert!(environments.len() >= 2, "{environments:?}");
    for file in environments {
        let owner = ROOT.run(["stat", "-c", "%u", &file]);
        // One may have ended meanwhile.
        if owner.status == 0 {
            assert_eq!(owner.text().trim(), ALICE.uid.to_string(), "{file}");
        }
    }
    nobody_wrote_it_down();
    drop(session);
    host.wait_until("the session has ended", || {
        ROOT.run(["pgrep", "-f", "^sleep 27182"]).status != 0
    });
}

#[test]
fn arguments_are_on_no_other_command_line_than_the_users_own() {
    let Some(host) = shared() else { return };
    let container = common();
    // A program's arguments are seen by everybody, on any Linux. Those who have it on theirs are the
    // client, where the user wrote it, and the program itself: not the daemon, Incus, or a helper.
    let line = format!(
        "exec kapsule enter {} -- sleep 27.{}",
        container.name, "18281828"
    );
    let session = ALICE.command(["sh", "-c", &line]).start();
    let holders = || {
        let script = "for p in /proc/[0-9]*; do
            tr '\\0' ' ' 2>/dev/null < $p/cmdline | grep -q 'sleep 27.1828182[8]' &&
            echo $(stat -c %u $p) $(tr '\\0' ' ' < $p/cmdline | cut -c1-14); done; true";
        ROOT.sh(script).text()
    };
    host.wait_until("the program runs", || {
        holders().lines().any(|line| line.contains("1000 sleep"))
    });
    for holder in holders().lines() {
        assert!(holder.starts_with("1000 "), "{holder}");
    }
    drop(session);
    nobody_wrote_it_down();
}

#[test]
fn wrong_and_failing_requests_leave_no_value_behind() {
    let Some(_host) = shared() else { return };
    // Words in the place of switches, unknown options, and a command for the old way of entering.
    for (key, value) in [("gpu", SECRET), ("zzz", SECRET), ("mount_home", SECRET)] {
        let script = format!(
            "read -r S; busctl --system call org.kde.kapsule /org/kde/kapsule org.kde.kapsule.Manager \
             CreateContainer 'ssa{{sv}}' t-hush local:debian 1 {key} s \"$S\""
        );
        // The caller's own busctl shows it for a moment; nobody keeps it.
        let answer = ALICE
            .command(["sh", "-c", &script])
            .stdin(format!("{value}\n"))
            .run();
        if let Some(path) = answer.text().split('"').nth(1) {
            let ended = ALICE.finish(path);
            assert_eq!(ended.status, "failed");
            assert!(!ended.error.contains(SECRET), "{}", ended.error);
        }
        assert!(!answer.all().contains(SECRET), "{answer}");
    }
    let script = "read -r S; busctl --system call org.kde.kapsule /org/kde/kapsule \
        org.kde.kapsule.Manager PrepareEnter sass t-common 2 echo \"$S\" /";
    drop(
        ALICE
            .command(["sh", "-c", script])
            .stdin(format!("{SECRET}\n"))
            .run(),
    );
    // A container that is not there.
    let script =
        "IFS= read -r T_HUSH; export T_HUSH; kapsule enter --env T_HUSH t-none -- true </dev/null";
    ALICE
        .command(["sh", "-c", script])
        .stdin(format!("{SECRET}\n"))
        .run()
        .failed();
    nobody_wrote_it_down();
}

#[test]
fn entering_writes_nothing_to_the_containers_console() {
    let Some(_host) = shared() else { return };
    let container = Container::create(ALICE, "t-console", &["--image", "local:debian"]);
    for user in ["alice", "root"] {
        let script = format!(
            "IFS= read -r T_HUSH; export T_HUSH
             kapsule enter --env T_HUSH --user {user} t-console -- /nonexistent/t-program </dev/null; true"
        );
        ALICE
            .command(["sh", "-c", &script])
            .stdin(format!("{SECRET}\n"))
            .run()
            .ok();
    }
    // The programs' names are arguments, too.
    let console = ROOT
        .run([
            "incus",
            "console",
            "--project",
            "kapsule-1000",
            "--show-log",
            container.name,
        ])
        .ok();
    assert!(
        !console.contains(SECRET) && !console.contains("t-program"),
        "{console}"
    );
    let journal = container.sh("journalctl --no-pager 2>/dev/null || true");
    assert!(
        !journal.contains(SECRET) && !journal.contains("t-program"),
        "{journal}"
    );
    let daemon = ROOT
        .run(["journalctl", "--no-pager", "--boot", "-u", "kapsule-daemon"])
        .ok();
    assert!(!daemon.contains("t-program"), "{daemon}");
    nobody_wrote_it_down();
}

#[test]
fn state_belongs_to_root_and_is_closed() {
    let Some(_host) = shared() else { return };
    let container = common();
    let listing = ROOT
        .run([
            "find",
            "/var/lib/kapsule",
            "/run/kapsule",
            "-printf",
            "%y %m %u %p\n",
        ])
        .ok();
    let folder = format!("/var/lib/kapsule/containers/1000/{}", container.name);
    for expected in [
        "d 711 root /var/lib/kapsule".to_owned(),
        "d 700 root /var/lib/kapsule/containers".to_owned(),
        "d 700 root /var/lib/kapsule/containers/1000".to_owned(),
        // Seen through a mount, by the container's users.
        format!("d 755 root {folder}"),
        format!("f 644 root {folder}/spec.json"),
        format!("s 600 alice {folder}/agent.sock"),
        "d 700 root /run/kapsule".to_owned(),
    ] {
        assert!(
            listing.lines().any(|line| line == expected),
            "{expected}: {listing}"
        );
    }
    for line in listing.lines() {
        let fields: Vec<&str> = line.splitn(4, ' ').collect();
        let mode = u32::from_str_radix(fields[1], 8).unwrap_or(u32::MAX);
        assert_eq!(mode & 0o022, 0, "others can write: {line}");
        assert_eq!(mode & 0o7000, 0, "set-id or sticky: {line}");
        let socket_of_an_owner = fields[0] == "s" && fields[3].ends_with("/agent.sock");
        assert!(fields[2] == "root" || socket_of_an_owner, "{line}");
    }
    // The owner of a container gets no further on the host than anybody else.
    for user in [ALICE, BOB] {
        for path in [
            "/var/lib/kapsule",
            "/var/lib/kapsule/containers",
            "/run/kapsule",
            &folder,
        ] {
            user.run(["ls", path]).failed();
        }
        for socket in [
            "/var/lib/incus/unix.socket",
            &format!("{folder}/agent.sock"),
        ] {
            user.run(["test", "-w", socket]).ended(1);
        }
    }
}

#[test]
fn what_is_installed_is_roots_and_needs_no_set_id() {
    let Some(_host) = shared() else { return };
    let script = "find /usr/lib/kapsule /usr/bin/kapsule /usr/bin/kap /usr/lib/systemd/system/kapsule* \
        /usr/share/dbus-1/system*/org.kde.kapsule* /usr/share/dbus-1/interfaces/org.kde.kapsule* \
        /usr/share/polkit-1/actions/org.kde.kapsule* \
        ! -type l \\( -perm /7022 -o ! -uid 0 -o ! -gid 0 \\) -print";
    assert_eq!(ROOT.sh(script).ok(), "");
}

#[test]
fn the_daemon_leaves_no_core_behind() {
    let Some(_host) = shared() else { return };
    ALICE.call_at("/org/kde/kapsule", &format!("{CONTAINERS}.List"), &[]);
    let limits = ROOT
        .sh("cat /proc/$(systemctl show -P MainPID kapsule-daemon)/limits")
        .ok();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let words: Vec<&str> = core.unwrap_or_default().split_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"], "{limits}");
}
