// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The owner's desktop session on the host, offered to programs inside at the places where they look
//! for such things.
//!
//! The sockets themselves are reached through the mount of the host's `/run/user`, which follows the
//! user's logins; nothing is mounted for them. What is made inside are links and settings:
//!
//! | module | by | |
//! |---|---|---|
//! | `table` | | which sockets and folders there are, as data |
//! | `links` | the owner | links to them in the guest's runtime directory and `/tmp/.X11-unix` |
//! | `watch` | the owner | noticing that the host's have come or gone |
//! | `own_bus` | the owner | the container's session bus, where no user manager has one |
//! | `mux` | the owner | a bus of two: the container's and the host's |
//! | `helper` | | a program that runs for one of these |
//! | `environment` | the owner | variables of sessions |
//! | `guest` | the guest's root | fonts, icons, `xdg-open`, and no second sound server |
//!
//! Nothing that the guest has made itself is replaced, and nothing that its packages own.

mod environment;
mod guest;
mod helper;
mod links;
mod mux;
mod own_bus;
mod table;
mod watch;

pub(crate) use environment::given;
pub(crate) use guest::set_up;
pub(crate) use watch::Watch;

/// The program that opens links and files on the host.
pub(crate) const OPENER: &str = "/.kapsule/bin/kapsule-open";
/// Folders of the host's look, in the place of a folder of `XDG_DATA_DIRS`.
pub(crate) const LOOK: &str = "/.kapsule/share";

/// What a container is given when nothing is switched off.
#[cfg(test)]
const ALL: kapsule_proto::spec::SessionShares = kapsule_proto::spec::SessionShares {
    display: true,
    sound: true,
    bus: true,
    agents: true,
    look: true,
};
