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

/// Where the unit puts the host's tables; and where they are for a daemon without it, as in tests. Below
/// `self`, since the service sees no more of `/proc`.
const FOLDERS: [&str; 2] = ["/run/kapsule", "/proc/self/net"];

/// One of the tables; empty when it cannot be read.
pub(super) fn table(name: &str) -> String {
    let mut paths = FOLDERS.iter().map(|folder| Path::new(folder).join(name));
    let found = paths.find_map(|path| fs::read_to_string(path).ok());
    found.unwrap_or_default()
}
