// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The user logs out and in again, and the container goes on all the while.

use kapsule_system_tests::container::common;
use kapsule_system_tests::host::{ALICE, Host, ROOT, alone};

use super::{inside, server};

/// Ends everything of alice's on the host, and begins her session anew.
struct LoggedOut<'a>(&'a Host);

impl<'a> LoggedOut<'a> {
    fn now(host: &'a Host) -> Self {
        // Her manager lives as long as its user is wanted by something; here that is the boot.
        ROOT.sh("systemctl stop kapsule-desktop@alice.service user@1000.service user-runtime-dir@1000.service")
            .ok();
        host.wait_until("her runtime directory is gone", || {
            ROOT.run(["mountpoint", "-q", "/run/user/1000"]).status != 0
        });
        Self(host)
    }
}

impl Drop for LoggedOut<'_> {
    fn drop(&mut self) {
        drop(ROOT.sh("systemctl start user@1000.service kapsule-desktop@alice.service"));
        self.0.wait_until("she is there again", || {
            ROOT.run(["test", "-S", "/run/user/1000/kapsule-exec"])
                .status
                == 0
        });
    }
}

#[test]
fn a_login_anew_in_the_middle() {
    let Some(host) = alone() else { return };
    let container = common();
    ROOT.sh("rm -f /home/alice/t-relogin*").ok();
    ALICE
        .sh("ssh-keygen -q -t ed25519 -N '' -C t-comment -f ~/t-relogin")
        .ok();
    let with_key = || {
        let agent = server(
            "rm -f $XDG_RUNTIME_DIR/ssh-agent.t; exec ssh-agent -D -a $XDG_RUNTIME_DIR/ssh-agent.t",
        );
        host.wait_until("the agent listens", || {
            ALICE
                .sh("SSH_AUTH_SOCK=$XDG_RUNTIME_DIR/ssh-agent.t ssh-add -q ~/t-relogin")
                .status
                == 0
        });
        agent
    };
    let id = "dbus-send --session --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.GetId | tail -n 1";
    let session = "export SSH_AUTH_SOCK=$XDG_RUNTIME_DIR/ssh-agent.t;";
    let works = || {
        let listed = inside(container, session, "ssh-add -l").ok();
        assert!(listed.contains("t-comment"), "{listed}");
        assert_eq!(inside(container, session, id).ok(), ALICE.sh(id).ok());
    };
    let agent = with_key();
    host.wait_until("the link is there", || {
        container.sh("test -S $XDG_RUNTIME_DIR/ssh-agent.t && echo there; true") == "there"
    });
    works();
    // A program that goes on in the meantime, as one in tmux does: started by the guest's own manager.
    let waiting = "systemd-run --user --quiet --unit t-waiting --collect sh -c \
        'while :; do ls -d $XDG_RUNTIME_DIR/ssh-agent.t; sleep 0.2; done'";
    inside(container, session, waiting).ok();
    let began = container.sh("stat -c %Z /proc/1");

    let out = LoggedOut::now(&host);
    drop(agent);
    let root = |script: &str| {
        ROOT.sh(&format!(
            "incus exec --project kapsule-1000 t-common -- {script}"
        ))
    };
    host.wait_until("the link is gone inside", || {
        root("test -L /run/user/1000/ssh-agent.t").status != 0
    });
    drop(out);

    let _agent = with_key();
    host.wait_until("the link is there again", || {
        container.sh("test -S $XDG_RUNTIME_DIR/ssh-agent.t && echo there; true") == "there"
    });
    works();
    assert_eq!(
        container.sh("stat -c %Z /proc/1"),
        began,
        "it was started anew"
    );
    assert_eq!(
        container.sh("systemctl --user is-active t-waiting; systemctl --user stop t-waiting"),
        "active"
    );
    ROOT.sh("rm -f /home/alice/t-relogin*").ok();
}
