// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `host exec`: a command in the booted host, as if it had been started there.
//!
//! `nsenter` would be shorter, but a process that it brings in stays outside of the host's cgroup
//! namespace, and then logind, polkit and `systemd --user` fail on it (EUNATCH, "Protocol driver not
//! attached"). `systemd-run --pipe` is right about that, but expands `$`, wants UTF-8 and does not tell a
//! signal from an exit. So the booted system's own systemd (for users: their own manager) starts
//! [`server`] for each connection to a socket, and [`client`] hands over arguments and descriptors.

pub(crate) mod client;
pub(crate) mod server;
mod wire;
