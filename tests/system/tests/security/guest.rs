// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! A container's root against the host.

use kapsule_system_tests::container::Container;
use kapsule_system_tests::host::{ALICE, BOB, ROOT, shared};

#[test]
fn s02_root_of_a_container_is_nobody_on_the_host() {
    let Some(_host) = shared() else { return };
    let container = Container::create(BOB, "t-s02", &[]);
    let config = container.incus_config();
    assert!(
        config["config"].get("security.privileged").is_none(),
        "{config}"
    );
    let root = |script: &str| BOB.enter(container.name, ["sudo", "sh", "-c", script]);
    // Its numbers, and its network, are others than the host's.
    let map = root("cat /proc/self/uid_map").ok();
    assert!(
        !map.lines()
            .any(|line| line.split_whitespace().take(2).eq(["0", "0"])),
        "{map}"
    );
    let inside = root("readlink /proc/self/ns/net").ok();
    assert_ne!(ROOT.run(["readlink", "/proc/1/ns/net"]).ok(), inside);
    let before = ROOT
        .sh("sha256sum /etc/passwd /etc/shadow /etc/sudoers; ls /etc /root /usr/bin | sha256sum")
        .ok();
    for script in [
        "cat /.kapsule/host/etc/shadow",
        "echo x >> /.kapsule/host/etc/passwd",
        "touch /.kapsule/host/etc/t-s02",
        "cp /bin/sh /.kapsule/host/usr/bin/t-s02",
        "ls /.kapsule/host/root",
        "ls /.kapsule/host/home/alice",
        "ls /.kapsule/host/var/lib/incus/unix.socket && test -w /.kapsule/host/var/lib/incus/unix.socket",
        "chroot /.kapsule/host cat /etc/shadow",
        "mknod /tmp/disk b 7 0 && head -c 1 /tmp/disk",
        "mount -o remount,rw,bind /.kapsule/run && touch /.kapsule/run/t-s02",
        "cat /.kapsule/host/proc/1/environ",
        "echo 1 > /proc/sys/kernel/sysrq",
        "kill -STOP $(pgrep -x kapsule-daemon)",
    ] {
        let output = root(script);
        assert_ne!(output.status, 0, "{script}: {output}");
    }
    assert_eq!(
        ROOT.sh(
            "sha256sum /etc/passwd /etc/shadow /etc/sudoers; ls /etc /root /usr/bin | sha256sum"
        )
        .ok(),
        before
    );
    // Nor by asking for the host's folders.
    for folder in [
        "/",
        "/etc",
        "/root",
        "/proc",
        "/dev",
        "/run",
        "/usr",
        "/home/alice",
        "/etc/../root",
    ] {
        let said = BOB.kapsule([
            "create",
            "t-s02b",
            "--image",
            "local:debian",
            "--custom-mounts",
            folder,
        ]);
        said.failed();
    }
}

/// In the guest, what a careless host would run is a program that says where it ran.
#[test]
fn s05_no_program_of_a_guest_runs_outside_of_it() {
    let Some(_host) = shared() else { return };
    let container = Container::create(ALICE, "t-s05", &[]);
    let root = |script: &str| {
        ROOT.command([
            "incus",
            "exec",
            "--project",
            "kapsule-1000",
            container.name,
            "--",
            "sh",
        ])
        .stdin(script)
        .run()
    };
    // One program for all names.
    root("cp /bin/sh /bin/sh.real; cp /bin/readlink /bin/readlink.real; cat > /usr/local/t-trap <<'END'
#!/bin/sh.real
echo \"$0 $(/bin/readlink.real /proc/self/ns/pid) $(/bin/readlink.real /proc/self/ns/user)\" >> /var/tmp/t-ran
exit 1
END
        chmod 755 /usr/local/t-trap; touch /var/tmp/t-ran; chmod 666 /var/tmp/t-ran")
    .ok();
    root("for p in mount umount mountpoint touch mkdir chown rm useradd groupadd usermod setcap nsenter systemctl id getent; do
            for d in /bin /sbin /usr/bin /usr/sbin /usr/local/bin; do
                if test -e $d/$p || test $d = /usr/local/bin; then ln -sf /usr/local/t-trap $d/$p; fi
            done
        done")
    .ok();
    // Everything that the daemon does with a container that runs.
    drop(ALICE.enter(container.name, ["true"]));
    drop(ALICE.kapsule(["info", container.name]));
    drop(ALICE.operate(
        "SetupUser",
        &[
            "suuss",
            container.name,
            "1000",
            "1000",
            "alice",
            "/home/alice",
        ],
    ));
    drop(ALICE.kapsule(["restart", "--force", container.name]));
    drop(ALICE.enter(container.name, ["true"]));
    drop(ALICE.kapsule(["stop", "--force", container.name]));
    drop(ALICE.kapsule(["start", container.name]));
    let read = ROOT.run([
        "incus",
        "file",
        "pull",
        "--project",
        "kapsule-1000",
        &format!("{}/var/tmp/t-ran", container.name),
        "-",
    ]);
    let ran = read.ok();
    for kind in ["pid", "user"] {
        let host = ROOT.run(["readlink", &format!("/proc/1/ns/{kind}")]).ok();
        assert!(
            !ran.contains(&host),
            "with the host's {kind} namespace {host}: {ran}"
        );
    }
}

#[test]
fn s06_variables_are_no_paths_to_root() {
    let Some(_host) = shared() else { return };
    let container = Container::create(ALICE, "t-s06", &[]);
    let listing =
        "find / -xdev -name 't-s06*' 2>/dev/null; ls -la /etc | grep -c t-s06; ls -ld /etc/passwd";
    let before = (
        container.sh(&format!("sudo sh -c \"{listing}\"")),
        ROOT.sh(listing).text(),
    );
    let script = format!(
        "export WAYLAND_DISPLAY=../../../etc/t-s06 XDG_RUNTIME_DIR=/run/user/1000/../../../etc PULSE_SERVER=unix:/etc/t-s06 \
           DISPLAY=:../../etc/t-s06 XAUTHORITY=/etc/t-s06 DBUS_SYSTEM_BUS_ADDRESS=unix:path=/run/dbus/system_bus_socket
        mkdir -p /run/user/1000/t-s06 && ln -sfn /etc /run/user/1000/t-s06/pulse
        kapsule enter {0} -- true </dev/null; kapsule restart --force {0} </dev/null; kapsule enter {0} -- true </dev/null
        rm -r /run/user/1000/t-s06",
        container.name
    );
    drop(ALICE.sh(&script));
    let after = (
        container.sh(&format!("sudo sh -c \"{listing}\"")),
        ROOT.sh(listing).text(),
    );
    assert_eq!(after, before);
}
