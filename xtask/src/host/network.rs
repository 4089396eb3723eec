// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The host's network: a namespace of its own, so that bridges and firewall rules of its Incus never touch
//! the machine's, joined by a veth pair behind a masquerade rule.

use std::fs;

use anyhow::{Context as _, Result};

use super::place::Place;
use crate::run::{cmd, output, run, succeeds};

/// Names and addresses, from the tag so that hosts of different cache folders do not meet.
struct Names {
    namespace: String,
    outside: String,
    table: String,
    gateway: String,
    address: String,
}

impl Names {
    fn new(place: &Place) -> Self {
        let number = u16::from_str_radix(place.tag(), 16).unwrap_or_default();
        // Four addresses each, out of 10.213.0.0/16.
        let [high, low] = (number << 2).to_be_bytes();
        Self {
            namespace: place.name(),
            outside: format!("kapsule{}", place.tag()),
            table: format!("kapsule_{}", place.tag()),
            gateway: format!("10.213.{high}.{}", low + 1),
            address: format!("10.213.{high}.{}", low + 2),
        }
    }
}

/// Makes it anew.
pub(crate) fn up(place: &Place) -> Result<()> {
    down(place)?;
    let names = Names::new(place);
    let (namespace, outside) = (names.namespace.as_str(), names.outside.as_str());
    let mtu = uplink_mtu();
    run(&mut cmd("ip", ["netns", "add", namespace])).context("cannot make a network namespace")?;
    let pair = [
        "link", "add", outside, "mtu", &mtu, "type", "veth", "peer", "eth0", "mtu", &mtu, "netns",
        namespace,
    ];
    run(&mut cmd("ip", pair))?;
    run(&mut cmd(
        "ip",
        [
            "address",
            "add",
            &format!("{}/30", names.gateway),
            "dev",
            outside,
        ],
    ))?;
    run(&mut cmd("ip", ["link", "set", outside, "up"]))?;
    let inside = |args: &[&str]| run(cmd("ip", ["-n", namespace]).args(args));
    inside(&["link", "set", "lo", "up"])?;
    inside(&[
        "address",
        "add",
        &format!("{}/30", names.address),
        "dev",
        "eth0",
    ])?;
    inside(&["link", "set", "eth0", "up"])?;
    inside(&["route", "add", "default", "via", &names.gateway])?;
    // A table of its own, so that taking it away takes nothing else.
    let table = &names.table;
    let rules = format!(
        "table ip {table} {{\n\
           chain postrouting {{ type nat hook postrouting priority 100; ip saddr {}/30 oifname != {outside} masquerade; }}\n\
           chain forward {{ type filter hook forward priority -10; iifname {outside} tcp flags syn tcp option maxseg size set rt mtu; }}\n\
         }}",
        names.address
    );
    run(&mut cmd("nft", [rules.as_str()])).context("cannot set the masquerade rule")?;
    // Left on at `down`: something else may have begun to rely on it, and by itself it forwards nothing
    // that the machine was not already asked to.
    fs::write("/proc/sys/net/ipv4/ip_forward", "1").context("cannot turn on forwarding")?;
    Ok(())
}

/// Takes away what [`up`] made; with the namespace goes everything in it.
pub(crate) fn down(place: &Place) -> Result<()> {
    let names = Names::new(place);
    if succeeds(&mut cmd("nft", ["list", "table", "ip", &names.table])) {
        run(&mut cmd("nft", ["delete", "table", "ip", &names.table]))?;
    }
    if succeeds(&mut cmd("ip", ["link", "show", &names.outside])) {
        run(&mut cmd("ip", ["link", "delete", &names.outside]))?;
    }
    if fs::exists(format!("/run/netns/{}", names.namespace))? {
        run(&mut cmd("ip", ["netns", "delete", &names.namespace]))?;
    }
    Ok(())
}

/// The uplink's MTU; a larger one inside would lose big packets wherever ICMP is filtered.
fn uplink_mtu() -> String {
    let route = output(&mut cmd("ip", ["-4", "route", "show", "default"])).unwrap_or_default();
    let device = route
        .split_whitespace()
        .skip_while(|word| *word != "dev")
        .nth(1);
    device
        .and_then(|device| fs::read_to_string(format!("/sys/class/net/{device}/mtu")).ok())
        .map_or_else(|| "1500".to_owned(), |mtu| mtu.trim().to_owned())
}

/// What the host's /etc/resolv.conf has to say: the machine's name servers, where they can be reached from
/// another network namespace.
pub(crate) fn resolv_conf() -> Result<String> {
    for file in ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"] {
        let Ok(text) = fs::read_to_string(file) else {
            continue;
        };
        let loopback = |line: &str| {
            line.starts_with("nameserver") && (line.contains(" 127.") || line.contains(" ::1"))
        };
        let usable: Vec<&str> = text.lines().filter(|line| !loopback(line)).collect();
        if usable.iter().any(|line| line.starts_with("nameserver")) {
            return Ok(usable.join("\n") + "\n");
        }
    }
    anyhow::bail!(
        "no name server found that is not on loopback: the host could not reach it; see /etc/resolv.conf"
    )
}
