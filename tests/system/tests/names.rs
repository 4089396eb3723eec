// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Containers know each other, and the host, by name; and what carries the host's traffic carries theirs.

use kapsule_system_tests::container::{Container, provided};
use kapsule_system_tests::host::{ALICE, BOB, ROOT, alone};

/// A program on the host that says so, on all of its addresses.
struct Greeter {
    unit: &'static str,
}

impl Greeter {
    fn start(unit: &'static str, listen: &str, word: &str) -> Self {
        let greeter = Self { unit };
        let flag = format!("--listen={listen}");
        let unit = format!("--unit={unit}");
        let line = [
            "systemd-run",
            "--quiet",
            "--collect",
            &unit,
            "systemd-socket-activate",
            &flag,
        ];
        ROOT.run([&line[..], &["--accept", "--inetd", "echo", word]].concat())
            .ok();
        greeter
    }
}

impl Drop for Greeter {
    fn drop(&mut self) {
        drop(ROOT.run(["systemctl", "stop", self.unit]));
    }
}

#[test]
fn of_containers_and_of_the_host() {
    let Some(host) = alone() else { return };
    let web = Container::create(ALICE, "t-names-web", &["--no-mount-home"]);
    let small = provided("busybox");
    let small = Container::create(
        ALICE,
        "t-names-small",
        &["--no-mount-home", "--image", &small],
    );
    let his = Container::create(BOB, "t-names-web", &["--no-mount-home"]);
    let address = |container: &Container| {
        let mut found = String::new();
        host.wait_until("it has an address", || {
            let addresses = container.info()["addresses"].clone();
            found = addresses[0].as_str().unwrap_or_default().to_owned();
            !found.is_empty()
        });
        found
    };
    let resolved = |from: &Container, name: &str| {
        from.sh(&format!(
            "getent ahostsv4 {name} 2>/dev/null | awk 'NR == 1 {{print $1}}'; true"
        ))
    };
    let hers = address(&web);
    // Alone, its own name is its own affair.
    let own = "t-names-web.alice.kapsule";
    host.wait_until(own, || resolved(&web, own) == hers);
    let smalls = address(&small);
    for name in ["t-names-small", "t-names-small.alice.kapsule"] {
        host.wait_until(name, || resolved(&web, name) == smalls);
    }
    let asked = "nslookup t-names-web.alice.kapsule | grep -q 'Address.*";
    host.wait_until("from a guest without systemd", || {
        small
            .owner
            .enter(small.name, ["sh", "-c", &format!("{asked}{hers}'")])
            .status
            == 0
    });
    // His is his.
    let other = address(&his);
    assert_ne!(hers, other);
    host.wait_until("his", || resolved(&his, "t-names-web.bob.kapsule") == other);
    assert_eq!(resolved(&his, "t-names-web.alice.kapsule"), "");

    // On the host, for whoever asks; also when one of those who answer has started anew.
    let on_host = |name: &str, address: &str| {
        host.wait_until(name, || {
            let found = BOB.run(["getent", "ahostsv4", name]).text();
            found.split_whitespace().next() == Some(address)
        });
    };
    on_host(own, &hers);
    on_host("t-names-web.bob.kapsule", &other);
    ROOT.run(["systemctl", "restart", "systemd-resolved.service"])
        .ok();
    on_host(own, &hers);
    ROOT.run([
        "systemctl",
        "stop",
        "systemd-resolved.service",
        "kapsule-daemon.service",
    ])
    .ok();
    ROOT.run([
        "systemctl",
        "start",
        "kapsule-daemon.service",
        "systemd-resolved.service",
    ])
    .ok();
    on_host("t-names-small.alice.kapsule", &smalls);

    // What listens on the host on more than its loopback.
    let _greeter = Greeter::start("t-names-greeter", "0.0.0.0:18201", "hello");
    for name in [
        "host.kapsule.internal",
        "host.containers.internal",
        "host.docker.internal",
    ] {
        let line = format!("bash -c 'cat < /dev/tcp/{name}/18201'");
        host.wait_until(name, || {
            web.owner.enter(web.name, ["sh", "-c", &line]).text().trim() == "hello"
        });
    }
}

/// WireGuard, in user space where the kernel has none, to a network that nobody else leads to.
struct Vpn;

impl Vpn {
    fn up() -> Self {
        let vpn = Self;
        vpn.down();
        // The far end is a network namespace on the same machine, reached over a pair of interfaces.
        ROOT.sh("set -e
            ip netns add t-far
            ip link add t-near type veth peer name t-off netns t-far
            ip addr add 192.0.2.1/30 dev t-near && ip link set t-near up
            ip -n t-far addr add 192.0.2.2/30 dev t-off && ip -n t-far link set t-off up
            ip -n t-far link set lo up
            umask 077
            wg genkey > /run/t-near.key; wg genkey > /run/t-far.key
            systemd-run --quiet --collect --unit=t-wg-near wireguard-go -f t-wg0
            systemd-run --quiet --collect --unit=t-wg-far -p NetworkNamespacePath=/run/netns/t-far \
                -p RuntimeDirectory=t-wg-far wireguard-go -f t-wg1
            for i in $(seq 100); do
                ip link show t-wg0 && ip -n t-far link show t-wg1 && break; sleep 0.1
            done
            wg set t-wg0 private-key /run/t-near.key peer $(wg pubkey < /run/t-far.key) \
                endpoint 192.0.2.2:51820 allowed-ips 198.51.100.0/24
            ip netns exec t-far wg set t-wg1 listen-port 51820 private-key /run/t-far.key \
                peer $(wg pubkey < /run/t-near.key) allowed-ips 203.0.113.1/32
            ip addr add 203.0.113.1/32 dev t-wg0 && ip link set t-wg0 up
            ip route add 198.51.100.0/24 dev t-wg0
            ip -n t-far addr add 198.51.100.1/32 dev t-wg1 && ip -n t-far link set t-wg1 up
            ip -n t-far route add 203.0.113.1/32 dev t-wg1
            systemd-run --quiet --collect --unit=t-vpn-greeter -p NetworkNamespacePath=/run/netns/t-far \
                systemd-socket-activate --listen=198.51.100.1:18301 --accept --inetd \
                sh -c 'ss -Htn state established sport = :18301 | sed \"s/.* //; s/:.*//\"'")
            .ok();
        vpn
    }

    fn down(&self) {
        drop(ROOT.sh(
            "systemctl stop t-vpn-greeter.service t-wg-near.service t-wg-far.service 2>/dev/null
             ip link del t-near 2>/dev/null; ip link del t-wg0 2>/dev/null
             ip netns del t-far 2>/dev/null; rm -f /run/t-near.key /run/t-far.key",
        ));
    }
}

impl Drop for Vpn {
    fn drop(&mut self) {
        self.down();
    }
}

#[test]
fn a_vpn_of_the_host_carries_what_containers_send() {
    let Some(host) = alone() else { return };
    let container = Container::create(ALICE, "t-vpn", &["--no-mount-home"]);
    let ask = ["bash", "-c", "timeout 5 cat < /dev/tcp/198.51.100.1/18301"];
    let far = || container.owner.enter(container.name, ask).text();
    assert_eq!(far(), "", "it is reached without a VPN");
    // It comes up while the container runs; to the far end, the container is the host.
    let vpn = Vpn::up();
    host.wait_until("the far end is reached", || {
        far().split_whitespace().next() == Some("203.0.113.1")
    });
    drop(vpn);
    assert_eq!(far(), "", "it is reached though the VPN is down");
}
