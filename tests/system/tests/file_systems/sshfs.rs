// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! A real sshfs of the user's, mounted on the host while a container runs: by hand, and where KDE mounts
//! its own. And what becomes of everything when its server is silent.

use kapsule_system_tests::container::Container;
use kapsule_system_tests::host::{ALICE, alone};

use super::sees;

/// The folder that the server has, in alice's home.
const SERVED: &str = "/home/alice/t-served";

/// sshfs on one side of two pipes and OpenSSH's server on the other, each a unit of alice's. Nothing is
/// cached, so that each look goes to the server.
struct Sshfs {
    place: &'static str,
}

impl Sshfs {
    fn mount(place: &'static str) -> Self {
        Self::end(place);
        let script = format!(
            "mkdir -p {SERVED}/folder {place} && echo served > {SERVED}/word &&
             mkfifo $XDG_RUNTIME_DIR/t-to-server $XDG_RUNTIME_DIR/t-from-server &&
             systemd-run --user --quiet --collect --unit t-sftp sh -c \\
                 'exec /usr/lib/openssh/sftp-server < %t/t-to-server > %t/t-from-server' &&
             systemd-run --user --quiet --collect --unit t-sshfs sh -c \\
                 'exec sshfs -f -o passive,dir_cache=no,attr_timeout=0,entry_timeout=0 :{SERVED} {place} \\
                      > %t/t-to-server < %t/t-from-server' &&
             until mountpoint -q {place}; do sleep 0.05; done"
        );
        ALICE.sh(&script.replace("%t", "$XDG_RUNTIME_DIR")).ok();
        Self { place }
    }

    fn unmount(&self) {
        ALICE.run(["fusermount3", "-u", self.place]).ok();
    }

    /// The server says nothing any more, as when the line is cut.
    fn silence() {
        ALICE.sh("systemctl --user kill -s STOP t-sftp").ok();
    }

    /// A command of somebody who stands in a folder there when the server falls silent.
    fn standing_there(&self, command: &str) -> kapsule_system_tests::process::Output {
        ALICE.sh(&format!(
            "systemctl --user kill -s CONT t-sftp && cd {}/folder && systemctl --user kill -s STOP t-sftp &&
             exec {command}",
            self.place
        ))
    }

    /// The program behind the file system ends, and whoever waits for it gets an error.
    fn kill() {
        ALICE.sh("systemctl --user kill -s KILL t-sshfs").ok();
    }

    fn end(place: &str) {
        drop(ALICE.sh(&format!(
            "systemctl --user kill -s CONT t-sftp; systemctl --user stop t-sshfs t-sftp
             systemctl --user reset-failed t-sshfs t-sftp
             fusermount3 -uz {place}; rmdir {place}
             rm -rf {SERVED} $XDG_RUNTIME_DIR/t-to-server $XDG_RUNTIME_DIR/t-from-server"
        )));
    }
}

impl Drop for Sshfs {
    fn drop(&mut self) {
        Self::end(self.place);
    }
}

#[test]
fn a_server_that_is_mounted_later_is_read_and_written() {
    let Some(host) = alone() else { return };
    let container = Container::create(ALICE, "t-sshfs", &[]);
    for (place, inside) in [
        ("/home/alice/t-ssh", "/home/alice/t-ssh"),
        // The path that KIO answers is one on the host, and has to be good inside.
        (
            "/run/user/1000/kio-fuse-tAbc12",
            "/run/user/1000/kio-fuse-tAbc12",
        ),
        ("/run/user/1000/t-ssh", "/.kapsule/host/run/user/1000/t-ssh"),
    ] {
        // It goes while the container runs, and comes again.
        for _ in 0..2 {
            let sshfs = Sshfs::mount(place);
            sees(&host, &container, inside, "served");
            container.sh(&format!(
                "seq 100000 > {inside}/folder/numbers && mv {inside}/folder/numbers {inside}/moved"
            ));
            let sum = |path: &str| format!("sha256sum < {path}/moved; stat -c %U {path}/moved");
            let there = ALICE.sh(&sum(SERVED)).ok();
            assert_eq!(container.sh(&sum(inside)), there, "{inside}");
            assert!(there.ends_with("alice"), "{there}");
            sshfs.unmount();
            sees(&host, &container, inside, "");
        }
    }
    let link = "readlink /run/user/1000/kio-fuse-tAbc12; true";
    host.wait_until("the link is gone", || container.sh(link).is_empty());
}

/// Whoever looks at a file system whose server is silent waits, and cannot even be killed. Nobody else does.
#[test]
fn a_silent_server_keeps_nobody_waiting_who_does_not_ask_it() {
    let Some(host) = alone() else { return };
    let container = Container::create(ALICE, "t-silent", &[]);
    let name = container.name;
    let place = "/home/alice/t-ssh";
    let sshfs = Sshfs::mount(place);
    sees(&host, &container, place, "served");

    // Also of those who stand there; and a session starts elsewhere, saying so.
    for command in ["list", "info", "info --json", "set --sound"] {
        let (command, rest) = command.split_once(' ').unwrap_or((command, ""));
        let argument = if command == "list" { "" } else { name };
        sshfs
            .standing_there(&format!("kapsule {command} {rest} {argument}"))
            .ok();
    }
    for at in ["", "--cwd .", "--cwd /home/alice/t-ssh/folder"] {
        let entered = sshfs.standing_there(&format!("kapsule enter {at} {name} -- pwd </dev/null"));
        assert_eq!(entered.ok(), "/home/alice", "{at:?}");
        let note = entered.errors();
        assert!(note.contains("t-ssh/folder' does not answer"), "{note}");
    }
    Sshfs::silence();
    assert_eq!(container.sh("pwd"), "/home/alice");
    for command in ["stop", "start", "restart"] {
        ALICE.kapsule([command, name]).ok();
    }
    assert_eq!(container.sh("pwd"), "/home/alice");

    // What waits for it inside is held by the kernel, and with it the container.
    let held = format!("cat {place}/word");
    let waiting = ALICE.command(["kapsule", "enter", name, "--", "sh", "-c", &held]);
    let _waiting = waiting.start();
    host.wait_until("it waits in the kernel", || {
        container.sh("cat /proc/[0-9]*/wchan 2>/dev/null | grep -c request_wait; true") != "0"
    });
    let stop = ALICE.kapsule(["stop", "--force", name]).failed();
    assert!(stop.contains("whose server is away"), "{stop}");
    ALICE.kapsule(["info", name]).ok();
    ALICE.kapsule(["list"]).ok();
    // As that text says.
    Sshfs::kill();
    host.wait_until("the container is stopped", || {
        container.status() == "Stopped"
    });
    // What it leaves behind is in nobody's way.
    ALICE.kapsule(["start", name]).ok();
    let dead = container.sh(&format!("ls {place} 2>&1; pwd"));
    assert!(dead.contains("not connected"), "{dead}");
    drop(sshfs);
    assert_eq!(
        container.sh(&format!("ls -d {place} 2>&1 | grep -c cannot; true")),
        "1"
    );
}
