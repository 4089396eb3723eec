// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Keys stay in the agents of the host, and programs inside sign with them.

use kapsule_system_tests::container::{Container, common};
use kapsule_system_tests::host::{ALICE, alone, shared};

use super::{hosts, inside, server};

#[test]
fn ssh_keys() {
    let Some(host) = shared() else { return };
    let container = common();
    ALICE
        .sh("rm -rf ~/t-key ~/t-key.pub; ssh-keygen -q -t ed25519 -N '' -C t-comment -f ~/t-key")
        .ok();
    // Where units have it, and where `ssh-agent` puts it without one.
    for socket in ["$XDG_RUNTIME_DIR/ssh-agent.t", "/tmp/t-ssh/agent.1"] {
        let _agent = server(&format!(
            "rm -f {socket}; mkdir -p -m 700 /tmp/t-ssh; exec ssh-agent -D -a {socket}"
        ));
        host.wait_until("the agent listens", || {
            ALICE.sh(&format!("test -S {socket}")).status == 0
        });
        ALICE
            .sh(&format!("SSH_AUTH_SOCK={socket} ssh-add -q ~/t-key"))
            .ok();
        let session = format!("export SSH_AUTH_SOCK={socket};");
        let listed = inside(container, &session, "ssh-add -l").ok();
        assert!(listed.contains("t-comment"), "{socket}: {listed}");
        // And it signs.
        let sign = "rm -f ~/t-text*; echo text > ~/t-text && ssh-keygen -q -Y sign -n t -f ~/t-key.pub ~/t-text && \
                    ssh-keygen -Y check-novalidate -n t -s ~/t-text.sig < ~/t-text";
        ALICE.sh("mv ~/t-key ~/t-key.away").ok();
        let signed = inside(container, &session, sign).ok();
        ALICE.sh("mv ~/t-key.away ~/t-key").ok();
        assert!(signed.contains("Good \"t\" signature"), "{signed}");
    }
    ALICE
        .sh("rm -rf ~/t-key* ~/t-text* /tmp/t-ssh $XDG_RUNTIME_DIR/ssh-agent.t")
        .ok();
}

#[test]
fn gpg_signs() {
    let Some(host) = shared() else { return };
    let container = common();
    ALICE
        .sh("gpgconf --kill all; rm -rf ~/.gnupg; \
             gpg --batch --quiet --passphrase '' --quick-generate-key t@example.org ed25519 sign never")
        .ok();
    host.wait_until("the agent is seen inside", || {
        container.sh("test -S $XDG_RUNTIME_DIR/gnupg/S.gpg-agent && echo there; true") == "there"
    });
    // The container has an agent of its own installed; it is the host's that answers.
    let who = "gpg-connect-agent --no-autostart 'getinfo pid' /bye";
    assert_eq!(container.sh(who), ALICE.sh(who).ok());
    let script = "echo text | gpg --batch --no-autostart --clearsign > ~/t-signed && \
                  gpg --batch --no-autostart --verify ~/t-signed 2>&1";
    let verified = inside(container, "", script).ok();
    assert!(
        verified.contains("Good signature from \"t@example.org\""),
        "{verified}"
    );
    ALICE
        .sh("gpgconf --kill all; rm -rf ~/.gnupg ~/t-signed")
        .ok();
}

/// A keyring of alice's session, unlocked as at a login.
struct Keyring;

impl Keyring {
    fn unlock() -> Self {
        Self::end();
        ALICE
            .sh("printf password > ~/t-password && \
                 systemd-run --user --quiet --collect --unit t-keyring -p StandardInput=file:$HOME/t-password \
                     gnome-keyring-daemon --foreground --unlock --components=secrets,pkcs11")
            .ok();
        Self
    }

    fn end() {
        // The last one is what the bus has started because somebody asked for it.
        drop(ALICE.sh(
            "systemctl --user stop t-keyring gnome-keyring-daemon.service gnome-keyring-daemon.socket
             call='busctl --user call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus'
             pid=$($call GetConnectionUnixProcessID s org.freedesktop.secrets) && kill ${pid#u }
             rm -rf ~/.local/share/keyrings ~/t-password $XDG_RUNTIME_DIR/keyring
             systemctl --user start gnome-keyring-daemon.socket",
        ));
    }
}

impl Drop for Keyring {
    fn drop(&mut self) {
        Self::end();
    }
}

#[test]
fn secrets_are_those_of_the_hosts_keyring() {
    let Some(host) = alone() else { return };
    let container = common();
    let _keyring = Keyring::unlock();
    let tool = hosts("secret-tool");
    // Spaces at the ends: a secret is what it is.
    let store = "printf ' of the host ' | secret-tool store --label=t-label t-where host";
    host.wait_until("the keyring takes a secret", || ALICE.sh(store).status == 0);
    let lookup = format!("{tool} lookup t-where host");
    assert_eq!(inside(container, "", &lookup).ok(), " of the host ");
    let store = format!("printf 'from inside' | {tool} store --label=t-label t-where inside");
    inside(container, "", &store).ok();
    let found = ALICE.run(["secret-tool", "lookup", "t-where", "inside"]);
    assert_eq!(found.ok(), "from inside");
    inside(container, "", &format!("{tool} clear t-where inside")).ok();
    let found = ALICE.run(["secret-tool", "lookup", "t-where", "inside"]);
    assert_eq!(found.text(), "", "{found}");

    // What speaks to it directly finds its sockets.
    for socket in ["control", "pkcs11"] {
        let line = format!("test -S $XDG_RUNTIME_DIR/keyring/{socket} && echo there; true");
        host.wait_until(socket, || container.sh(&line) == "there");
    }
    // Without the bus of the session there are no secrets.
    let own = Container::create(ALICE, "t-no-secrets", &["--no-session-bus"]);
    let refused = inside(&own, "", &lookup);
    assert!(!refused.all().contains("of the host"), "{refused}");
    refused.failed();
}
