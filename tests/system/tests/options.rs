// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The options of a new container.

use kapsule_system_tests::container::{Container, common};
use kapsule_system_tests::host::{ALICE, ROOT, shared};

#[test]
fn without_the_home() {
    let Some(_host) = shared() else { return };
    ALICE.sh("touch ~/t-outside").ok();
    let container = Container::create(ALICE, "t-homeless", &["--no-mount-home"]);
    assert_eq!(container.sh("test -e ~/t-outside || echo hidden"), "hidden");
    // There is a home all the same, of one's own, and with what new homes begin with.
    assert_eq!(
        container.sh("stat -c '%U %F' $HOME; echo $HOME; echo x > ~/t-inside; cat ~/t-inside"),
        "alice directory\n/home/alice\nx"
    );
    ALICE.run(["test", "-e", "/home/alice/t-inside"]).ended(1);
    assert_eq!(container.info()["options"]["mount_home"], false);
    ALICE.sh("rm ~/t-outside").ok();
}

#[test]
fn more_folders() {
    let Some(_host) = shared() else { return };
    ROOT.sh("install -d -o alice -g alice /srv/t-data '/srv/t-with blank'; echo shared > /srv/t-data/file; mkdir -p /srv/t-data/sub; ln -sfn /srv/t-data /srv/t-link").ok();
    ALICE
        .sh("mkdir -p ~/t-src; echo source > ~/t-src/file")
        .ok();
    let container = Container::create(
        ALICE,
        "t-folders",
        &[
            "--no-mount-home",
            "--custom-mounts",
            "/srv/t-data",
            "--custom-mounts",
            "/srv/t-with blank",
            "--custom-mounts",
            "~/t-src",
        ],
    );
    assert_eq!(
        container.sh("cat /srv/t-data/file ~/t-src/file"),
        "shared\nsource"
    );
    container.sh("echo inside > /srv/t-data/new; touch '/srv/t-with blank/x'; touch ~/t-src/new");
    assert_eq!(
        ALICE
            .sh("cat /srv/t-data/new; stat -c %U /srv/t-data/new ~/t-src/new '/srv/t-with blank/x'")
            .ok(),
        "inside\nalice\nalice\nalice"
    );
    let info = container.info();
    let sources: Vec<_> = info["mounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mount| mount["path"].clone())
        .collect();
    for path in ["/srv/t-data", "/srv/t-with blank", "/home/alice/t-src"] {
        assert!(
            sources.iter().any(|source| source == path),
            "{path}: {info}"
        );
    }
    drop(container);
    // They were shared, not given away.
    ALICE.sh("cat /srv/t-data/file ~/t-src/file").ok();
    ROOT.sh("rm -r /srv/t-data '/srv/t-with blank' /srv/t-link /home/alice/t-src")
        .ok();
}

#[test]
fn without_the_hosts_files() {
    let Some(_host) = shared() else { return };
    common().sh("test -e /.kapsule/host/etc/os-release");
    let container = Container::create(ALICE, "t-apart", &["--no-host-rootfs"]);
    assert_eq!(
        container.sh("test -e /.kapsule/host/etc || echo hidden"),
        "hidden"
    );
    assert_eq!(
        container.sh("sudo find /.kapsule/host -xdev -type f | head -n 1"),
        ""
    );
    assert_eq!(container.sh("id -un; cd ~ && pwd"), "alice\n/home/alice");
    assert_eq!(container.info()["options"]["host_rootfs"], false);
}

#[test]
fn a_graphics_card_where_there_is_none() {
    let Some(_host) = shared() else { return };
    for (name, flag) in [("t-gpu", "--gpu"), ("t-no-gpu", "--no-gpu")] {
        let container = Container::create(ALICE, name, &[flag]);
        assert_eq!(container.sh("id -un"), "alice");
        assert_eq!(container.info()["options"]["gpu"], flag == "--gpu");
        // Also after the next start, when devices are looked for again.
        ALICE.kapsule(["restart", "--force", name]).ok();
        assert_eq!(container.sh("id -un"), "alice");
    }
}
