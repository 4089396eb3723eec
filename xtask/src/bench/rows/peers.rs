// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Others who lead into containers: Podman and Distrobox, without root, from the same image. They are
//! installed in the host when they are measured, and take minutes to prepare.

use super::{As, Request, Setting, Subject};

const NAME: &str = "kapsule-bench-peer";
const BOX: &str = "kapsule-bench-box";

/// As root: packages (`rev`, which Distrobox needs, is in bsdextrautils), and the image as an archive.
const INSTALL: &str = "command -v podman distrobox rev >/dev/null || {
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
            --no-install-recommends podman crun uidmap distrobox bsdextrautils
    } >&2 && cd /var/tmp && rm -rf kapsule-bench.root &&
    unsquashfs -q -n -d kapsule-bench.root /var/cache/kapsule-images/debian/rootfs.squashfs >/dev/null &&
    tar -C kapsule-bench.root --exclude=./dev -cf kapsule-bench.tar . &&
    rm -rf kapsule-bench.root && chmod 644 kapsule-bench.tar";
/// As alice. Without a limit of processes, as build machines lack that controller.
const IMPORT: &str = "podman rm --force --time 0 kapsule-bench-peer >/dev/null 2>&1
    podman import --quiet /var/tmp/kapsule-bench.tar kapsule-bench >/dev/null &&
    podman run --detach --name kapsule-bench-peer --network=none --pids-limit=0 kapsule-bench \
        sleep infinity >/dev/null && podman exec kapsule-bench-peer true";
const MAKE_BOX: &str = "podman rm --force --time 0 kapsule-bench-box >/dev/null 2>&1
    distrobox create --yes --image localhost/kapsule-bench --name kapsule-bench-box \
        --additional-flags --pids-limit=0 >&2 </dev/null &&
    distrobox enter --no-tty kapsule-bench-box -- true >&2 </dev/null";
const REMOVE: &str = "command -v podman >/dev/null || exit 0
    podman rm --force --time 0 kapsule-bench-peer kapsule-bench-box; podman rmi --force kapsule-bench; :";

/// Which of them run.
#[derive(Debug, Default)]
pub(super) struct Peers {
    prepared: bool,
    podman: bool,
    distrobox: bool,
    /// Why the others do not.
    pub(super) missing: Vec<(String, String)>,
}

impl Setting {
    /// Makes them ready, once. One that cannot be had is not measured, and the table says why.
    pub(super) fn prepare_peers(&mut self) {
        if std::mem::replace(&mut self.peers.prepared, true) {
            return;
        }
        eprintln!("xtask: preparing Podman and Distrobox, which takes minutes");
        let podman = self
            .root
            .run(&["sh", "-c", INSTALL])
            .and_then(|_| self.alice.run(&["sh", "-c", IMPORT]));
        let distrobox = match &podman {
            Ok(_) => self.alice.run(&["sh", "-c", MAKE_BOX]),
            Err(error) => Err(anyhow::anyhow!("{error:#}")),
        };
        let _ = self.root.run(&["rm", "-f", "/var/tmp/kapsule-bench.tar"]);
        let peers = &mut self.peers;
        (peers.podman, peers.distrobox) = (podman.is_ok(), distrobox.is_ok());
        for (name, result) in [("podman exec", podman), ("distrobox enter", distrobox)] {
            if let Err(error) = result {
                let why = format!("{error:#}");
                let last = why.trim().lines().last().unwrap_or_default().to_owned();
                peers.missing.push((name.to_owned(), last));
            }
        }
    }

    /// A command in each.
    pub(super) fn entered_peers(&self, terminal: bool) -> Vec<Subject<'static>> {
        let mut subjects = Vec::new();
        let mut add = |name, argv: &[&str]| {
            subjects.push(Subject {
                name,
                by: As::Alice,
                request: Request::command(argv, terminal),
                undo: &[],
            });
        };
        let exec = ["podman", "exec", "--interactive", "--tty", NAME, "true"];
        match (self.peers.podman, terminal) {
            (true, true) => add("podman exec -it NAME true", &exec),
            (true, false) => add("podman exec NAME true", &["podman", "exec", NAME, "true"]),
            (false, _) => {}
        }
        let enter = ["distrobox", "enter", BOX, "--", "true"];
        let without = ["distrobox", "enter", "--no-tty", BOX, "--", "true"];
        match (self.peers.distrobox, terminal) {
            (true, true) => add("distrobox enter NAME -- true", &enter),
            (true, false) => add("distrobox enter -T NAME -- true", &without),
            (false, _) => {}
        }
        subjects
    }

    pub(super) fn remove_peers(&mut self) {
        if self.peers.prepared {
            let _ = self.alice.run(&["sh", "-c", REMOVE]);
        }
    }
}
