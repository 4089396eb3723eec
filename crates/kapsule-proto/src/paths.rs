// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Where Kapsule's things stand inside a container.

use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

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
/// The socket of the session bus in a runtime directory of the host.
pub const SESSION_BUS: &str = "bus";
/// The one that leads to it by way of `kapsule-bus`, a program of the host. For services on the bus, who
/// connects there is one, too.
pub const RELAYED_BUS: &str = "kapsule/bus";

/// The socket of the host's session bus that programs inside are to use: that of `kapsule-bus`, where it
/// is. For the host's runtime directory of the owner, as seen from inside.
pub fn session_bus(host_runtime: &Path) -> PathBuf {
    let relayed = host_runtime.join(RELAYED_BUS);
    match relayed.metadata() {
        Ok(found) if found.file_type().is_socket() => relayed,
        _ => host_runtime.join(SESSION_BUS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bus_is_the_relayed_one_where_there_is_one() {
        let dir = std::env::temp_dir().join(format!("kapsule-paths-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("kapsule")).unwrap();
        assert_eq!(session_bus(&dir), dir.join("bus"));
        std::fs::write(dir.join("kapsule/bus"), "no socket").unwrap();
        assert_eq!(session_bus(&dir), dir.join("bus"));
        std::fs::remove_file(dir.join("kapsule/bus")).unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(dir.join("kapsule/bus")).unwrap();
        assert_eq!(session_bus(&dir), dir.join("kapsule/bus"));
        std::fs::remove_dir_all(dir).unwrap();
    }
}
