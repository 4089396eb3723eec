// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The agent has gone, or the file system that it is to set up was prepared by the container's root.

use kapsule_system_tests::container::{Container, IMAGE};
use kapsule_system_tests::host::{ALICE, ROOT, shared};
use kapsule_system_tests::process::Output;

fn create(name: &'static str) -> Container {
    drop(ALICE.kapsule(["rm", "--force", name]));
    let container = Container::create(ALICE, name, &["--image", IMAGE]);
    container.sh("true");
    container
}

/// As the container's root.
fn as_root(container: &Container, script: &str) -> Output {
    ROOT.run([
        "incus",
        "exec",
        "--project",
        "kapsule-1000",
        container.name,
        "--",
        "sh",
        "-c",
        script,
    ])
}

fn agent(container: &Container) -> String {
    let info = container.info();
    info["agent"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_killed_agent_is_brought_back() {
    let Some(_host) = shared() else { return };
    let container = create("t3-agent");
    let kill = "pkill -KILL -f '^/.kapsule/bin/kapsule-agent serve'";
    as_root(&container, kill).ok();
    assert_eq!(container.sh("id -un"), "alice");
    assert_eq!(agent(&container), "user-manager");
    // Where nothing inside starts it again, the daemon does.
    let mask = "ln -sf /dev/null /etc/systemd/user/kapsule-agent.service
        XDG_RUNTIME_DIR=/run/user/1000 setpriv --reuid 1000 --regid 1000 --clear-groups systemctl --user daemon-reload
        XDG_RUNTIME_DIR=/run/user/1000 setpriv --reuid 1000 --regid 1000 --clear-groups systemctl --user stop kapsule-agent.service
        pkill -KILL -f '^/.kapsule/bin/kapsule-agent serve'; true";
    as_root(&container, mask).ok();
    assert_eq!(
        container.sh("id -un; id -u; echo $HOME"),
        "alice\n1000\n/home/alice"
    );
    assert_eq!(agent(&container), "plain");
    // With the groups of the owner.
    assert_eq!(
        ALICE.enter(container.name, ["sudo", "-n", "id", "-u"]).ok(),
        "0"
    );
    // Without the mask, all is as before.
    as_root(&container, "rm /etc/systemd/user/kapsule-agent.service").ok();
    ALICE.kapsule(["restart", container.name]).ok();
    assert_eq!(container.sh("id -un"), "alice");
    assert_eq!(agent(&container), "user-manager");
}

#[test]
fn a_replaced_agent_is_an_error_that_ends() {
    let Some(_host) = shared() else { return };
    // One that is not there, one that does nothing, that floods, that hangs. Side by side, as it is waited
    // for a while each time.
    let programs = [
        ("t3-replaced-a", ""),
        ("t3-replaced-b", "#!/bin/sh\nexit 0\n"),
        ("t3-replaced-c", "#!/bin/sh\nexec yes\n"),
        ("t3-replaced-d", "#!/bin/sh\nexec sleep 1000\n"),
    ];
    std::thread::scope(|scope| {
        for (name, program) in programs {
            scope.spawn(move || replaced(name, program));
        }
    });
}

fn replaced(name: &'static str, program: &str) {
    let container = create(name);
    let replace = "mount -t tmpfs none /.kapsule/bin; cd /.kapsule/bin
        test -z \"$0\" || { printf \"$0\" > kapsule-agent; chmod 755 kapsule-agent; }
        pkill -KILL -f '^/.kapsule/bin/kapsule-agent serve'; true";
    let exec = ["incus", "exec", "--project", "kapsule-1000", name, "--"];
    ROOT.run([&exec[..], &["sh", "-c", replace, program]].concat())
        .ok();
    let output = ALICE.enter(name, ["id"]);
    assert_eq!(output.status, 125, "{program}: {output}");
    let said = output.failed();
    assert!(
        said.contains(&format!("kapsule restart {name}")),
        "{output}"
    );
    assert!(said.len() < 8192, "{output}");
    ALICE.kapsule(["restart", "--force", name]).ok();
    assert_eq!(container.sh("id -un"), "alice");
}

/// Files of the host that could be hit, with what is in them.
fn host_files() -> String {
    ROOT.sh("cd /; { find etc usr/lib/kapsule var/lib/kapsule/containers/1000/t3-traps var/lib/systemd/linger home/alice/t3-target/file -type f |
        grep -v -e '^etc/[.]pwd.lock' -e '^etc/resolv' | sort | xargs -d '\\n' sha256sum; stat -c '%n %U:%G %a' etc/passwd etc/shadow etc/group etc/sudoers.d; } 2>&1")
        .ok()
}

#[test]
fn traps_in_the_file_system_catch_only_their_own_container() {
    let Some(_host) = shared() else { return };
    let container = create("t3-traps");
    ALICE
        .sh("mkdir -p ~/t3-target && echo untouched > ~/t3-target/file")
        .ok();
    let traps = [
        // Everything that the boot step writes leads to the host.
        "h=/.kapsule/host; for f in passwd group shadow gshadow subuid subgid hostname hosts; do rm -f /etc/$f; ln -s $h/etc/$f /etc/$f; done",
        "h=/.kapsule/host; rm -rf /etc/sudoers.d /var/lib/systemd/linger /var/log /etc/systemd/user /etc/containers
            ln -s $h/etc/sudoers.d /etc/sudoers.d; ln -s $h/var/lib/systemd/linger /var/lib/systemd/linger
            ln -s $h/home/alice/t3-target /var/log; ln -s $h/etc/systemd/user /etc/systemd/user; ln -s $h/etc /etc/containers",
        // To one another, to nowhere, to themselves.
        "rm -f /etc/passwd; ln -s /etc/shadow /etc/passwd",
        "rm -f /etc/passwd /etc/group; ln -s /etc/group /etc/passwd; ln -s /etc/passwd /etc/group",
        "rm -f /etc/passwd /etc/group /etc/shadow; ln -s /nowhere/at/all /etc/passwd; mkfifo /etc/group; mkdir -p /etc/shadow/x",
        // More than anybody wants to read: 70 MB of lines, and a file that has no end.
        "rm -f /etc/passwd; yes x:x:5:5::/:/bin/sh | head -c 70000000 > /etc/passwd",
        "rm -rf /etc/passwd /etc/subuid; ln -s /dev/zero /etc/passwd; ln -s /dev/tty /etc/subuid",
        "rm -rf /etc/group; ln -s /proc/kmsg /etc/group; rm -rf /etc/hosts; ln -s /proc/self/mem /etc/hosts",
        // The home is the host's: never to be removed with what is in it.
        "umount -l /home/alice && rmdir /home/alice /home && ln -s /.kapsule/host/home /home",
        "umount -l /home/alice; rm -f /home || rmdir /home/alice /home; ln -s /etc /home",
    ];
    for trap in traps {
        let before = host_files();
        drop(as_root(&container, trap));
        ROOT.run([
            "incus",
            "restart",
            "--force",
            "--project",
            "kapsule-1000",
            container.name,
        ]);
        // It boots, or Incus says why not; its root can look inside; the client comes to an end.
        let output = ALICE.enter(container.name, ["true"]);
        assert!([0, 125, 126].contains(&output.status), "{trap}: {output}");
        // By its status: `incus exec` loses the output of a quick command now and then.
        let alive = as_root(&container, "exit 42");
        assert!(
            alive.status == 42 || output.status == 125,
            "{trap}: {alive}"
        );
        let after = host_files();
        let changed: Vec<&str> = after
            .lines()
            .filter(|line| !before.lines().any(|known| known == *line))
            .collect();
        assert!(changed.is_empty(), "{trap}: {changed:#?}");
        assert_eq!(after.lines().count(), before.lines().count(), "{trap}");
    }
    // The one that can do nothing more is still one's own to remove, and others go on.
    ALICE.kapsule(["rm", "--force", container.name]).ok();
    ALICE.sh("rm -r ~/t3-target").ok();
}

#[test]
fn a_place_that_leads_elsewhere_is_not_mounted_on() {
    let Some(_host) = shared() else { return };
    let container = create("t3-kapsule");
    // The guest's root makes `/.kapsule` a link to a folder that programs of the guest use, and one that
    // leaves the guest's file system as far as links can.
    for target in ["/etc", "/../../../../etc", "/proc/1/root/etc"] {
        drop(as_root(
            &container,
            &format!(
                "umount -l /.kapsule/host /.kapsule/bin /.kapsule/run; rm -f /.kapsule || rmdir /.kapsule/* /.kapsule; ln -sfn {target} /.kapsule"
            ),
        ));
        let before = ROOT
            .sh("ls -la / /etc /run | sha256sum; grep -c . /proc/mounts")
            .ok();
        ROOT.run([
            "incus",
            "restart",
            "--force",
            "--project",
            "kapsule-1000",
            container.name,
        ]);
        let output = ALICE.enter(container.name, ["true"]);
        assert!([0, 125].contains(&output.status), "{target}: {output}");
        let after = ROOT.sh("ls -la / /etc | grep -c kapsule; ls -d /etc/bin /etc/run /etc/host 2>&1 | grep -vc 'No such'").text();
        assert_eq!(
            after.lines().last(),
            Some("0"),
            "{target}: {after} {before}"
        );
    }
}
