// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The host is shut down and booted.

use kapsule_system_tests::container::Container;
use kapsule_system_tests::host::{ALICE, ROOT, alone, say};

#[test]
fn containers_outlive_the_host() {
    let Some(host) = alone() else { return };
    if std::env::var_os("KAPSULE_TEST_NO_REBOOT").is_some() {
        say("skipped containers_outlive_the_host: KAPSULE_TEST_NO_REBOOT is set");
        return;
    }
    let running = Container::create(ALICE, "t-reboot", &[]);
    let stopped = Container::create(ALICE, "t-reboot-off", &[]);
    running.sh("echo kept | sudo tee /var/tmp/kept");
    ALICE.kapsule(["stop", stopped.name]).ok();
    host.reboot();
    assert_eq!(running.sh("id -un; cat /var/tmp/kept"), "alice\nkept");
    assert_eq!(stopped.status(), "Stopped");
    assert_eq!(stopped.sh("id -un; sudo id -u"), "alice\n0");
    assert_eq!(
        ROOT.run(["systemctl", "is-system-running", "--wait"]).ok(),
        "running"
    );
}
