// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Images: importing, listing, deleting.

use kapsule_system_tests::container::{Container, IMAGE_FOLDER, aliases, common};
use kapsule_system_tests::host::{ALICE, BOB, Host, ROOT, alone, shared};

/// A folder with a small image without systemd, of alice's, and its deletion.
struct Small(&'static str);

impl Small {
    /// Makes the files of a split image and a unified tarball, both named after the folder.
    fn new(folder: &'static str) -> Self {
        let script = format!(
            "set -e; rm -rf ~/{folder}; mkdir -p ~/{folder}/root/bin ~/{folder}/split; cd ~/{folder}
            kapsule enter {} -- cp /bin/busybox root/bin/busybox
            for applet in sh id echo cat ls sleep init hostname mkdir; do ln -s busybox root/bin/$applet; done
            mkdir -p root/sbin root/etc root/proc root/sys root/dev root/tmp root/root root/home root/var root/run
            ln -s ../bin/busybox root/sbin/init
            echo root:x:0:0:root:/root:/bin/sh > root/etc/passwd; echo root:x:0: > root/etc/group; echo {folder} > root/etc/t-folder
            printf '::sysinit:/bin/echo up\\n::respawn:/bin/sleep 1000000\\n' > root/etc/inittab
            printf 'architecture: %s\\ncreation_date: 1\\nproperties:\\n  description: Small {folder}\\n  os: busybox\\n' $(uname -m) > metadata.yaml
            tar -cJf split/incus.tar.xz metadata.yaml
            mksquashfs root split/rootfs.squashfs -quiet -no-progress -all-root > /dev/null
            mv root rootfs; tar --owner=0 --group=0 -czf unified.tar.gz metadata.yaml rootfs",
            common().name
        );
        ALICE.sh(&script).ok();
        Self(folder)
    }

    fn path(&self, file: &str) -> String {
        format!("/home/alice/{}/{file}", self.0)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        drop(ROOT.run(["rm", "-rf", &self.path("")]));
        for alias in aliases(ROOT)
            .into_iter()
            .filter(|alias| alias.starts_with(self.0))
        {
            drop(ROOT.kapsule(["image", "delete", &alias]));
        }
    }
}

#[test]
fn a_users_image_is_the_users() {
    let Some(_host) = shared() else { return };
    let small = Small::new("t-small");
    let import = ALICE.kapsule([
        "image",
        "import",
        &small.path("split"),
        "--alias",
        "t-small",
    ]);
    assert_eq!(import.ok(), "");
    let list = ALICE.kapsule(["image", "list"]).ok();
    assert!(
        list.lines()
            .any(|line| line.contains("t-small") && line.contains("Small t-small")),
        "{list}"
    );
    let json = ALICE.kapsule(["image", "list", "--json"]).json();
    let image = json
        .as_array()
        .unwrap()
        .iter()
        .find(|image| image["aliases"][0]["name"] == "t-small")
        .unwrap();
    assert_eq!(image["properties"]["os"], "busybox");

    // Bob neither sees it nor makes anything of it nor takes its name.
    assert!(!aliases(BOB).contains(&"t-small".to_owned()));
    BOB.kapsule(["create", "t-bad", "--image", "local:t-small"])
        .failed();
    let delete = BOB.kapsule(["image", "delete", "t-small"]).failed();
    assert_eq!(
        delete.replace("t-small", "t-nobody"),
        BOB.kapsule(["image", "delete", "t-nobody"]).failed()
    );

    // The same again, and another one under the same name.
    ALICE
        .kapsule([
            "image",
            "import",
            &small.path("split"),
            "--alias",
            "t-small",
        ])
        .ok();
    let before = image["fingerprint"].clone();
    ALICE
        .kapsule([
            "image",
            "import",
            &small.path("unified.tar.gz"),
            "--alias",
            "t-small",
        ])
        .ok();
    let json = ALICE.kapsule(["image", "list", "--json"]).json();
    let images = json.as_array().unwrap();
    assert!(
        !images.iter().any(|image| image["fingerprint"] == before),
        "the replaced one stays: {json}"
    );

    ALICE.kapsule(["image", "delete", "t-small"]).ok();
    assert!(!aliases(ALICE).contains(&"t-small".to_owned()));
}

#[test]
fn an_image_without_systemd() {
    let Some(_host) = shared() else { return };
    let small = Small::new("t-plain");
    ALICE
        .kapsule([
            "image",
            "import",
            &small.path("unified.tar.gz"),
            "--alias",
            "t-plain",
        ])
        .ok();
    let container = Container::create(ALICE, "t-plain", &["--image", "local:t-plain"]);
    assert_eq!(
        container.sh("id -u; id -un; echo $HOME; cat /etc/t-folder; hostname"),
        "1000\nalice\n/home/alice\nt-plain\nt-plain"
    );
    assert_eq!(container.info()["agent"], "plain");
    ALICE.enter(container.name, ["sh", "-c", "exit 7"]).ended(7);
    // What it was made from may go.
    ALICE.kapsule(["image", "delete", "t-plain"]).ok();
    ALICE.kapsule(["restart", "--force", container.name]).ok();
    assert_eq!(container.sh("id -un"), "alice");
}

#[test]
fn a_folder_on_the_bus_is_read_with_the_callers_rights() {
    let Some(_host) = shared() else { return };
    let small = Small::new("t-folder");
    let import = |path: &str| ALICE.operate("ImportImage", &["ss", path, "t-folder"]);
    let imported = import(&small.path("split"));
    assert_eq!(imported.status, "completed", "{imported:?}");
    assert!(aliases(ALICE).contains(&"t-folder".to_owned()));
    // Bob may not read alice's home.
    let refused = BOB.operate("ImportImage", &["ss", &small.path("split"), "t-folder-bob"]);
    assert_eq!(refused.status, "failed");
    assert!(
        refused.error.to_lowercase().contains("denied"),
        "{}",
        refused.error
    );
    let taken = BOB.operate("ImportImage", &["ss", IMAGE_FOLDER, "t-folder"]);
    assert_eq!(taken.status, "failed");
    assert!(taken.error.contains("taken"), "{}", taken.error);
}

/// Nothing of these keeps anybody waiting, nor leaves anything.
fn refused(host: &Host, path: &str, why: &str) {
    host.unchanged(|| {
        let ended = ALICE.operate("ImportImage", &["ss", path, "t-bad"]);
        assert_eq!(ended.status, "failed", "{path}");
        assert!(
            ended.error.to_lowercase().contains(why),
            "{path}: {}",
            ended.error
        );
        ALICE
            .kapsule(["image", "import", path, "--alias", "t-bad"])
            .failed();
    });
}

#[test]
fn what_is_no_image_is_refused() {
    let Some(host) = alone() else { return };
    common();
    ROOT.sh("install -d -m 700 /srv/t-roots; cp /var/cache/kapsule-images/debian/incus.tar.xz /srv/t-roots").ok();
    ALICE
        .sh(
            "set -e; mkdir -p ~/t-bad; cd ~/t-bad; mkdir fifo both-fifo empty nonsense link device
        mkfifo fifo/rootfs.squashfs; cp /var/cache/kapsule-images/debian/incus.tar.xz fifo
        mkfifo both-fifo/incus.tar.xz both-fifo/rootfs.squashfs
        echo nonsense > nonsense/incus.tar.xz; echo nonsense > nonsense/rootfs.squashfs
        ln -s /etc/shadow link/incus.tar.xz; ln -s /etc/shadow link/rootfs.squashfs
        ln -s /dev/zero device/incus.tar.xz; ln -s /dev/zero device/rootfs.squashfs",
        )
        .ok();
    refused(&host, "/home/alice/t-bad/fifo", "regular file");
    refused(&host, "/home/alice/t-bad/both-fifo", "regular file");
    refused(&host, "/home/alice/t-bad/device", "regular file");
    refused(&host, "/home/alice/t-bad/empty", "no such file");
    refused(&host, "/home/alice/t-bad/link", "denied");
    refused(&host, "/home/alice/t-bad/nonsense", "");
    refused(&host, "/srv/t-roots", "denied");
    refused(&host, "/srv/t-missing", "no such file");
    host.unchanged(|| {
        let relative = ALICE.operate("ImportImage", &["ss", "t-bad/nonsense", "t-bad"]);
        assert_eq!(relative.status, "failed");
        for alias in ["", "a b", "../x", "-x", "x?y"] {
            let ended = ALICE.operate("ImportImage", &["ss", IMAGE_FOLDER, alias]);
            assert_eq!(ended.status, "failed", "{alias:?}");
            ALICE
                .kapsule(["image", "import", IMAGE_FOLDER, &format!("--alias={alias}")])
                .failed();
        }
        let image = ALICE.kapsule([
            "image",
            "import",
            "/home/alice/t-bad/fifo/rootfs.squashfs",
            "--alias",
            "t-bad",
        ]);
        assert!(image.failed().contains("regular file"), "{image}");
    });
    ROOT.sh("rm -r /srv/t-roots /home/alice/t-bad").ok();
}

#[test]
fn roots_image_stays() {
    let Some(_host) = shared() else { return };
    let refused = ALICE.kapsule(["image", "delete", "debian"]).failed();
    assert!(refused.contains("not yours"), "{refused}");
    let taken = ALICE
        .kapsule(["image", "import", IMAGE_FOLDER, "--alias", "debian"])
        .failed();
    assert!(taken.contains("taken"), "{taken}");
    assert!(aliases(BOB).contains(&"debian".to_owned()));
}

#[test]
fn refreshing_says_what_scripts_look_for() {
    let Some(_host) = shared() else { return };
    let all = ALICE.kapsule(["image", "refresh"]);
    all.ok();
    assert!(all.all().contains("Refreshing all cached images"), "{all}");
    assert!(
        all.all().contains("image(s) to refresh") || all.all().contains("no downloaded images"),
        "{all}"
    );
    let one = ALICE.kapsule(["image", "refresh", "images:t-nothing"]);
    assert!(
        one.failed().contains("Refreshing image: images:t-nothing"),
        "{one}"
    );
}
