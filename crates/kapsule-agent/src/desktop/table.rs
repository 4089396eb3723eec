// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What of a user's runtime directory on the host programs inside are given, as data.

use kapsule_proto::spec::SessionShares;

/// The options, each a part of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Display,
    Sound,
    Bus,
    Agents,
}

impl Part {
    pub(crate) fn is_given(self, shares: SessionShares) -> bool {
        match self {
            Self::Display => shares.display,
            Self::Sound => shares.sound,
            Self::Bus => shares.bus,
            Self::Agents => shares.agents,
        }
    }
}

/// Sockets, files and folders of the runtime directory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) part: Part,
    /// A folder of the runtime directory, or the directory itself. It is a folder of the guest's own, in
    /// which only what is named here is linked: programs insist on that (libpulse), and have things of
    /// their own there.
    pub(crate) folder: &'static str,
    /// The beginning of names; with nothing behind it unless `and_more`.
    pub(crate) name: &'static str,
    pub(crate) and_more: bool,
}

const fn exactly(part: Part, folder: &'static str, name: &'static str) -> Entry {
    Entry {
        part,
        folder,
        name,
        and_more: false,
    }
}

const fn beginning(part: Part, folder: &'static str, name: &'static str) -> Entry {
    Entry {
        part,
        folder,
        name,
        and_more: true,
    }
}

/// What Wayland's sockets are called.
pub(crate) const WAYLAND: &str = "wayland-";

/// All of it. Never here: `bus` and `systemd`, which are the guest's own manager's (sessions get the
/// host's bus by its address).
pub(crate) const ENTRIES: &[Entry] = &[
    beginning(Part::Display, "", WAYLAND),
    // Cookies of KWin's and Mutter's Xwayland.
    beginning(Part::Display, "", "xauth_"),
    beginning(Part::Display, "", ".mutter-Xwaylandauth."),
    beginning(Part::Sound, "", "pipewire-"),
    exactly(Part::Sound, "pulse", "native"),
    // Of the services on the bus, which hand out paths here: accessibility, settings, documents of
    // portals, and the file systems that KDE and GNOME mount.
    exactly(Part::Bus, "", "at-spi"),
    exactly(Part::Bus, "", "dconf"),
    exactly(Part::Bus, "", "doc"),
    exactly(Part::Bus, "", "gvfs"),
    exactly(Part::Bus, "", "gvfsd"),
    beginning(Part::Bus, "", "kio-fuse-"),
    // systemd's units of OpenSSH call it so, Debian's the other.
    beginning(Part::Agents, "", "ssh-agent"),
    exactly(Part::Agents, "", "openssh_agent"),
    exactly(Part::Agents, "gcr", "ssh"),
    exactly(Part::Agents, "keyring", "ssh"),
    exactly(Part::Agents, "keyring", "control"),
    exactly(Part::Agents, "keyring", "pkcs11"),
    beginning(Part::Agents, "gnupg", "S.gpg-agent"),
    exactly(Part::Agents, "gnupg", "S.keyboxd"),
    exactly(Part::Agents, "gnupg", "S.scdaemon"),
];

impl Entry {
    pub(crate) fn matches(&self, name: &[u8]) -> bool {
        // The lock of a socket is its server's.
        name.strip_prefix(self.name.as_bytes())
            .is_some_and(|rest| rest.is_empty() || self.and_more && !rest.ends_with(b".lock"))
    }
}

/// The folders of the table: the runtime directory (empty) and some below it.
pub(crate) fn folders() -> Vec<&'static str> {
    let mut folders: Vec<&str> = ENTRIES.iter().map(|entry| entry.folder).collect();
    folders.sort_unstable();
    folders.dedup();
    folders
}

/// Units of users' managers in the guest that would put their own in the place of the host's.
pub(crate) const RIVALS: &[(Part, &[&str])] = &[
    (
        Part::Sound,
        &[
            "pipewire.socket",
            "pipewire.service",
            "pipewire-pulse.socket",
            "pipewire-pulse.service",
            "wireplumber.service",
            "pulseaudio.socket",
            "pulseaudio.service",
        ],
    ),
    (
        Part::Agents,
        &[
            "gpg-agent.socket",
            "gpg-agent-ssh.socket",
            "gpg-agent-extra.socket",
            "gpg-agent-browser.socket",
            "keyboxd.socket",
            "ssh-agent.socket",
            "ssh-agent.service",
            "gcr-ssh-agent.socket",
            "gcr-ssh-agent.service",
            "gnome-keyring-daemon.socket",
            "gnome-keyring-daemon.service",
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known() {
        let part = |folder: &str, name: &str| {
            let mut entries = ENTRIES.iter().filter(|entry| entry.folder == folder);
            entries
                .find(|entry| entry.matches(name.as_bytes()))
                .map(|entry| entry.part)
        };
        for (folder, name, expected) in [
            ("", "wayland-0", Some(Part::Display)),
            ("", "wayland-0.lock", None),
            ("", "pipewire-0-manager", Some(Part::Sound)),
            ("pulse", "native", Some(Part::Sound)),
            ("pulse", "pid", None),
            ("gnupg", "S.gpg-agent.ssh", Some(Part::Agents)),
            ("", "bus", None),
            ("", "systemd", None),
            ("", "doc", Some(Part::Bus)),
            ("", "documents", None),
        ] {
            assert_eq!(part(folder, name), expected, "{folder}/{name}");
        }
    }

    #[test]
    fn folders_are_one_level_deep_and_each_is_there_once() {
        assert_eq!(folders(), ["", "gcr", "gnupg", "keyring", "pulse"]);
    }
}
