// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What of the host's settings a container follows: a JSON file written by the daemon, again
//! whenever something of it changes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The newest version of [`HostSettings`] that this code writes and understands.
pub const HOST_VERSION: u32 = 1;

/// Settings of the host. What is missing is left as it is in the container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostSettings {
    /// [`HOST_VERSION`] of the writer.
    pub version: u32,
    /// The time zone.
    #[serde(default)]
    pub time_zone: Option<TimeZone>,
    /// `LANG`, `LANGUAGE` and `LC_*` as the host's system has them (locale.conf(5)).
    #[serde(default)]
    pub locale: BTreeMap<String, String>,
    /// `http_proxy` and its like as the host's system has them.
    #[serde(default)]
    pub proxies: BTreeMap<String, String>,
    /// Certificates that the host's administrator trusts beyond those of the distribution, each in
    /// PEM (RFC 7468).
    #[serde(default)]
    pub certificates: Vec<String>,
}

/// A time zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeZone {
    /// Its name in the tz database, such as `Europe/Berlin`.
    pub name: String,
    /// Its file of there (TZif, RFC 9636), for containers that do not have it.
    pub rules: Vec<u8>,
}

impl TimeZone {
    /// Whether the name can be part of a path below the database's folder.
    #[must_use]
    pub fn is_plain(name: &str) -> bool {
        let part = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|c| c.is_ascii_alphanumeric() || b"_+-".contains(&c))
        };
        name.len() <= 64 && name.split('/').all(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_nowhere_else() {
        for good in [
            "UTC",
            "Europe/Berlin",
            "America/Argentina/Buenos_Aires",
            "Etc/GMT+12",
        ] {
            assert!(TimeZone::is_plain(good), "{good}");
        }
        for bad in [
            "",
            "/etc/passwd",
            "../passwd",
            "Europe//Berlin",
            "Europe/",
            "a b",
            "ä",
        ] {
            assert!(!TimeZone::is_plain(bad), "{bad}");
        }
    }
}
