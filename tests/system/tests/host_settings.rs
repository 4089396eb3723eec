// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Containers have the host's clock, language and trust, while they run and when they start.

use std::time::{Duration, Instant};

use kapsule_system_tests::container::{Container, provided};
use kapsule_system_tests::host::{ALICE, ROOT, alone};

/// Not a limit on how quick it is, but on how long a hang is watched.
const HANG: Duration = Duration::from_secs(30);

/// Puts the host's settings back as they were.
struct Before {
    zone: String,
}

impl Before {
    fn keep() -> Self {
        let zone = ROOT.sh("timedatectl show -P Timezone").ok();
        ROOT.sh("cp -a /etc/environment /tmp/t-environment 2>/dev/null; cp -a /etc/locale.conf /tmp/t-locale 2>/dev/null; true").ok();
        Self { zone }
    }
}

impl Drop for Before {
    fn drop(&mut self) {
        let back = format!(
            "timedatectl set-timezone {}; rm -f /etc/environment /etc/locale.conf /usr/local/share/ca-certificates/t-authority.crt; \
             mv /tmp/t-environment /etc/environment 2>/dev/null; mv /tmp/t-locale /etc/locale.conf 2>/dev/null; true",
            self.zone
        );
        drop(ROOT.sh(&back));
    }
}

fn wait_for(container: &Container, command: &str, expected: &str) {
    let began = Instant::now();
    loop {
        let said = container.sh(command);
        if said == expected {
            return;
        }
        assert!(
            began.elapsed() < HANG,
            "{command} in {}: {said:?}, not {expected:?}",
            container.name
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn the_clock_the_language_and_trust_follow() {
    let Some(_host) = alone() else { return };
    let _before = Before::keep();
    let debian = Container::create(ALICE, "t-follow", &["--image", &provided("debian")]);
    let small = Container::create(ALICE, "t-follow-small", &["--image", &provided("busybox")]);
    // Northern and southern winter, so that one of them is right whatever the season.
    for (zone, offsets) in [
        ("Europe/Berlin", ["+0100", "+0200"]),
        ("Asia/Tokyo", ["+0900"; 2]),
    ] {
        ROOT.run(["timedatectl", "set-timezone", zone]).ok();
        for container in [&debian, &small] {
            let now = ROOT.sh("date +%z").ok();
            assert!(offsets.contains(&now.as_str()), "{now}");
            wait_for(container, "date +%z", &now);
        }
    }
    assert_eq!(debian.sh("timedatectl show -P Timezone"), "Asia/Tokyo");

    ROOT.sh("printf 'LANG=C.UTF-8\\nLC_TIME=POSIX\\nLC_PAPER=xx_XX.UTF-8\\n' > /etc/locale.conf")
        .ok();
    wait_for(
        &debian,
        "cat /etc/locale.conf",
        "LANG=C.UTF-8\nLC_TIME=POSIX",
    );

    // A self-signed authority, made on the spot.
    ROOT.sh("mkdir -p /usr/local/share/ca-certificates && cd /tmp && \
             openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj '/CN=T Authority' \
             -keyout t-key.pem -out t-authority.crt 2>&1 && cp t-authority.crt /usr/local/share/ca-certificates/ && \
             rm t-key.pem").ok();
    let line = ROOT
        .sh("sed -n 2p /usr/local/share/ca-certificates/t-authority.crt")
        .ok();
    let known = format!("grep -cFx '{line}' /etc/ssl/certs/ca-certificates.crt; true");
    wait_for(&debian, &known, "1");

    // What changes while it is stopped is there when it starts, before its services are.
    ALICE.kapsule(["stop", debian.name]).ok();
    ROOT.run(["timedatectl", "set-timezone", "Europe/Berlin"])
        .ok();
    ROOT.sh("rm /usr/local/share/ca-certificates/t-authority.crt; echo 'https_proxy=http://proxy.invalid:3128' > /etc/environment").ok();
    assert_eq!(
        debian.sh("readlink /etc/localtime; systemctl show-environment | grep -i proxy"),
        "../usr/share/zoneinfo/Europe/Berlin\nhttps_proxy=http://proxy.invalid:3128"
    );
    wait_for(&debian, &known, "0");
}
