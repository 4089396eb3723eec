// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The user logs out and in again, and the container goes on all the while.

use kapsule_system_tests::container::{Container, common};
use kapsule_system_tests::host::{ALICE, Host, ROOT, alone};

use super::display::{assert_drawn_on_wayland, assert_drawn_on_x, x_server};
use super::portal::{Desktop, assert_answers};
use super::sound::PARTS;
use super::{hosts, inside, server};

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

/// What of a new session a container that knew another one has: display, portal, buses, sound, file systems,
/// and its ports.
fn assert_part_of_the_session(host: &Host, container: &Container, mux: &Container) {
    let desktop = Desktop::start(host);
    assert_drawn_on_wayland(host, &desktop.display, container, &desktop.display);
    for container in [container, mux] {
        assert_answers(container);
    }
    desktop.assert_shared(host, container);
    drop(desktop);

    let x = x_server(host, 77);
    let session = "export DISPLAY=:77 XAUTHORITY=$HOME/t-cookie-77;";
    assert_drawn_on_x(host, 77, container, &hosts("xlogo"), session);
    drop(x);

    let sound = format!("{PARTS} {} info 0", hosts("pw-cli"));
    host.wait_until("PipeWire answers", || {
        inside(container, "", &sound)
            .text()
            .contains("PipeWire:Interface:Core")
    });

    ALICE
        .sh(
            "mkdir -p ~/t-shown $XDG_RUNTIME_DIR/t-fuse && echo shown > ~/t-shown/word && \
             systemd-run --user --quiet --collect \
                 bindfs -f --no-allow-other ~/t-shown $XDG_RUNTIME_DIR/t-fuse",
        )
        .ok();
    host.wait_until("what is mounted in the runtime directory is seen", || {
        container.sh("cat /.kapsule/host/run/user/1000/t-fuse/word 2>/dev/null; true") == "shown"
    });
    ALICE
        .sh("fusermount3 -u $XDG_RUNTIME_DIR/t-fuse && rmdir $XDG_RUNTIME_DIR/t-fuse")
        .ok();

    host.wait_until("its port is on localhost", || {
        ALICE
            .sh("curl --silent --max-time 20 http://127.0.0.1:18077/word")
            .text()
            .trim()
            == "shown"
    });
    ALICE.sh("rm -rf ~/t-cookie-77").ok();
}

#[test]
fn all_of_the_session_is_there_after_a_login_anew() {
    let Some(host) = alone() else { return };
    let container = Container::create(ALICE, "t-again", &[]);
    let mux = Container::create(ALICE, "t-again-mux", &["--dbus-mux"]);
    host.wait_until("sessions get the bus of two", || {
        mux.sh("echo $DBUS_SESSION_BUS_ADDRESS") == "unix:path=/run/user/1000/kapsule-bus"
    });
    container.sh(
        "mkdir -p ~/t-shown && systemd-run --user --quiet --collect --unit=t-web \
         busybox httpd -f -p 127.0.0.1:18077 -h ~/t-shown",
    );
    let began = container.sh("stat -c %Z /proc/1");
    assert_part_of_the_session(&host, &container, &mux);
    drop(LoggedOut::now(&host));
    assert_part_of_the_session(&host, &container, &mux);
    assert_eq!(
        container.sh("stat -c %Z /proc/1"),
        began,
        "it was started anew"
    );
    ALICE.sh("rm -rf ~/t-shown").ok();
}
