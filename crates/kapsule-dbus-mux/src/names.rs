// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Which bus a name belongs to.
//!
//! A client has one unique name, which the host's bus gave it, and everything is the host's unless
//! the container has it. Unique names of the container's bus are shown with [`PREFIX`], so that
//! they cannot be taken for the host's: the container's `:1.7` is `:k.1.7`.

use std::collections::HashSet;
use std::sync::{RwLock, RwLockReadGuard};

/// What a unique name of the container's bus begins with, as clients see it. No bus gives out such
/// names by itself: theirs are numbers.
const PREFIX: &str = ":k.";

/// The bus itself, as a name.
pub(crate) const DRIVER: &str = "org.freedesktop.DBus";

/// Names that are the host's even where the container could have them, too: what shows itself on
/// the user's screen, or holds what is theirs. A trailing `*` stands for any ending.
const HOSTS: &[&str] = &[
    "org.a11y.*",
    "org.freedesktop.FileManager1",
    "org.freedesktop.Notifications",
    "org.freedesktop.ScreenSaver",
    "org.freedesktop.impl.portal.*",
    "org.freedesktop.portal.*",
    "org.freedesktop.secrets",
    "org.kde.KWin*",
    "org.kde.StatusNotifierWatcher",
    "org.kde.kglobalaccel",
    "org.kde.klauncher*",
    "org.kde.kwalletd*",
    "org.kde.plasmashell",
    "org.kde.screensaver",
];

/// Names that are the container's even while nobody has them there. With the host's service
/// manager in their hands, Podman and others would ask it to look after processes of the container.
const CONTAINERS: &[&str] = &["org.freedesktop.systemd1"];

/// One of the two buses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Host,
    Container,
}

/// What is known of names. Shared by all clients.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Patterns given on the command line, which come before the tables above.
    host: Vec<String>,
    container: Vec<String>,
    known: RwLock<Known>,
}

/// What the container's bus says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// Names that somebody has there, unique ones, too, as that bus writes them.
    pub(crate) owned: HashSet<String>,
    /// Names that it can start somebody for.
    pub(crate) activatable: HashSet<String>,
}

impl Names {
    /// With names that are to be the host's, or the container's, whatever else is known of them.
    pub(crate) fn new(host: Vec<String>, container: Vec<String>) -> Self {
        Self {
            host,
            container,
            known: RwLock::default(),
        }
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known
            .read()
            .unwrap_or_else(|poison| poison.into_inner())
    }

    /// Replaces or corrects what the container's bus has said.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Known)) {
        let mut known = self
            .known
            .write()
            .unwrap_or_else(|poison| poison.into_inner());
        change(&mut known);
    }

    /// Somebody on the container's bus has got or lost a name, as that bus writes it.
    pub(crate) fn owner_changed(&self, name: &str, is_owned: bool) {
        self.update(|known| {
            if is_owned {
                known.owned.insert(name.to_owned());
            } else {
                known.owned.remove(name);
            }
        });
    }

    /// Whose a destination is: a well-known name or a unique one, as clients write it.
    pub(crate) fn side(&self, name: &str) -> Side {
        if name.starts_with(':') {
            return match container_unique(name) {
                Some(_) => Side::Container,
                None => Side::Host,
            };
        }
        if any(&self.host, name) {
            return Side::Host;
        }
        if any(&self.container, name) || any(CONTAINERS, name) {
            return Side::Container;
        }
        if name == DRIVER || any(HOSTS, name) {
            return Side::Host;
        }
        let known = self.known();
        if known.owned.contains(name) || known.activatable.contains(name) {
            Side::Container
        } else {
            Side::Host
        }
    }

    /// Whether a name is the host's, whatever becomes known of the container's bus.
    pub(crate) fn is_hosts_for_good(&self, name: &str) -> bool {
        if name.starts_with(':') {
            return container_unique(name).is_none();
        }
        let given = any(&self.container, name) || any(CONTAINERS, name);
        name == DRIVER || any(&self.host, name) || (any(HOSTS, name) && !given)
    }

    /// The names on the container's bus that clients are to see, as they see them.
    pub(crate) fn owned_in_container(&self) -> Vec<String> {
        let owned: Vec<String> = self.known().owned.iter().cloned().collect();
        self.shown(owned)
    }

    /// The names that the container's bus can start somebody for, as far as they are the
    /// container's.
    pub(crate) fn activatable_in_container(&self) -> Vec<String> {
        let activatable: Vec<String> = self.known().activatable.iter().cloned().collect();
        self.shown(activatable)
    }

    fn shown(&self, names: Vec<String>) -> Vec<String> {
        names
            .into_iter()
            .map(|name| to_client(&name))
            .filter(|name| self.side(name) == Side::Container)
            .collect()
    }
}

fn any(patterns: &[impl AsRef<str>], name: &str) -> bool {
    patterns
        .iter()
        .any(|pattern| match pattern.as_ref().strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == pattern.as_ref(),
        })
}

/// A name of the container's bus as clients see it; well-known ones are the same.
pub(crate) fn to_client(name: &str) -> String {
    match name.strip_prefix(':') {
        Some(rest) => format!("{PREFIX}{rest}"),
        None => name.to_owned(),
    }
}

/// A unique name of the container's bus as that bus writes it, from what clients see.
pub(crate) fn container_unique(name: &str) -> Option<String> {
    name.strip_prefix(PREFIX).map(|rest| format!(":{rest}"))
}

/// A name that clients use, as the container's bus writes it.
pub(crate) fn to_container(name: &str) -> String {
    container_unique(name).unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let names = Names::new(
            vec!["org.example.Ours*".into()],
            vec!["org.example.Theirs".into()],
        );
        names.update(|known| {
            known.owned = [":1.7", "org.example.Here", "org.freedesktop.Notifications"]
                .map(str::to_owned)
                .into();
            known.activatable = ["org.example.Startable", "org.example.OursToo"]
                .map(str::to_owned)
                .into();
        });
        names
    }

    #[test]
    fn the_host_has_what_the_container_has_not() {
        let names = names();
        for host in [
            DRIVER,
            ":1.7",
            "org.example.Unknown",
            "org.example.OursToo",
            "org.freedesktop.Notifications",
            "org.freedesktop.portal.Desktop",
            "org.kde.kwalletd6",
        ] {
            assert_eq!(names.side(host), Side::Host, "{host}");
        }
        for container in [
            ":k.1.7",
            "org.example.Here",
            "org.example.Startable",
            "org.example.Theirs",
            "org.freedesktop.systemd1",
        ] {
            assert_eq!(names.side(container), Side::Container, "{container}");
        }
    }

    #[test]
    fn lists_hold_what_a_client_would_reach_there() {
        let mut owned = names().owned_in_container();
        owned.sort();
        assert_eq!(owned, [":k.1.7", "org.example.Here"]);
        assert_eq!(
            names().activatable_in_container(),
            ["org.example.Startable"]
        );
    }

    #[test]
    fn unique_names_go_there_and_back() {
        assert_eq!(to_client(":1.7"), ":k.1.7");
        assert_eq!(to_container(":k.1.7"), ":1.7");
        assert_eq!(to_container("org.example.Here"), "org.example.Here");
        assert_eq!(container_unique(":1.7"), None);
    }
}
