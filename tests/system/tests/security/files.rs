// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Users' files that the service gets to see: configuration and images.

use std::time::{Duration, Instant};

use kapsule_system_tests::container::aliases;
use kapsule_system_tests::host::{ALICE, BOB, ROOT, alone};

use super::{daemon_pid, daemon_status, forget_peak};

const CONFIG: &str = "/home/bob/.config/kapsule/kapsule.conf";

/// Long enough for a machine under load, and less than what is waited for a thing that hangs.
const SOON: Duration = Duration::from_secs(30);

#[test]
fn s10_a_users_configuration_is_read_as_the_user() {
    let Some(_host) = alone() else { return };
    let process = daemon_pid();
    ROOT.sh("install -m 600 /dev/null /root/t-s10; echo '[kapsule]\ndefault_container = t-secret' > /root/t-s10; install -m 644 /root/t-s10 /srv/t-s10; chmod 600 /srv/t-s10").ok();
    forget_peak();
    let memory = daemon_status("VmRSS");
    for make in [
        "ln -s /etc/shadow %",
        "ln -s /srv/t-s10 %",
        "ln -s /root/t-s10 %",
        "mkfifo %",
        "mkdir %",
        "ln -s % %",
        "ln -s /dev/zero %",
        "ln -s /dev/tty %",
        "ln -s /proc/self/mem %",
        "head -c 200000000 /dev/zero > %",
        "truncate -s 100G %",
        "yes '[kapsule]' | head -c 1000000 > %",
        "head -c 60000 /dev/urandom > %",
        "perl -MSocket -e 'socket(S, PF_UNIX, SOCK_STREAM, 0); bind(S, sockaddr_un(\"%\"))'",
    ] {
        let make = make.replace('%', CONFIG);
        BOB.sh(&format!(
            "mkdir -p $(dirname {CONFIG}); rm -rf {CONFIG}; {make}"
        ))
        .ok();
        let began = Instant::now();
        let said = BOB.answer("GetConfig", &[], "a{ss}").to_string();
        assert!(began.elapsed() < SOON, "{make}: {:?}", began.elapsed());
        assert!(
            !said.contains("t-secret") && !said.contains("root:"),
            "{make}: {said}"
        );
        ALICE.kapsule(["list"]).ok();
    }
    BOB.sh(&format!("rm -rf {CONFIG}")).ok();
    ROOT.sh("rm -f /root/t-s10 /srv/t-s10").ok();
    assert_eq!(daemon_pid(), process);
    assert!(
        daemon_status("VmHWM") < memory + 32 * 1024,
        "it read what nobody wants to read"
    );
}

/// A home on a file system that does not answer any more: a FUSE server that is stopped.
#[test]
fn s10_a_home_that_hangs_is_its_owners_trouble() {
    let Some(host) = alone() else { return };
    BOB.sh("mkdir -p ~/.config/kapsule").ok();
    // By root, as the administrator's network homes are: what a user mounts, others do not even see.
    ROOT.sh(
        "mkdir -p /srv/t-fuse && chown bob: /srv/t-fuse && \
         systemd-run --quiet --collect --unit=t-fuse bindfs -f /srv/t-fuse /home/bob/.config/kapsule",
    )
    .ok();
    host.wait_until("it is mounted", || {
        ROOT.sh("mountpoint -q /home/bob/.config/kapsule").status == 0
    });
    ROOT.sh("systemctl kill --signal=STOP t-fuse").ok();
    let began = Instant::now();
    let answered = BOB.call("GetConfig", &[]);
    assert!(began.elapsed() < SOON, "{answered}");
    for _ in 0..20 {
        drop(BOB.call("GetConfig", &[]));
    }
    let began = Instant::now();
    ALICE.kapsule(["list"]).ok();
    assert!(began.elapsed() < SOON);
    ROOT.sh(
        "systemctl kill --signal=KILL t-fuse; umount -l /home/bob/.config/kapsule; rm -rf /srv/t-fuse",
    )
    .ok();
    host.wait_until("bob's configuration is read again", || {
        BOB.answer("GetConfig", &[], "a{ss}")
            .to_string()
            .contains("default_image")
    });
}

#[test]
fn s10_an_image_is_opened_as_the_user() {
    // Alone: its memory is compared.
    let Some(_host) = alone() else { return };
    forget_peak();
    let (process, memory) = (daemon_pid(), daemon_status("VmRSS"));
    let folder = "/home/bob/t-image";
    for make in [
        "ln -s /etc/shadow F/incus.tar.xz; ln -s /etc/shadow F/rootfs.squashfs",
        "mkfifo F/incus.tar.xz F/rootfs.squashfs",
        "ln -s /dev/zero F/incus.tar.xz; ln -s /dev/zero F/rootfs.squashfs",
        "mkdir F/incus.tar.xz F/rootfs.squashfs",
        "echo x > F/incus.tar.xz; ln -s F/rootfs.squashfs F/rootfs.squashfs",
        "echo x > F/incus.tar.xz; echo x > F/rootfs.squashfs",
        "echo x > F/incus.tar.xz; truncate -s 60G F/rootfs.squashfs",
    ] {
        let make = make.replace('F', folder);
        BOB.sh(&format!("rm -rf {folder}; mkdir {folder}; {make}"))
            .ok();
        let ended = BOB.operate("ImportImage", &["ss", folder, "t-bad"]);
        assert_eq!(ended.status, "failed", "{make}");
        assert!(!ended.error.contains("root:"), "{make}: {}", ended.error);
    }
    BOB.sh(&format!("rm -rf {folder}")).ok();
    for path in ["/root", "relative", "", "/etc/../root", "/proc/self"] {
        assert_eq!(
            BOB.operate("ImportImage", &["ss", path, "t-bad"]).status,
            "failed",
            "{path}"
        );
    }
    assert!(!aliases(BOB).contains(&"t-bad".to_owned()));
    assert_eq!(daemon_pid(), process);
    assert!(daemon_status("VmHWM") < memory + 32 * 1024);
}

#[test]
fn s12_images_come_over_https_only() {
    let Some(_host) = alone() else { return };
    let file = "/etc/kapsule/kapsule.conf.d/t-s12.conf";
    ROOT.sh(&format!(
        "mkdir -p $(dirname {file}); printf '[servers]\\nplain = http://example.org/images\\nlocalish = http://127.0.0.1:80@example.org/\\nfile = file:///etc\\n' > {file}"
    ))
    .ok();
    for server in [
        "plain",
        "localish",
        "file",
        "http://example.org/images",
        "nope",
    ] {
        let said = BOB
            .kapsule(["create", "t-s12", "--image", &format!("{server}:debian")])
            .failed();
        assert!(
            said.contains("Unknown server")
                || said.contains("not an image")
                || said.contains("image"),
            "{said}"
        );
        assert!(!said.contains("download"), "{server}: it was tried: {said}");
    }
    ROOT.sh(&format!("rm {file}")).ok();
    // A user adds no server.
    BOB.sh("mkdir -p ~/.config/kapsule; printf '[servers]\\nmine = https://example.org/images\\n' > ~/.config/kapsule/kapsule.conf").ok();
    let said = BOB
        .kapsule(["create", "t-s12", "--image", "mine:debian"])
        .failed();
    assert!(said.contains("Unknown server"), "{said}");
    BOB.sh("rm ~/.config/kapsule/kapsule.conf").ok();
}
