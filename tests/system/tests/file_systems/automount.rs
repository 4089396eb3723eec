// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Folders of the host that are mounted when somebody walks into them (autofs), by systemd's automounts as
//! they stand in many a `/etc/fstab`: it is enough that the somebody is in a container.

use kapsule_system_tests::container::Container;
use kapsule_system_tests::host::{ALICE, ROOT, alone, say};

use super::sees;

const SERVED: &str = "/srv/t-automounted";

/// An automount of systemd's, until this is dropped.
struct Automount {
    place: &'static str,
    unit: String,
}

impl Automount {
    /// With a folder of the host behind it, and gone again after this many seconds
    /// in which nobody used it.
    fn set(place: &'static str, what: &str, idle: u32) -> Self {
        let unit = ROOT.run(["systemd-escape", "--path", place]).ok();
        let set = Self { place, unit };
        set.unset();
        let (units, unit) = ("/run/systemd/system", &set.unit);
        let mount = format!("[Mount]\nWhat={what}\nWhere={place}\nType=none\nOptions=bind\n");
        let automount = format!("[Automount]\nWhere={place}\nTimeoutIdleSec={idle}\n");
        ROOT.sh(&format!(
            "printf %s '{mount}' > '{units}/{unit}.mount' &&
             printf %s '{automount}' > '{units}/{unit}.automount' &&
             systemctl daemon-reload && systemctl start '{unit}.automount'"
        ))
        .ok();
        set
    }

    fn is_mounted(&self) -> bool {
        let state = ROOT.run(["systemctl", "is-active", &format!("{}.mount", self.unit)]);
        state.text().trim() == "active"
    }

    fn unset(&self) {
        let unit = &self.unit;
        drop(ROOT.sh(&format!(
            "systemctl stop '{unit}.automount' '{unit}.mount'; umount -l {}; rmdir {}
             rm -f '/run/systemd/system/{unit}.mount' '/run/systemd/system/{unit}.automount'
             systemctl daemon-reload; systemctl reset-failed '{unit}.*'",
            self.place, self.place
        )));
    }
}

impl Drop for Automount {
    fn drop(&mut self) {
        self.unset();
    }
}

/// Below `/mnt`, which is linked inside, and below the home, which is shared.
const PLACES: [&str; 2] = ["/mnt/t-automounted", "/home/alice/t-automounted"];

#[test]
fn who_walks_into_an_automount_inside_has_it_mounted() {
    let Some(host) = alone() else { return };
    if ROOT.sh("grep -qw autofs /proc/filesystems").status != 0 {
        say("skipped: the kernel has no autofs");
        return;
    }
    ROOT.sh(&format!("mkdir -p {SERVED} && echo served > {SERVED}/word"))
        .ok();
    let container = Container::create(ALICE, "t-automount", &[]);
    let mounts = "grep t-automounted /proc/self/mountinfo | grep -vc ' autofs '; true";

    let set = PLACES.map(|place| Automount::set(place, SERVED, 3600));
    let linked = |name: &str| {
        !container
            .sh(&format!("readlink /mnt/{name}; true"))
            .is_empty()
    };
    host.wait_until("it has its link", || linked("t-automounted"));
    // Kapsule looks at that folder again, and walks into nothing.
    ROOT.run(["mkdir", "-p", "/mnt/t-other"]).ok();
    host.wait_until("the other has its link", || linked("t-other"));
    ROOT.run(["rmdir", "/mnt/t-other"]).ok();
    host.wait_until("and has none", || !linked("t-other"));
    for automount in &set {
        assert!(!automount.is_mounted(), "{}", automount.place);
        sees(&host, &container, automount.place, "served");
        assert!(automount.is_mounted(), "{}", automount.place);
    }
    // With the automount goes what it mounted, also from a container that started when it was mounted.
    ALICE.kapsule(["restart", container.name]).ok();
    for place in PLACES {
        sees(&host, &container, place, "served");
    }
    drop(set);
    for place in PLACES {
        sees(&host, &container, place, "");
    }
    assert_eq!(container.sh(mounts), "0");
    host.wait_until("the link is gone", || !linked("t-automounted"));

    // One that is given up when nobody uses it; also by a container that starts when it is there already.
    let set = PLACES.map(|place| Automount::set(place, SERVED, 1));
    for _ in 0..2 {
        for automount in &set {
            sees(&host, &container, automount.place, "served");
            host.wait_until("it is given up", || !automount.is_mounted());
        }
        assert_eq!(container.sh(mounts), "0");
        ALICE.kapsule(["restart", container.name]).ok();
    }
    drop(set);

    // What cannot be mounted (a file in the place of a folder) is an error, and nobody is kept waiting.
    let _set = Automount::set(PLACES[1], "/etc/passwd", 1);
    let fails = container.sh(&format!("ls {} 2>&1; echo $?", PLACES[1]));
    assert!(fails.ends_with('2'), "{fails}");
    ROOT.run(["rm", "-r", SERVED]).ok();
}
