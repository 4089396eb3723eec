// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The configuration: INI files in which a later one is overridden, key by key, by an earlier.
//!
//! | order | file | read as |
//! |---|---|---|
//! | 1 | `~/.config/kapsule/kapsule.conf` | the user, and only the keys of `[kapsule]` and `[environment]` |
//! | 2 | `/etc/kapsule/kapsule.conf.d/*.conf`, the last name first | root |
//! | 3 | `/etc/kapsule/kapsule.conf` | root |
//! | 4 | `/usr/lib/kapsule/kapsule.conf.d/*.conf`, the last name first | root |
//! | 5 | `/usr/lib/kapsule/kapsule.conf` | root |
//! | 6 | built in | |
//!
//! This module parses and merges; [`files`] reads them, and [`edit`] changes them key by key.

pub mod edit;
pub mod files;
mod key;

use std::collections::BTreeMap;

use configparser::ini::{Ini, IniDefault};

pub use self::key::{SettingError, SettingKey};
use crate::image;
use crate::isolation::{self, Isolation};

/// Largest configuration file that is read, in bytes.
pub const MAX_FILE: u64 = 64 * 1024;

/// What one file says; absent keys are `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fragment {
    /// `[kapsule] default_container`
    pub default_container: Option<String>,
    /// `[kapsule] default_image`
    pub default_image: Option<String>,
    /// `[kapsule] isolation`
    pub isolation: Option<String>,
    /// `[servers]`: name = address of a simplestreams server
    pub servers: BTreeMap<String, String>,
    /// `[storage] pool`
    pub pool: Option<String>,
    /// `[network] subnets`: the range that bridges take their /24 from
    pub subnets: Option<String>,
    /// `[environment]`: which variables sessions get
    pub environment: EnvironmentRules,
    /// Things that were not understood, for the log.
    pub warnings: Vec<String>,
}

/// `[environment]`: names of variables, separated by spaces, in which `*` stands for anything. The
/// command line applies them (`kapsule enter`), and says which names no `*` stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvironmentRules {
    /// `pass`: variables of the host that sessions get beyond the usual ones.
    pub pass: Vec<String>,
    /// `drop`: variables that they do not get; stronger than `pass` of the same file.
    pub drop: Vec<String>,
}

/// Why a file could not be used at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed configuration: {0}")]
pub struct ParseError(String);

/// The configuration in force for one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The container that `kapsule enter` without a name means.
    pub default_container: String,
    /// The image that containers are made from when none is named.
    pub default_image: String,
    /// How far new containers are kept apart when nobody says otherwise: a level as written, since
    /// one that cannot be understood is to be refused and not to be guessed.
    pub isolation: String,
    /// Image servers by name (simplestreams addresses). `local` is always there and not listed.
    pub servers: BTreeMap<String, String>,
    /// Incus storage pool of the containers.
    pub pool: String,
    /// IPv4 range that each user's network takes a /24 from.
    pub subnets: String,
}

impl Default for Settings {
    fn default() -> Self {
        let servers = [
            ("images", "https://images.linuxcontainers.org"),
            ("ubuntu", "https://cloud-images.ubuntu.com/releases"),
        ];
        Self {
            default_container: "kapsule".to_owned(),
            default_image: "images:ubuntu/24.04".to_owned(),
            isolation: Isolation::default().to_string(),
            servers: servers
                .iter()
                .map(|(name, url)| ((*name).to_owned(), (*url).to_owned()))
                .collect(),
            pool: "default".to_owned(),
            subnets: "10.77.0.0/16".to_owned(),
        }
    }
}

impl Fragment {
    /// Parses a file's text.
    ///
    /// # Errors
    /// When it is not an INI file. Unknown keys and sections are only warned about.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut syntax = IniDefault::default();
        // As in Python's ConfigParser, which existing files were written for: `#` and `;` only
        // begin a comment at the start of a line.
        syntax.inline_comment_symbols = Some(Vec::new());
        let mut ini = Ini::new_from_defaults(syntax);
        let sections = ini.read(text.to_owned()).map_err(ParseError)?;

        let mut fragment = Self::default();
        for (section, entries) in sections {
            for (key, value) in entries {
                let value = value.unwrap_or_default().trim().to_owned();
                fragment.take(&section, &key, value);
            }
        }
        Ok(fragment)
    }

    fn take(&mut self, section: &str, key: &str, value: String) {
        match (section, key) {
            ("kapsule", "default_container") => self.default_container = Some(value),
            ("kapsule", "default_image") => self.default_image = Some(value),
            ("kapsule", isolation::KEY) => self.isolation = Some(value),
            ("storage", "pool") => self.pool = Some(value),
            ("network", "subnets") => self.subnets = Some(value),
            ("environment", "pass") => self.environment.pass = names(&value),
            ("environment", "drop") => self.environment.drop = names(&value),
            ("servers", name) => self.take_server(name, value),
            _ => self
                .warnings
                .push(format!("unknown key '{key}' in section [{section}]")),
        }
    }

    fn take_server(&mut self, name: &str, address: String) {
        if !image::is_server_name(name) || name == image::LOCAL_SERVER {
            self.warnings
                .push(format!("'{name}' cannot be the name of an image server"));
            return;
        }
        let address = address.trim_end_matches('/');
        if is_server_address(address) {
            self.servers.insert(name.to_owned(), address.to_owned());
        } else {
            self.warnings.push(format!(
                "image server '{name}' is ignored: its address must begin with https:// and name a host"
            ));
        }
    }

    /// Leaves only what a user may decide for themselves; the rest is the administrator's.
    #[must_use]
    pub fn restricted_to_user(self) -> Self {
        Self {
            default_container: self.default_container,
            default_image: self.default_image,
            isolation: self.isolation,
            environment: self.environment,
            warnings: self.warnings,
            ..Self::default()
        }
    }
}

/// Whether this can be the address of an image server: encrypted, or on this machine.
fn is_server_address(address: &str) -> bool {
    let rest = ["https://", "http://127.0.0.1:"]
        .iter()
        .find_map(|prefix| address.strip_prefix(prefix));
    let odd = |c: char| c.is_control() || c.is_whitespace();
    rest.is_some_and(|rest| {
        // With a user's name before it, the host is another one than it looks like.
        let host = rest.split('/').next().unwrap_or(rest);
        rest.starts_with(|c: char| c.is_ascii_alphanumeric())
            && !rest.contains(odd)
            && !host.contains('@')
    })
}

fn names(value: &str) -> Vec<String> {
    value.split_whitespace().map(str::to_owned).collect()
}

impl Settings {
    /// Merges fragments, the highest in rank first, with the built-in values below them.
    #[must_use]
    pub fn merge(fragments: &[Fragment]) -> Self {
        let mut settings = Self::default();
        for fragment in fragments.iter().rev() {
            let set = |slot: &mut String, value: &Option<String>| {
                if let Some(value) = value {
                    slot.clone_from(value);
                }
            };
            set(&mut settings.default_container, &fragment.default_container);
            set(&mut settings.default_image, &fragment.default_image);
            set(&mut settings.isolation, &fragment.isolation);
            set(&mut settings.pool, &fragment.pool);
            set(&mut settings.subnets, &fragment.subnets);
            settings.servers.extend(fragment.servers.clone());
        }
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_existing_files_say() {
        let text = "# comment\n[kapsule]\ndefault_container = container\ndefault_image: images:archlinux\n";
        let fragment = Fragment::parse(text).unwrap();
        assert_eq!(fragment.default_container.as_deref(), Some("container"));
        assert_eq!(fragment.default_image.as_deref(), Some("images:archlinux"));
        assert_eq!(fragment.warnings, [""; 0]);
    }

    #[test]
    fn an_image_server_has_an_address_with_a_host() {
        for (address, good) in [
            ("https://images.example.org/x/", true),
            ("http://127.0.0.1:8080", true),
            ("https://", false),
            ("https:///x", false),
            ("http://images.example.org", false),
            ("http://127.0.0.1:80@images.example.org/", false),
            ("https://a b", false),
            ("https://a\u{7}", false),
        ] {
            let text = format!("[servers]\nmine = {address}\n");
            let fragment = Fragment::parse(&text).unwrap();
            assert_eq!(fragment.servers.contains_key("mine"), good, "{address}");
            assert_eq!(fragment.warnings.is_empty(), good, "{address}");
        }
    }

    #[test]
    fn merges_key_by_key() {
        let user =
            Fragment::parse("[kapsule]\ndefault_container=mine\n[storage]\npool=stolen").unwrap();
        let distribution = Fragment::parse("[kapsule]\nisolation = sealed\n").unwrap();
        let system = Fragment::parse("[kapsule]\ndefault_container=c\ndefault_image=local:debian\n[servers]\nkde=https://example.org/images/\n").unwrap();
        let settings = Settings::merge(&[user.restricted_to_user(), system, distribution]);
        assert_eq!(settings.default_container, "mine");
        assert_eq!(settings.isolation, "sealed");
        assert_eq!(settings.default_image, "local:debian");
        assert_eq!(settings.pool, "default");
        assert_eq!(settings.servers["kde"], "https://example.org/images");
        assert!(settings.servers.contains_key("images"));
    }

    #[test]
    fn tells_what_it_did_not_understand() {
        let fragment =
            Fragment::parse("[kapsule]\ntypo=1\n[servers]\nlocal=https://x\nx=ftp://y\n").unwrap();
        assert_eq!(fragment.warnings.len(), 3, "{:?}", fragment.warnings);
        assert!(fragment.servers.is_empty());
    }

    #[test]
    fn reads_which_variables_sessions_get() {
        let fragment = Fragment::parse("[environment]\npass = EDITOR  MY_*\ndrop: TZ\n").unwrap();
        assert_eq!(fragment.warnings, [""; 0]);
        let environment = fragment.restricted_to_user().environment;
        assert_eq!(environment.pass, ["EDITOR", "MY_*"]);
        assert_eq!(environment.drop, ["TZ"]);
    }

    #[test]
    fn refuses_what_is_not_ini() {
        assert!(Fragment::parse("[kapsule\ndefault_image=x").is_err());
    }
}
