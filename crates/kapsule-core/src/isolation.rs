// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! How far a container is kept apart from the host.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::options::{Choice, find};

/// The key of the option.
pub const KEY: &str = "isolation";

/// A level of isolation. The order is from the weakest to the strictest.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// Has the host's network and devices, and its root is the host's root.
    Privileged,
    /// Shares what is the owner's, with the owner's rights.
    #[default]
    Standard,
    /// Shares nothing but the kernel; for code that one does not trust.
    Sealed,
}

impl Isolation {
    /// All levels that can be made.
    pub const ALL: [Self; 3] = [Self::Privileged, Self::Standard, Self::Sealed];

    /// The name on the command line, on D-Bus and in configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::Standard => "standard",
            Self::Sealed => "sealed",
        }
    }

    /// The values of boolean options that nobody sets, where they are others than the schema's.
    #[must_use]
    pub fn defaults(self) -> &'static [(&'static str, bool)] {
        match self {
            Self::Sealed => &[
                ("host_rootfs", false),
                ("mount_home", false),
                ("gpu", false),
                ("display", false),
                ("sound", false),
                ("session_bus", false),
                ("agents", false),
                ("look", false),
                ("host_settings", false),
                ("ports", false),
            ],
            Self::Privileged => &[("ports", false)],
            Self::Standard => &[],
        }
    }

    /// The options that are not free at this level, and why.
    #[must_use]
    pub fn rules(self) -> &'static [Rule] {
        match self {
            Self::Privileged => OF_PRIVILEGED,
            Self::Standard => &[],
            Self::Sealed => OF_SEALED,
        }
    }

    /// Whether the defaults of an image may open something. At a level for untrusted code they
    /// only may close.
    #[must_use]
    pub fn trusts_images(self) -> bool {
        self != Self::Sealed
    }
}

/// What a level demands of an option.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The option.
    pub key: &'static str,
    /// What it has to be: on, or off (for a list: empty).
    pub must_be: bool,
    /// Why, as half a sentence about the container.
    pub reason: &'static str,
}

const OF_PRIVILEGED: &[Rule] = &[
    Rule {
        key: "network",
        must_be: true,
        reason: "it shares the host's network, which cannot be switched off for it",
    },
    Rule::off("ports", "it shares the host's network, and so its ports"),
];

const NO_SESSION: &str = "it has no part in the owner's session";

const OF_SEALED: &[Rule] = &[
    Rule::off("host_rootfs", "it sees nothing of the host's files"),
    Rule::off("mount_home", "it has a home of its own"),
    Rule::off("custom_mounts", "it shares no folders with the host"),
    Rule::off("devices", "it uses nothing of the host's"),
    Rule::off("display", NO_SESSION),
    Rule::off("sound", NO_SESSION),
    Rule::off("session_bus", NO_SESSION),
    Rule::off("dbus_mux", NO_SESSION),
    Rule::off("agents", NO_SESSION),
    Rule::off("look", "it sees nothing of the host's files"),
    Rule::off("ports", "nothing on the host connects to it"),
];

impl Rule {
    const fn off(key: &'static str, reason: &'static str) -> Self {
        Self {
            key,
            must_be: false,
            reason,
        }
    }
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a text is no level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LevelError {
    /// There is no such level.
    #[error("{text:?} is not a level of isolation: choose {}", levels())]
    Unknown {
        /// The text.
        text: String,
    },
    /// It is planned.
    #[error("isolation '{0}' cannot be used: {1}")]
    Unavailable(&'static str, &'static str),
}

fn choices() -> &'static [Choice] {
    find(KEY).map_or(&[], |option| option.choices)
}

fn levels() -> String {
    let usable = choices().iter().filter(|it| it.unavailable.is_none());
    let names: Vec<&str> = usable.map(|it| it.value).collect();
    names.join(", ")
}

impl FromStr for Isolation {
    type Err = LevelError;

    fn from_str(text: &str) -> Result<Self, LevelError> {
        if let Some(level) = Self::ALL.into_iter().find(|level| level.as_str() == text) {
            return Ok(level);
        }
        let planned = choices().iter().find(|choice| choice.value == text);
        match planned.and_then(|choice| Some((choice.value, choice.unavailable?))) {
            Some((value, reason)) => Err(LevelError::Unavailable(value, reason)),
            None => Err(LevelError::Unknown {
                text: text.to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_has_the_same_levels() {
        let usable: Vec<&str> = choices()
            .iter()
            .filter(|choice| choice.unavailable.is_none())
            .map(|choice| choice.value)
            .collect();
        let mut known = Isolation::ALL.map(Isolation::as_str).to_vec();
        known.sort_unstable();
        let mut sorted = usable.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, known);
        for level in Isolation::ALL {
            assert_eq!(level.as_str().parse(), Ok(level));
            let json = serde_json::to_string(&level).unwrap();
            assert_eq!(json, format!("\"{level}\""));
        }
    }

    #[test]
    fn what_is_no_level_is_told_with_those_there_are() {
        let error = "seald".parse::<Isolation>().unwrap_err().to_string();
        assert!(
            error.contains("\"seald\"") && error.contains("standard, sealed, privileged"),
            "{error}"
        );
        let error = "vm".parse::<Isolation>().unwrap_err().to_string();
        assert!(error.contains("'vm' cannot be used"), "{error}");
    }

    #[test]
    fn defaults_and_rules_name_options_of_the_schema_and_agree() {
        for level in Isolation::ALL {
            for (key, on) in level.defaults() {
                assert_ne!(find(key).unwrap().default_on, *on, "{level} {key}");
            }
            for rule in level.rules() {
                assert!(find(rule.key).is_some(), "{level} {}", rule.key);
            }
        }
    }
}
