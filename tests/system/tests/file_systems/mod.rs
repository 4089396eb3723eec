// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! File systems that come on the host while a container runs are seen inside, at the same paths.

mod automount;
mod sshfs;

use kapsule_system_tests::container::Container;
use kapsule_system_tests::host::{ALICE, Held, Host, ROOT, alone};
use kapsule_system_tests::process::Session;

/// Takes away on the host what the test mounts and makes there.
struct Mounts;

impl Mounts {
    fn clean() {
        drop(ROOT.sh(
            "for place in /home/alice/t-fuse /run/user/1000/t-fuse /run/media/alice/t-stick \\
                 /media/alice/t-stick /mnt/t-share /mnt/t-medium; do
                 umount -l $place 2>/dev/null; rmdir $place 2>/dev/null
             done
             rmdir /run/media/alice /run/media /media/alice 2>/dev/null; rm -rf /home/alice/t-shown",
        ));
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        Self::clean();
    }
}

fn sees<T>(host: &Held<T>, container: &Container, path: &str, text: &str)
where
    Held<T>: std::ops::Deref<Target = Host>,
{
    let line = format!("cat {path}/word 2>/dev/null; true");
    let what = format!("{text:?} at {path}");
    host.wait_until(&what, || container.sh(&line) == text);
}

/// As sshfs and KIO do it: a file system in user space, of the user, for nobody else.
fn mount_in_user_space(place: &str) {
    let script = format!(
        "mkdir -p {place} && systemd-run --user --quiet --collect \
             bindfs -f --no-allow-other ~/t-shown {place} &&
         until mountpoint -q {place}; do sleep 0.05; done"
    );
    ALICE.sh(&script).ok();
    let other = |user: Session| user.sh(&format!("ls {place} 2>&1; true")).text();
    assert!(other(ROOT).contains("denied"), "{place} is for others, too");
}

#[test]
fn what_is_mounted_later_is_seen_at_its_path() {
    let Some(host) = alone() else { return };
    Mounts::clean();
    let _mounts = Mounts;
    let container = Container::create(ALICE, "t-mounted", &[]);
    ALICE
        .sh("mkdir ~/t-shown && echo shown > ~/t-shown/word")
        .ok();
    ROOT.sh("mkdir -p /run/media/alice /media/alice /mnt/t-share
         chown alice: /run/media/alice /media/alice /mnt/t-share")
        .ok();
    for (place, inside) in [
        ("/home/alice/t-fuse", "/home/alice/t-fuse"),
        (
            "/run/user/1000/t-fuse",
            "/.kapsule/host/run/user/1000/t-fuse",
        ),
        ("/run/media/alice/t-stick", "/run/media/alice/t-stick"),
        ("/media/alice/t-stick", "/media/alice/t-stick"),
        ("/mnt/t-share", "/mnt/t-share"),
    ] {
        mount_in_user_space(place);
        sees(&host, &container, inside, "shown");
        container.sh(&format!(
            "echo from inside > {inside}/written && rm {inside}/written"
        ));
        // The container's root is somebody else than the user who mounted it.
        let root = ALICE.kapsule([
            "enter",
            "--user",
            "root",
            container.name,
            "--",
            "ls",
            inside,
        ]);
        assert!(root.failed().contains("denied"), "{inside}");
        ALICE.run(["fusermount3", "-u", place]).ok();
        sees(&host, &container, inside, "");
    }

    // A medium that root mounts, in a folder that was not there before, and takes away with it.
    ROOT.sh(
        "mkdir /mnt/t-medium && mount -t tmpfs t-medium /mnt/t-medium && echo medium > /mnt/t-medium/word",
    )
    .ok();
    sees(&host, &container, "/mnt/t-medium", "medium");
    ROOT.sh("umount /mnt/t-medium && rmdir /mnt/t-medium").ok();
    host.wait_until("its link goes", || {
        container.sh("readlink /mnt/t-medium; true").is_empty()
    });
}

/// What Kapsule puts into a container is in the way of none of its packages.
#[test]
fn all_base_packages_of_the_guest_can_be_installed_anew() {
    let Some(_host) = alone() else { return };
    let container = Container::create(ALICE, "t-upgrade", &[]);
    let packages = "dpkg-query -Wf '${Package} ${Essential} ${Priority}\\n' |
        awk '$2 == \"yes\" || $3 == \"required\" || $3 == \"important\" {print $1}'";
    container.sh(&format!(
        "sudo apt-get update -qq >&2 &&
         sudo DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --reinstall -o Dpkg::Options::=--force-confnew \
            $({packages}) libc6 systemd dbus sudo tzdata locales ca-certificates >&2"
    ));
    let broken =
        container.sh("dpkg --audit; dpkg --list | grep -v '^ii' | grep '^[a-z][A-Z]'; true");
    assert_eq!(broken, "");
    let done = "grep -Ec ' upgrade (base-files|libc6|systemd|passwd):' /var/log/dpkg.log";
    assert_eq!(container.sh(done), "4");
    // As before, and after a restart, too.
    for _ in 0..2 {
        assert_eq!(
            container.sh("id -un; sudo id -un; ls -d ~"),
            "alice\nroot\n/home/alice"
        );
        ALICE.kapsule(["restart", container.name]).ok();
    }
}
