// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The name of a setting, and what it can be set to.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use super::{Fragment, is_server_address};
use crate::image::{self, ImageRef};
use crate::isolation::Isolation;
use crate::name::ContainerName;

/// Longest value, in bytes.
const MAX_VALUE: usize = 1024;

/// The section whose keys need no section in front of them.
const PLAIN: &str = "kapsule";

/// A key of the configuration files, written `KEY` for those of `[kapsule]` and else `SECTION.KEY`,
/// as in `default_image` and `storage.pool`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingKey {
    section: &'static str,
    key: String,
}

/// Why something is not set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// There is no such key.
    #[error(
        "there is no setting {0:?}. There are: default_container, default_image, isolation, servers.NAME, storage.pool, network.subnets, environment.pass and environment.drop"
    )]
    Unknown(String),
    /// The value is not one for this key.
    #[error("{key} cannot be {value:?}: {why}")]
    Value {
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// What it has to be instead.
        why: String,
    },
}

impl FromStr for SettingKey {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, SettingError> {
        let (section, key) = text.split_once('.').unwrap_or((PLAIN, text));
        let known = |section, key: &str| Self {
            section,
            key: key.to_owned(),
        };
        match (section, key) {
            ("kapsule", "default_container" | "default_image" | "isolation") => {
                Ok(known(PLAIN, key))
            }
            ("storage", "pool") => Ok(known("storage", key)),
            ("network", "subnets") => Ok(known("network", key)),
            ("environment", "pass" | "drop") => Ok(known("environment", key)),
            ("servers", name) if image::is_server_name(name) && name != image::LOCAL_SERVER => {
                Ok(known("servers", name))
            }
            _ => Err(SettingError::Unknown(text.to_owned())),
        }
    }
}

impl fmt::Display for SettingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.section {
            PLAIN => f.write_str(&self.key),
            section => write!(f, "{section}.{}", self.key),
        }
    }
}

impl SettingKey {
    /// The section of the file.
    #[must_use]
    pub fn section(&self) -> &str {
        self.section
    }

    /// The key in its section.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether users can decide it for themselves.
    #[must_use]
    pub fn is_users(&self) -> bool {
        matches!(self.section, PLAIN | "environment")
    }

    /// Whether it can have this value.
    ///
    /// # Errors
    /// With what it has to be instead.
    pub fn check(&self, value: &str) -> Result<(), SettingError> {
        let wrong = |why: String| SettingError::Value {
            key: self.to_string(),
            value: value.chars().take(MAX_VALUE).collect(),
            why,
        };
        if value.len() > MAX_VALUE {
            return Err(wrong(format!("it is longer than {MAX_VALUE} bytes")));
        }
        if value.chars().any(char::is_control) || value.trim() != value {
            return Err(wrong(
                "a value is one line, without blanks around it".to_owned(),
            ));
        }
        self.check_kind(value).map_err(wrong)?;
        // What is written has to be what is read.
        let text = format!("[{}]\n{} = {value}\n", self.section, self.key);
        match Fragment::parse(&text) {
            Ok(fragment) if fragment.warnings.is_empty() => Ok(()),
            Ok(fragment) => Err(wrong(fragment.warnings.join("; "))),
            Err(error) => Err(wrong(error.to_string())),
        }
    }

    fn check_kind(&self, value: &str) -> Result<(), String> {
        match (self.section, self.key.as_str()) {
            (PLAIN, "isolation") => value
                .parse::<Isolation>()
                .map(drop)
                .map_err(|error| error.to_string()),
            (PLAIN, "default_container") => value
                .parse::<ContainerName>()
                .map(drop)
                .map_err(|why| why.to_string()),
            (PLAIN, "default_image") => value
                .parse::<ImageRef>()
                .map(drop)
                .map_err(|why| why.to_string()),
            ("servers", _) if is_server_address(value.trim_end_matches('/')) => Ok(()),
            ("servers", _) => Err("an address begins with https:// and names a host".to_owned()),
            ("storage", _) if is_pool_name(value) => Ok(()),
            ("storage", _) => Err("a pool has letters, digits, '-', '_' and '.'".to_owned()),
            ("network", _) if is_range(value) => Ok(()),
            ("network", _) => {
                Err("a range is as 10.77.0.0/16, and not smaller than a /24".to_owned())
            }
            _ => Ok(()),
        }
    }
}

fn is_pool_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 63
        && !text.starts_with(['-', '.'])
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

fn is_range(text: &str) -> bool {
    let Some((address, prefix)) = text.split_once('/') else {
        return false;
    };
    address.parse::<Ipv4Addr>().is_ok()
        && prefix
            .parse()
            .is_ok_and(|prefix: u8| (8..=24).contains(&prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_the_files() {
        for (text, section, key, users) in [
            ("default_image", "kapsule", "default_image", true),
            (
                "kapsule.default_container",
                "kapsule",
                "default_container",
                true,
            ),
            ("storage.pool", "storage", "pool", false),
            ("servers.kde", "servers", "kde", false),
            ("environment.drop", "environment", "drop", true),
        ] {
            let parsed: SettingKey = text.parse().unwrap();
            assert_eq!((parsed.section(), parsed.key()), (section, key));
            assert_eq!(parsed.is_users(), users);
            assert_eq!(parsed.to_string().parse::<SettingKey>().unwrap(), parsed);
        }
        for bad in [
            "",
            "pool",
            "storage",
            "storage.",
            "storage.x",
            "servers.local",
            "servers.",
            "servers.a b",
            "default_image\n",
            "servers.a]\n[storage",
            "environment.pass.x",
        ] {
            assert!(bad.parse::<SettingKey>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn values_are_such_as_the_key_has() {
        for (key, good, bad) in [
            ("default_container", "dev", "../dev"),
            ("default_image", "images:debian/13", "a b"),
            (
                "servers.kde",
                "https://example.org/x/",
                "http://example.org",
            ),
            ("servers.kde", "https://example.org", "ftp://x"),
            ("storage.pool", "fast-1", "a/b"),
            ("storage.pool", "default", "-x"),
            ("network.subnets", "10.0.0.0/8", "10.0.0.0/25"),
            ("network.subnets", "192.168.0.0/16", "fd00::/64"),
            ("environment.pass", "A B_*", "A\n[storage]\npool = x"),
            ("environment.drop", "", "A\r"),
            ("default_image", "local:debian", " local:debian"),
        ] {
            let key: SettingKey = key.parse().unwrap();
            assert_eq!(key.check(good), Ok(()), "{key} = {good}");
            let error = key.check(bad).unwrap_err().to_string();
            assert!(error.contains(&key.to_string()), "{error}");
        }
        let key: SettingKey = "environment.pass".parse().unwrap();
        assert!(key.check(&"x".repeat(MAX_VALUE + 1)).is_err());
    }
}
