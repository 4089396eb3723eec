// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The networks of a user's containers.
//!
//! | containers | network |
//! |---|---|
//! | standard | a bridge of the user's behind NAT |
//! | sealed | another one, with an access list that lets out to the internet and nowhere else; its containers do not see each other |
//! | privileged | the host's |
//!
//! The access list is one for all users. Incus turns it into rules of the host's firewall between a
//! bridge and everything else, the host included; only its own DHCP and DNS are open.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use incus::{NetworkAcl, NetworkAclRule, NetworkPost, NetworkPut};
use kapsule_core::isolation::Isolation;
use kapsule_core::options::Options;
use kapsule_core::settings::Settings;

use super::place::{network_name, sealed_network_name};
use super::prepare::already_is_fine;
use super::subnet::{self, Subnet};
use super::{Service, bridge_names, host_net, incus_error};
use crate::error::{Error, Result};
use crate::ops::Reporter;
use crate::users::User;

/// The access list of sealed networks.
const ACCESS_LIST: &str = "kapsule-sealed";

/// What is not the internet: the special ranges of RFC 6890 that lead to this host, to its
/// neighbours, or to several receivers at once.
const NOT_THE_INTERNET: &[&str] = &[
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
];

/// The network of a container with these options; nothing where it has none of its own.
pub(super) fn of(owner: u32, options: &Options) -> Option<String> {
    match options.isolation {
        _ if !options.network => None,
        Isolation::Privileged => None,
        Isolation::Standard => Some(network_name(owner)),
        Isolation::Sealed => Some(sealed_network_name(owner)),
    }
}

/// The interface of a container with these options.
pub(super) fn interface(owner: u32, options: &Options) -> Option<BTreeMap<String, String>> {
    let network = of(owner, options)?;
    let mut device = vec![("type", "nic"), ("name", "eth0"), ("network", &network)];
    if options.isolation == Isolation::Sealed {
        device.extend([
            // Nothing between those on one bridge, and no address but the one it was given.
            ("security.port_isolation", "true"),
            ("security.mac_filtering", "true"),
            ("security.ipv4_filtering", "true"),
        ]);
    }
    Some(owned(device))
}

fn owned<'a>(entries: impl IntoIterator<Item = (&'a str, &'a str)>) -> BTreeMap<String, String> {
    entries
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

impl Service {
    /// Makes the network that a container with these options needs, if it is not there.
    pub(super) async fn ensure_network(
        &self,
        owner: &User,
        settings: &Settings,
        options: &Options,
        reporter: &Reporter,
    ) -> Result<()> {
        let Some(name) = of(owner.uid, options) else {
            return Ok(());
        };
        let sealed = options.isolation == Isolation::Sealed;
        if sealed && self.ensure_sealing().await? {
            self.changed(
                reporter,
                [format!("Made the network access list '{ACCESS_LIST}'")],
            );
        }
        let networks = self.incus.networks().await.map_err(incus_error)?;
        if networks.iter().any(|network| network.name == name) {
            return match sealed {
                true => Ok(()),
                false => self.ensure_names(&name, owner, reporter).await,
            };
        }
        let address = free_subnet(settings, &networks)?;
        let uid = owner.uid.to_string();
        let mut config = vec![
            ("ipv4.address", address.as_str()),
            ("ipv4.nat", "true"),
            ("ipv6.address", "none"),
            ("user.kapsule.owner", &uid),
        ];
        let mut description = format!("Kapsule containers of {}", owner.name);
        if sealed {
            config.push(("security.acls", ACCESS_LIST));
            description = format!("Sealed {description}");
        }
        let mut config = owned(config);
        if !sealed {
            bridge_names::add(&mut config, owner);
        }
        let post = NetworkPost {
            name: name.clone(),
            kind: "bridge".to_owned(),
            description,
            config,
        };
        already_is_fine(self.incus.create_network(&post).await)
            .map_err(|error| error.context(format!("cannot make the network '{name}'")))?;
        let walls = if sealed { ", internet only" } else { "" };
        self.changed(
            reporter,
            [format!("Made the network '{name}' ({address}, NAT{walls})")],
        );
        Ok(())
    }

    /// Sees to it that a bridge of before knows names. Incus starts its dnsmasq anew for it.
    async fn ensure_names(&self, name: &str, owner: &User, reporter: &Reporter) -> Result<()> {
        let network = self.incus.network(name).await.map_err(incus_error)?;
        let mut config = network.config.clone();
        if !bridge_names::add(&mut config, owner) {
            return Ok(());
        }
        let put = NetworkPut {
            description: network.description.clone(),
            config,
        };
        self.incus
            .update_network(
                name,
                &put,
                Some(network.etag.as_str()).filter(|etag| !etag.is_empty()),
            )
            .await
            .map_err(incus_error)?;
        self.changed(
            reporter,
            [format!(
                "Made names of containers known in the network '{name}'"
            )],
        );
        Ok(())
    }

    /// Sees to it that the access list of sealed networks is there and knows the host's present
    /// addresses. True if it was made.
    pub(super) async fn ensure_sealing(&self) -> Result<bool> {
        let addresses = host_net::table(host_net::ADDRESSES);
        let wanted = access_list(&host_addresses(&addresses));
        let there = match self.incus.network_acl(ACCESS_LIST).await {
            Ok(there) => there,
            Err(error) if error.is_not_found() => {
                already_is_fine(self.incus.create_network_acl(&wanted).await).map_err(sealing)?;
                return Ok(true);
            }
            Err(error) => return Err(incus_error(error)),
        };
        if there.egress != wanted.egress || there.ingress != wanted.ingress {
            self.incus
                .update_network_acl(&wanted, None)
                .await
                .map_err(|error| sealing(incus_error(error)))?;
        }
        Ok(false)
    }
}

fn sealing(error: Error) -> Error {
    error.context(format!(
        "cannot make the network access list '{ACCESS_LIST}'"
    ))
}

fn free_subnet(settings: &Settings, networks: &[incus::Network]) -> Result<String> {
    let range = Subnet::parse(&settings.subnets).ok_or_else(|| {
        Error::failed(format!(
            "the setting 'subnets' in section [network] of kapsule.conf is not an IPv4 range: {:?}",
            settings.subnets
        ))
    })?;
    let mut taken: Vec<Subnet> = networks
        .iter()
        .filter_map(|network| Subnet::parse(network.config.get("ipv4.address")?))
        .collect();
    // Without the table only Incus' own networks are avoided.
    taken.extend(subnet::routes(&host_net::table(host_net::ROUTES)));
    subnet::first_free(range, &taken).ok_or_else(|| {
        Error::failed(format!(
            "no free network in {}: the administrator can name another range as 'subnets' \
             in section [network] of /etc/kapsule/kapsule.conf",
            settings.subnets
        ))
    })
}

/// Lets out to the internet, and nothing in.
fn access_list(host: &[Ipv4Addr]) -> NetworkAcl {
    let mut closed: Vec<String> = NOT_THE_INTERNET
        .iter()
        .map(|range| (*range).to_owned())
        .collect();
    closed.extend(host.iter().map(|address| format!("{address}/32")));
    let rule = |action: &str, destination: String, description: &str| NetworkAclRule {
        action: action.to_owned(),
        state: "enabled".to_owned(),
        description: description.to_owned(),
        destination,
        ..NetworkAclRule::default()
    };
    NetworkAcl {
        name: ACCESS_LIST.to_owned(),
        description: "What sealed Kapsule containers reach".to_owned(),
        egress: vec![
            rule(
                "drop",
                closed.join(","),
                "the host, its neighbours and other containers",
            ),
            rule("allow", "0.0.0.0/0".to_owned(), "the internet"),
        ],
        ..NetworkAcl::default()
    }
}

/// The host's addresses on the internet, out of the kernel's table: an address stands a line above
/// `/32 host LOCAL`.
fn host_addresses(table: &str) -> Vec<Ipv4Addr> {
    let mut found = Vec::new();
    let mut last = None;
    for line in table.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
        } else if line == "/32 host LOCAL" {
            found.extend(last);
        }
    }
    found.retain(|address| {
        !(address.is_private() || address.is_loopback() || address.is_link_local())
    });
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use kapsule_core::options::resolve;

    use super::*;

    const TABLE: &str = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     \
        |-- 10.0.0.5\n           /32 host LOCAL\n     |-- 203.0.113.9\n           /32 host LOCAL\n     \
        |-- 203.0.113.255\n           /32 link BROADCAST\nLocal:\n     |-- 127.0.0.1\n           \
        /32 host LOCAL\n     |-- 203.0.113.9\n           /32 host LOCAL\n";

    #[test]
    fn the_hosts_addresses_on_the_internet_are_closed_too() {
        let own = host_addresses(TABLE);
        assert_eq!(own, ["203.0.113.9".parse::<Ipv4Addr>().unwrap()]);
        let list = access_list(&own);
        let drop = &list.egress[0];
        assert_eq!(drop.action, "drop");
        for range in ["10.0.0.0/8", "192.168.0.0/16", "203.0.113.9/32"] {
            assert!(
                drop.destination.split(',').any(|it| it == range),
                "{range} in {}",
                drop.destination
            );
        }
        assert_eq!(list.egress[1].destination, "0.0.0.0/0");
        assert!(list.ingress.is_empty());
        assert!(host_addresses("nonsense\n/32 host LOCAL\n").is_empty());
    }

    #[test]
    fn each_level_has_its_own_network() {
        let interface = |options: &str| {
            let given = serde_json::from_str(options).unwrap();
            let options = resolve(&given, &BTreeMap::new(), Isolation::Standard).unwrap();
            interface(1000, &options)
        };
        assert_eq!(interface("{}").unwrap()["network"], "kap1000");
        let sealed = interface(r#"{"isolation":"sealed"}"#).unwrap();
        assert_eq!(sealed["network"], "kaps1000");
        assert_eq!(sealed["security.port_isolation"], "true");
        for without in [
            r#"{"network":false}"#,
            r#"{"isolation":"sealed","network":false}"#,
            r#"{"isolation":"privileged"}"#,
        ] {
            assert_eq!(interface(without), None, "{without}");
        }
    }
}
