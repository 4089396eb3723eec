// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Privileged containers: who may make one, what it is for the host, and what it must leave alone.

use std::sync::{Mutex, PoisonError};

use kapsule_system_tests::bus::CONTAINERS;
use kapsule_system_tests::container::{Container, names, provided};
use kapsule_system_tests::host::{ALICE, BOB, ROOT, shared};
use kapsule_system_tests::process::Session;

/// Polkit has one set of rules for all tests.
static RULES: Mutex<()> = Mutex::new(());

/// A rule of polkit's with which the administrator agrees, and its end.
struct Consent(Session);

const RULE: &str = "/etc/polkit-1/rules.d/10-t-privileged.rules";

impl Consent {
    fn to(user: Session, name: &str) -> Self {
        let rule = format!(
            r#"polkit.addRule(function(action, subject) {{
                if (action.id == "org.kde.kapsule.create-privileged" && subject.user == "{name}")
                    return polkit.Result.YES;
            }});"#
        );
        ROOT.command(["tee", RULE]).stdin(rule).run().ok();
        // Polkit hears of it by itself, in a moment.
        let asks = "for i in $(seq 100); do
            pkcheck --process $$ --action-id org.kde.kapsule.create-privileged >/dev/null 2>&1 && exit 0
            sleep 0.1; done; exit 1";
        user.sh(asks).ok();
        Self(user)
    }

    fn create(&self, name: &'static str, more: &[&str]) -> Container {
        let args = [&["--isolation", "privileged"], more].concat();
        Container::create(self.0, name, &args)
    }
}

impl Drop for Consent {
    fn drop(&mut self) {
        drop(ROOT.run(["rm", "-f", RULE]));
    }
}

/// How the host's own network and file systems are set up.
fn host_itself() -> String {
    ROOT.sh("ip -4 -o addr show dev eth0; ip route show default; cat /etc/resolv.conf; hostname
        awk '$5 == \"/\" || $5 == \"/sys\" || $5 == \"/proc\" {print $5, $6, $NF}' /proc/self/mountinfo
        touch /root/t-writable && rm /root/t-writable")
        .ok()
}

#[test]
fn nobody_makes_one_without_the_administrator() {
    let Some(_host) = shared() else { return };
    let _rules = RULES.lock().unwrap_or_else(PoisonError::into_inner);
    for user in [ALICE, BOB] {
        let said = user
            .kapsule(["create", "t-no-privilege", "--isolation", "privileged"])
            .failed();
        assert!(said.contains("org.kde.kapsule.create-privileged"), "{said}");
        assert!(!names(user).contains(&"t-no-privilege".to_owned()));
        let ended = user.operate(
            "CreateContainer",
            &[
                "ssa{sv}",
                "t-no-privilege",
                "local:debian",
                "1",
                "isolation",
                "s",
                "privileged",
            ],
        );
        assert_eq!(ended.status, "failed", "{ended:?}");
        assert!(!names(user).contains(&"t-no-privilege".to_owned()));
    }
    // Nothing was taken from them by that.
    let image = provided("busybox");
    let container = Container::create(BOB, "t-no-privilege", &["--image", &image]);
    assert_eq!(container.info()["isolation"], "standard");
}

#[test]
fn with_consent_it_is_a_part_of_the_host() {
    let Some(_host) = shared() else { return };
    let _rules = RULES.lock().unwrap_or_else(PoisonError::into_inner);
    let before = host_itself();
    let consent = Consent::to(ALICE, "alice");
    let container = consent.create("t-privileged", &[]);
    let refused = BOB
        .kapsule(["create", "t-not-bob", "--isolation", "privileged"])
        .failed();
    assert!(refused.contains("create-privileged"), "{refused}");
    let others = [
        ("t-privileged-bb", "busybox"),
        ("t-privileged-sv", "debian-sysvinit"),
    ]
    .map(|(name, image)| consent.create(name, &["--image", &provided(image)]));
    let narrow = consent.create("t-privileged-no", &["--no-host-rootfs", "--no-mount-home"]);
    // Consent is for making; using what was made needs none.
    drop(consent);

    is_the_user(&container);
    has_the_hosts_network_and_devices(&container);
    root_is_root(&container);
    for other in others.iter().chain([&narrow]) {
        is_the_user(other);
        has_the_hosts_network_and_devices(other);
        assert_eq!(host_itself(), before, "{} changed the host", other.name);
    }
    assert_eq!(narrow.sh("ls /.kapsule/host"), "dev\nrun\ntmp");

    // Some remount everything when they stop.
    for each in others.iter().chain([&container]) {
        ALICE.kapsule(["restart", each.name]).ok();
        is_the_user(each);
        assert_eq!(host_itself(), before, "{} changed the host", each.name);
    }
    ROOT.sh("timeout 60 incus restart --force --project kapsule-1000 t-privileged </dev/null")
        .ok();
    is_the_user(&container);
    has_the_hosts_network_and_devices(&container);
    assert_eq!(host_itself(), before);
    // What would set up the network stays off, also if somebody wants it.
    container.sh("! sudo systemctl start systemd-networkd 2>/dev/null");

    let info = ALICE.kapsule(["info", container.name]).ok();
    for line in [
        "Isolation   privileged",
        "  shares the host's network",
        "  its root is the host's root",
        "  can use the host's devices",
    ] {
        assert!(info.contains(line), "{line} in\n{info}");
    }
}

fn is_the_user(container: &Container) {
    let name = container.name;
    assert_eq!(
        container
            .sh("id -un; id -u; echo $HOME; hostname; awk '{print $1, $2}' /proc/self/uid_map"),
        format!("alice\n1000\n/home/alice\n{name}\n0 0")
    );
    ALICE.enter(name, ["sh", "-c", "exit 7"]).ended(7);
    // Root's agent has root's number on the host here, and nobody else's session comes to it.
    let root = ["enter", name, "--user", "root", "--", "id", "-u"];
    assert_eq!(ALICE.kapsule(root).ok(), "0");
    assert_eq!(
        BOB.error_name(&format!("{CONTAINERS}.OpenSession"), &[name, "true"]),
        "org.kde.kapsule.Error.NotFound"
    );
}

fn has_the_hosts_network_and_devices(container: &Container) {
    let interfaces = "ls /sys/class/net | grep -v veth | sort";
    // Others come and go; these are always there.
    let inside = container.sh(interfaces);
    for own in ["lo", "eth0"] {
        assert!(inside.lines().any(|line| line == own), "{inside}");
    }
    let namespace = |pid: &str| ROOT.sh(&format!("readlink /proc/{pid}/ns/net")).ok();
    assert_eq!(
        container.sh("readlink /proc/self/ns/net"),
        namespace("1"),
        "{}",
        container.name
    );
    assert_eq!(
        container.sh("cat /etc/resolv.conf"),
        ROOT.sh("cat /etc/resolv.conf").ok()
    );
    let open = [
        "enter",
        container.name,
        "--user",
        "root",
        "--",
        "sh",
        "-c",
        "exec 3</dev/loop-control && echo open",
    ];
    assert_eq!(ALICE.kapsule(open).ok(), "open");
}

fn root_is_root(container: &Container) {
    container.sh("sudo touch /.kapsule/host/root/t-by-root");
    assert_eq!(ROOT.sh("stat -c %U /root/t-by-root").ok(), "root");
    ROOT.sh("rm /root/t-by-root").ok();
    // What the user could not read as such stays closed to them.
    container.sh("! cat /.kapsule/host/etc/shadow 2>/dev/null");
}

/// Without networks of their own: Docker would set up the host's firewall, on which other tests rely.
#[test]
fn containers_run_in_it() {
    let Some(_host) = shared() else { return };
    let _rules = RULES.lock().unwrap_or_else(PoisonError::into_inner);
    let consent = Consent::to(BOB, "bob");
    let container = consent.create("t-privileged-nest", &[]);
    drop(consent);
    let said = container.sh(
        "set -e; d=$(mktemp -d); trap 'rm -rf $d' EXIT; mkdir -p $d/r/bin
        cp /bin/busybox $d/r/bin/busybox; ln -s busybox $d/r/bin/echo; tar -C $d/r -cf $d/image.tar .
        for root in '' sudo; do
            $root podman import --quiet $d/image.tar t-nested >/dev/null
            $root podman run --rm --network host t-nested /bin/echo podman
        done
        echo '{\"iptables\": false, \"bridge\": \"none\"}' | sudo tee /etc/docker/daemon.json >/dev/null
        sudo docker import $d/image.tar t-nested >/dev/null
        sudo docker run --rm --network host t-nested /bin/echo docker
        podman rmi -f t-nested >/dev/null",
    );
    assert_eq!(said, "podman\npodman\ndocker");
}
