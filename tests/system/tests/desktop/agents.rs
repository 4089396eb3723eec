// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Keys stay in the agents of the host, and programs inside sign with them.

use kapsule_system_tests::container::common;
use kapsule_system_tests::host::{ALICE, shared};

use super::{inside, server};

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
