// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What the agent is told about its container, and the folder that tells it.

use std::fs::{self, DirBuilder};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use kapsule_core::isolation::Isolation;
use kapsule_core::options::Options;
use kapsule_proto::paths::{HOST, RESOLV_CONF_FILE, SPEC_FILE};
use kapsule_proto::spec::{GuestSpec, HostIds, Owner, SPEC_VERSION, SessionShares, Share};

use super::numbers;
use crate::agents::Peer;
use crate::container_id::ContainerId;
use crate::error::{Error, Result};
use crate::users::User;

/// The spec of a container.
pub(super) fn new(
    id: &ContainerId,
    user: &User,
    options: &Options,
    shares: Vec<Share>,
    host_ids: Option<HostIds>,
) -> GuestSpec {
    let (uid, gid) = numbers::inside(user, options.isolation);
    GuestSpec {
        version: SPEC_VERSION,
        container: id.name.to_string(),
        owner: Owner {
            uid,
            gid,
            name: user.name.clone(),
            group: user.group.clone(),
            gecos: user.gecos.clone(),
            home: user.home.to_string_lossy().into_owned(),
            home_mounted: options.mount_home,
            shell: user.shell.to_string_lossy().into_owned(),
        },
        session_mode: options.session_mode,
        dbus_mux: options.dbus_mux,
        host_runtime_dir: (options.isolation != Isolation::Sealed)
            .then(|| format!("{HOST}/run/user/{}", user.uid)),
        session: SessionShares {
            display: options.display,
            sound: options.sound,
            bus: options.gives_session_bus(),
            agents: options.agents,
            // It is among the host's files.
            look: options.look && options.host_rootfs,
        },
        shares,
        isolation: options.isolation.to_string(),
        host_network: options.isolation == Isolation::Privileged,
        host_ids,
    }
}

/// Makes the container's folder and writes the spec into it, whole or not at all.
///
/// # Errors
/// When the file system does not let it.
pub(super) fn write(folder: &Path, spec: &GuestSpec) -> Result<()> {
    write_inner(folder, spec)
        .map_err(|error| Error::failed(format!("cannot write to {}: {error}", folder.display())))
}

fn write_inner(folder: &Path, spec: &GuestSpec) -> io::Result<()> {
    // The parents are closed to everyone but root; the folder itself is seen through a mount.
    if let Some(parent) = folder.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)?;
    }
    match DirBuilder::new().create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    // Whatever the umask is, which is to keep everything else to root.
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    replace(folder, SPEC_FILE, &serde_json::to_vec_pretty(spec)?)
}

fn replace(folder: &Path, name: &str, text: &[u8]) -> io::Result<()> {
    let file = folder.join(name);
    if fs::read(&file).is_ok_and(|old| old == text) {
        return Ok(());
    }
    let new = folder.join(format!("{name}.new"));
    let mut out = fs::File::create(&new)?;
    out.set_permissions(fs::Permissions::from_mode(0o644))?;
    out.write_all(text)?;
    out.sync_all()?;
    fs::rename(&new, &file)
}

/// Where the folders are that the agent looks at before it boots.
pub(super) fn shares(folder: &Path) -> Vec<String> {
    let shares = read(folder).map(|spec| spec.shares).unwrap_or_default();
    shares.into_iter().map(|share| share.path).collect()
}

/// The host's name servers, for a container that has the host's network. Taken anew at every
/// start; a container does without where the host has none.
pub(super) fn write_name_servers(folder: &Path) {
    const HOSTS: &str = "/etc/resolv.conf";
    let copied = fs::File::open(HOSTS).and_then(|file| {
        let mut text = Vec::new();
        file.take(MAX_RESOLV_CONF).read_to_end(&mut text)?;
        replace(folder, RESOLV_CONF_FILE, &text)
    });
    if let Err(error) = copied {
        tracing::warn!(folder = %folder.display(), %error, "cannot pass on {HOSTS}");
    }
}

const MAX_RESOLV_CONF: u64 = 64 * 1024;

/// What the spec in a container's folder says.
pub(super) fn read(folder: &Path) -> Option<GuestSpec> {
    serde_json::from_slice(&fs::read(folder.join(SPEC_FILE)).ok()?).ok()
}

/// Who the owner's agent is, by the spec in a container's folder.
pub(super) fn peer(id: &ContainerId, folder: &Path) -> Peer {
    let spec = read(folder);
    let level = spec.as_ref().map(|spec| spec.isolation.parse());
    let host = spec.as_ref().map(|spec| {
        let own = HostIds {
            uid: id.owner,
            gid: spec.owner.gid,
        };
        spec.host_ids.unwrap_or(own)
    });
    Peer {
        uid: host.map_or(id.owner, |host| host.uid),
        gid: host.map(|host| host.gid),
        isolation: level.and_then(Result::ok).unwrap_or_default(),
    }
}

/// Removes the container's folder.
pub(super) fn remove(folder: &Path) {
    if let Err(error) = fs::remove_dir_all(folder)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(folder = %folder.display(), %error, "cannot remove a container's folder");
    }
}
