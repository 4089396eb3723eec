// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What the kernel tells about the host's network. The service itself has a network of its own, without
//! anything in it; the unit shows it the host's tables.

use std::fs;
use std::path::Path;

/// The kernel's table of IPv4 routes, as in `/proc/net/route`.
pub(super) const ROUTES: &str = "route";
/// The kernel's trie of IPv4 addresses and routes, as in `/proc/net/fib_trie`.
pub(super) const ADDRESSES: &str = "fib_trie";
/// The kernel's table of multicast groups, as in `/proc/net/igmp`: it has the numbers of interfaces.
const GROUPS: &str = "igmp";

/// Where the unit puts the host's tables; and where they are for a daemon without it, as in tests. Below
/// `self`, since the service sees no more of `/proc`.
const FOLDERS: [&str; 2] = ["/run/kapsule", "/proc/self/net"];

/// One of the tables; empty when it cannot be read.
pub(super) fn table(name: &str) -> String {
    let mut paths = FOLDERS.iter().map(|folder| Path::new(folder).join(name));
    let found = paths.find_map(|path| fs::read_to_string(path).ok());
    found.unwrap_or_default()
}

/// The number of an interface of the host that is up.
pub(crate) fn interface_index(name: &str) -> Option<i32> {
    find_index(&table(GROUPS), name)
}

/// Looks for a line such as `3\tkap1000   :     1      V3`.
fn find_index(table: &str, name: &str) -> Option<i32> {
    table.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let index = words.next()?.parse().ok()?;
        (words.next() == Some(name) && words.next() == Some(":")).then_some(index)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_have_numbers() {
        let table = "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n\
            1\tlo        :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n\
            12\tkap1000   :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n";
        assert_eq!(find_index(table, "kap1000"), Some(12));
        assert_eq!(find_index(table, "kap100"), None);
        assert_eq!(find_index("", "lo"), None);
        // This machine has a loopback, and it is the first.
        assert_eq!(interface_index("lo"), Some(1));
    }
}
