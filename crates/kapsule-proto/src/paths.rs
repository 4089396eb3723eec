// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Where Kapsule's things stand inside a container.

/// Marks a container for terminals (Konsole looks for this directory) and holds all below.
pub const ROOT: &str = "/.kapsule";
/// Directory with the agent binary, mounted read-only from the host.
pub const BIN: &str = "/.kapsule/bin";
/// The agent binary.
pub const AGENT: &str = "/.kapsule/bin/kapsule-agent";
/// Directory with the daemon's socket and the spec, mounted read-only from the host.
pub const RUN: &str = "/.kapsule/run";
/// The daemon's registration socket (`SOCK_SEQPACKET`).
pub const AGENT_SOCKET: &str = "/.kapsule/run/agent.sock";
/// The [`spec::GuestSpec`](crate::spec::GuestSpec) as JSON.
pub const SPEC: &str = "/.kapsule/run/spec.json";
/// The host's root file system, where the container has it.
pub const HOST: &str = "/.kapsule/host";
/// File name of [`AGENT_SOCKET`] in its directory on the host.
pub const AGENT_SOCKET_FILE: &str = "agent.sock";
/// File name of [`SPEC`] in its directory on the host.
pub const SPEC_FILE: &str = "spec.json";
/// The host's name servers (resolv.conf(5)), where a container has the host's network.
pub const RESOLV_CONF: &str = "/.kapsule/run/resolv.conf";
/// File name of [`RESOLV_CONF`] in its directory on the host.
pub const RESOLV_CONF_FILE: &str = "resolv.conf";
/// The [`host::HostSettings`](crate::host::HostSettings) as JSON, where the container follows them.
pub const HOST_SETTINGS: &str = "/.kapsule/run/host.json";
/// File name of [`HOST_SETTINGS`] in its directory on the host.
pub const HOST_SETTINGS_FILE: &str = "host.json";
