// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Choosing a free IPv4 subnet for a user's network.
//!
//! Incus can choose one itself, but tries addresses at random and gives up where it cannot ask the
//! network about them; we take the first /24 of a configured range that neither another Incus
//! network nor a route of the host uses.

use std::net::Ipv4Addr;

/// An IPv4 network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subnet {
    address: u32,
    prefix: u32,
}

/// Prefix length of a user's network.
const USER_PREFIX: u32 = 24;

impl Subnet {
    /// Parses `10.77.0.0/16` (host bits are dropped).
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.trim().split_once('/')?;
        let address: Ipv4Addr = address.parse().ok()?;
        let prefix: u32 = prefix.parse().ok().filter(|prefix| *prefix <= 32)?;
        Some(Self::new(u32::from(address), prefix))
    }

    fn new(address: u32, prefix: u32) -> Self {
        Self {
            address: address & mask(prefix),
            prefix,
        }
    }

    fn overlaps(self, other: Self) -> bool {
        let shorter = mask(self.prefix.min(other.prefix));
        self.address & shorter == other.address & shorter
    }

    /// The first address with the prefix length, which is the bridge's own: `10.77.0.1/24`.
    fn gateway(self) -> String {
        format!("{}/{}", Ipv4Addr::from(self.address | 1), self.prefix)
    }
}

fn mask(prefix: u32) -> u32 {
    u32::MAX.checked_shl(32 - prefix).unwrap_or(0)
}

/// The bridge address of the first free /24 of `range`, as Incus' `ipv4.address`. None when all
/// are taken or the range is smaller than a /24.
pub(crate) fn first_free(range: Subnet, taken: &[Subnet]) -> Option<String> {
    let count = 1_u32.checked_shl(USER_PREFIX.checked_sub(range.prefix)?)?;
    (0..count)
        .map(|index| Subnet::new(range.address | (index << (32 - USER_PREFIX)), USER_PREFIX))
        .find(|candidate| !taken.iter().any(|other| candidate.overlaps(*other)))
        .map(Subnet::gateway)
}

/// The destinations in the kernel's table of IPv4 routes (`/proc/net/route`: hexadecimal numbers
/// in the machine's byte order), without the default route.
pub(crate) fn routes(table: &str) -> Vec<Subnet> {
    let hex = |text: &str| u32::from_str_radix(text, 16).ok().map(u32::from_be);
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (destination, netmask) = (hex(fields.get(1)?)?, hex(fields.get(7)?)?);
            (netmask != 0).then(|| Subnet::new(destination, netmask.leading_ones()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        Subnet::parse(text).unwrap()
    }

    #[test]
    fn takes_the_first_that_is_free() {
        let range = subnet("10.77.0.0/16");
        assert_eq!(first_free(range, &[]).as_deref(), Some("10.77.0.1/24"));
        let taken = [
            subnet("10.77.0.1/24"),
            subnet("10.77.1.128/25"),
            subnet("192.168.0.0/16"),
        ];
        assert_eq!(first_free(range, &taken).as_deref(), Some("10.77.2.1/24"));
        assert_eq!(first_free(range, &[subnet("10.0.0.0/8")]), None);
        assert_eq!(first_free(subnet("10.77.0.0/25"), &[]), None);
        assert_eq!(
            first_free(subnet("10.77.5.0/24"), &[]).as_deref(),
            Some("10.77.5.1/24")
        );
    }

    #[test]
    fn refuses_what_is_no_subnet() {
        for bad in [
            "",
            "10.77.0.0",
            "10.77.0.0/33",
            "10.77.0/16",
            "x/8",
            "10.77.0.0/-1",
        ] {
            assert_eq!(Subnet::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn reads_the_kernels_table() {
        let table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
            eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
            kap1000\t00004D0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        assert_eq!(routes(table), [subnet("10.77.0.0/24")]);
    }
}
