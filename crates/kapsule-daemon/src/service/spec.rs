// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What the agent is told about its container, and the folder that tells it.

use std::fs::{self, DirBuilder};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use kapsule_core::options::Options;
use kapsule_proto::paths::{HOST, SPEC_FILE};
use kapsule_proto::spec::{GuestSpec, Owner, SPEC_VERSION, Share};

use crate::container_id::ContainerId;
use crate::error::{Error, Result};
use crate::users::User;

/// The spec of a container.
pub(super) fn new(
    id: &ContainerId,
    user: &User,
    options: &Options,
    shares: Vec<Share>,
) -> GuestSpec {
    GuestSpec {
        version: SPEC_VERSION,
        container: id.name.to_string(),
        owner: Owner {
            uid: user.uid,
            gid: user.gid,
            name: user.name.clone(),
            group: user.group.clone(),
            gecos: user.gecos.clone(),
            home: user.home.to_string_lossy().into_owned(),
            home_mounted: options.mount_home,
            shell: user.shell.to_string_lossy().into_owned(),
        },
        session_mode: options.session_mode,
        host_runtime_dir: Some(format!("{HOST}/run/user/{}", user.uid)),
        shares,
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
    let text = serde_json::to_vec_pretty(spec)?;
    let file = folder.join(SPEC_FILE);
    if fs::read(&file).is_ok_and(|old| old == text) {
        return Ok(());
    }
    let new = folder.join("spec.json.new");
    let mut out = fs::File::create(&new)?;
    out.set_permissions(fs::Permissions::from_mode(0o644))?;
    out.write_all(&text)?;
    out.sync_all()?;
    fs::rename(&new, &file)
}

/// The owner's primary group as the spec in a container's folder has it.
pub(super) fn owner_group(folder: &Path) -> Option<u32> {
    Some(read(folder)?.owner.gid)
}

/// Where the folders are that the agent looks at before it boots.
pub(super) fn shares(folder: &Path) -> Vec<String> {
    let shares = read(folder).map(|spec| spec.shares).unwrap_or_default();
    shares.into_iter().map(|share| share.path).collect()
}

fn read(folder: &Path) -> Option<GuestSpec> {
    serde_json::from_slice(&fs::read(folder.join(SPEC_FILE)).ok()?).ok()
}

/// Removes the container's folder.
pub(super) fn remove(folder: &Path) {
    if let Err(error) = fs::remove_dir_all(folder)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(folder = %folder.display(), %error, "cannot remove a container's folder");
    }
}
