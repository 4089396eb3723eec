// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Which ports of a user's containers are on the host's localhost: what `kapsule-ports` writes down for
//! clients to show.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Where it is written, as JSON, below the user's `XDG_RUNTIME_DIR`. Absent when no `kapsule-ports` runs.
pub const FILE: &str = "kapsule-ports/ports.json";

/// Ports below need rights on the host, and are left out.
pub const LOWEST: u16 = 1024;

/// A user's containers that have something to tell, by name.
pub type AllPorts = BTreeMap<String, ContainerPorts>;

/// The ports that listen in one container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerPorts {
    /// Those that are on the host's localhost. Ascending.
    #[serde(default)]
    pub offered: Vec<u16>,
    /// Those that are not. Ascending.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
    /// How many more listen, beyond as many as one container can offer.
    #[serde(default)]
    pub more: u32,
}

/// A port that is not on the host's localhost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The port.
    pub port: u16,
    /// Why.
    pub reason: Reason,
    /// The container of the same user that has it, for [`Reason::Container`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
}

/// Why a port is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// It is below [`LOWEST`].
    Low,
    /// Another container of the user's was first.
    Container,
    /// Something else on the host has it.
    Host,
    /// A reason that this version does not know.
    #[serde(other)]
    Other,
}

impl LeftOut {
    /// Why, in words that follow the port's number.
    #[must_use]
    pub fn why(&self) -> String {
        match (self.reason, &self.container) {
            (Reason::Low, _) => format!("below {LOWEST}"),
            (Reason::Container, Some(name)) => format!("taken by container '{name}'"),
            (Reason::Container | Reason::Host, _) => "taken on the host".to_owned(),
            (Reason::Other, _) => "left out".to_owned(),
        }
    }
}

impl ContainerPorts {
    /// Whether there is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// All of it in one line; empty when there is nothing to tell.
    #[must_use]
    pub fn to_words(&self) -> String {
        let mut parts = Vec::new();
        if !self.offered.is_empty() {
            let ports: Vec<String> = self.offered.iter().map(u16::to_string).collect();
            parts.push(format!("{} on localhost", ports.join(", ")));
        }
        let left_out = self.left_out.iter();
        parts.extend(left_out.map(|it| format!("not {} ({})", it.port, it.why())));
        if self.more > 0 {
            parts.push(format!("and {} more that are too many", self.more));
        }
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn told_in_words() {
        assert_eq!(ContainerPorts::default().to_words(), "");
        let text = r#"{"offered":[3000,8080],"left_out":[{"port":80,"reason":"low"},
            {"port":5000,"reason":"container","container":"web"},{"port":6000,"reason":"host"},
            {"port":7000,"reason":"full-moon"}],"more":2,"later":true}"#;
        let ports: ContainerPorts = serde_json::from_str(text).unwrap();
        assert_eq!(
            ports.to_words(),
            "3000, 8080 on localhost, not 80 (below 1024), not 5000 (taken by container 'web'), \
             not 6000 (taken on the host), not 7000 (left out), and 2 more that are too many"
        );
    }
}
