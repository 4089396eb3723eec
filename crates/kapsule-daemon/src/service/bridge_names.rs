// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Names that containers on a bridge know: each other, and the host.
//!
//! Incus' dnsmasq answers for both. A container is `NAME.USER.kapsule`, and `NAME` for those who search
//! that domain, as DHCP tells them to; Incus sees to it that nobody takes another's name. The user is part
//! of it for it to mean the same wherever it is known: two users may have containers of one name. The
//! host is at the bridge's own address.

use std::net::Ipv4Addr;

use incus::Config;

use super::place::network_name;
use super::{Service, incus_error};
use crate::error::Result;
use crate::users::User;

/// Begins the domain of a user whose login name cannot be part of one.
const BY_NUMBER: &str = "uid-";
/// The domain of all users' domains.
const DOMAIN: &str = "kapsule";

/// The host, by a name of our own and by those that it has in Podman's and Docker's containers.
const HOST_NAMES: &[&str] = &[
    "host.kapsule.internal",
    "host.containers.internal",
    "host.docker.internal",
];

const DOMAIN_KEY: &str = "dns.domain";
const RAW_KEY: &str = "raw.dnsmasq";

/// Adds them to a bridge's configuration. What an administrator has written there stays. False when all
/// of it is there.
pub(super) fn add(config: &mut Config, owner: &User) -> bool {
    let mut changed = false;
    if !config.contains_key(DOMAIN_KEY) {
        config.insert(DOMAIN_KEY.to_owned(), domain(owner));
        changed = true;
    }
    let address = config
        .get("ipv4.address")
        .and_then(|it| it.split('/').next());
    let Some(address) = address.map(str::to_owned) else {
        return changed;
    };
    let raw = config.entry(RAW_KEY.to_owned()).or_default();
    for name in HOST_NAMES {
        // For the name and all below; of IPv6 it says that there is none, rather than to ask elsewhere.
        let begin = format!("address=/{name}/");
        if !raw.lines().any(|line| line.starts_with(&begin)) {
            if !raw.is_empty() && !raw.ends_with('\n') {
                raw.push('\n');
            }
            raw.push_str(&format!("{begin}{address}\n"));
            changed = true;
        }
    }
    changed
}

/// A bridge whose dnsmasq knows names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedBridge {
    /// Name of the interface.
    pub(crate) interface: String,
    /// Where its dnsmasq answers.
    pub(crate) address: Ipv4Addr,
    /// The domain that it knows.
    pub(crate) domain: String,
}

impl Service {
    /// The bridges of users whose containers have names.
    pub(crate) async fn named_bridges(&self) -> Result<Vec<NamedBridge>> {
        let networks = self.incus.networks().await.map_err(incus_error)?;
        let named = |network: incus::Network| {
            let get = |key: &str| network.config.get(key);
            let owner: u32 = get("user.kapsule.owner")?.parse().ok()?;
            let (address, _) = get("ipv4.address")?.split_once('/')?;
            // Not those of sealed containers.
            (network.name == network_name(owner)).then_some(())?;
            Some(NamedBridge {
                address: address.parse().ok()?,
                domain: get(DOMAIN_KEY)?.clone(),
                interface: network.name.clone(),
            })
        };
        Ok(networks.into_iter().filter_map(named).collect())
    }
}

/// The domain of a user's containers: with the login name where that can be part of a domain.
fn domain(owner: &User) -> String {
    let label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let name = &owner.name;
    let is_label = (1..=63).contains(&name.len())
        && name.chars().all(label)
        && !name.starts_with('-')
        && !name.starts_with(BY_NUMBER)
        && !name.ends_with('-');
    match is_label {
        true => format!("{name}.{DOMAIN}"),
        false => format!("{BY_NUMBER}{}.{DOMAIN}", owner.uid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> User {
        User {
            name: name.to_owned(),
            ..User::for_tests(1000, 1000)
        }
    }

    #[test]
    fn each_user_has_a_domain() {
        assert_eq!(domain(&user("alice")), "alice.kapsule");
        for odd in [
            "Alice",
            "a.b",
            "a_b",
            "-a",
            "a-",
            "a@corp.example",
            "uid-1001",
            "",
        ] {
            assert_eq!(domain(&user(odd)), "uid-1000.kapsule", "{odd}");
        }
    }

    fn config(entries: &[(&str, &str)]) -> Config {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        entries.iter().map(owned).collect()
    }

    #[test]
    fn names_are_added_once() {
        let mut bridge = config(&[("ipv4.address", "10.77.3.1/24"), ("ipv4.nat", "true")]);
        assert!(add(&mut bridge, &user("alice")));
        assert_eq!(bridge["dns.domain"], "alice.kapsule");
        assert_eq!(
            bridge["raw.dnsmasq"],
            "address=/host.kapsule.internal/10.77.3.1\n\
             address=/host.containers.internal/10.77.3.1\n\
             address=/host.docker.internal/10.77.3.1\n"
        );
        assert!(!add(&mut bridge, &user("alice")));
    }

    #[test]
    fn what_an_administrator_wrote_stays() {
        let mut bridge = config(&[
            ("ipv4.address", "10.77.3.1/24"),
            ("dns.domain", "lab"),
            ("raw.dnsmasq", "address=/host.docker.internal/10.0.0.9"),
        ]);
        assert!(add(&mut bridge, &user("alice")));
        assert_eq!(bridge["dns.domain"], "lab");
        assert!(
            bridge["raw.dnsmasq"].starts_with(
                "address=/host.docker.internal/10.0.0.9\naddress=/host.kapsule.internal/10.77.3.1\n"
            ),
            "{}",
            bridge["raw.dnsmasq"]
        );
    }
}
