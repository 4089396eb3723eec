// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What the owner may do inside: everything, by `sudo`, and rootless containers.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

use kapsule_proto::spec::GuestSpec;
use rustix::fs::XattrFlags;
use rustix::io::Errno;

use crate::files;

/// First line of the files that are Kapsule's.
const MARK: &str = "# Written by Kapsule at every boot of this container; changes are lost.\n";

/// Neither a dot nor a tilde: sudo passes over files with these in their names.
const SUDOERS: &str = "/etc/sudoers.d/50-kapsule-owner";
const CONTAINERS_CONF: &str = "/etc/containers/containers.conf.d/50-kapsule-cgroupfs.conf";

/// capability.h: these two let the programs map ids, and nothing more.
const CAP_SETGID: u32 = 6;
const CAP_SETUID: u32 = 7;

/// Lets the owner become root without a password: the box is theirs. By number, so that it holds
/// whatever the guest calls them.
pub(crate) fn allow_sudo(root: &Path, uid: u32) -> io::Result<()> {
    let path = files::inside(root, SUDOERS);
    make_parent(&path, 0o750)?;
    let rule = format!("{MARK}#{uid} ALL=(ALL:ALL) NOPASSWD: ALL\n");
    files::replace(&path, rule.as_bytes(), 0o440)
}

/// Lets the owner's rootless containers have more than one id, where the guest's packages lost the
/// right to on their way through an image.
pub(crate) fn allow_id_maps(root: &Path) -> io::Result<()> {
    for (program, capability) in [
        ("/usr/bin/newuidmap", CAP_SETUID),
        ("/usr/bin/newgidmap", CAP_SETGID),
    ] {
        grant(&files::inside(root, program), capability)?;
    }
    Ok(())
}

fn grant(program: &Path, capability: u32) -> io::Result<()> {
    const NAME: &str = "security.capability";
    const SETUID: u32 = 0o4000;
    let is_candidate = program
        .symlink_metadata()
        .is_ok_and(|it| it.is_file() && it.mode() & SETUID == 0);
    if !is_candidate {
        return Ok(());
    }
    let mut present = [0_u8; 24];
    match rustix::fs::lgetxattr(program, NAME, &mut present) {
        Ok(_) => Ok(()),
        Err(Errno::NODATA) => Ok(rustix::fs::lsetxattr(
            program,
            NAME,
            &capability_xattr(capability),
            XattrFlags::CREATE,
        )?),
        Err(errno) => Err(errno.into()),
    }
}

/// `vfs_cap_data` of linux/capability.h, revision 2: permitted and effective. Written inside a
/// user namespace, the kernel ties it to that namespace.
fn capability_xattr(capability: u32) -> [u8; 20] {
    const REVISION_2_EFFECTIVE: u32 = 0x0200_0001;
    let mut data = [0; 20];
    data[..4].copy_from_slice(&REVISION_2_EFFECTIVE.to_le_bytes());
    data[4..8].copy_from_slice(&(1_u32 << capability).to_le_bytes());
    data
}

/// Tells Podman to make control groups by itself where there is no user manager of the guest's own
/// that could (contract: mode "default"); takes that back in session mode.
pub(crate) fn choose_cgroup_manager(root: &Path, spec: &GuestSpec) -> io::Result<()> {
    let path = files::inside(root, CONTAINERS_CONF);
    if spec.session_mode {
        return files::remove_ours(&path, MARK);
    }
    make_parent(&path, 0o755)?;
    let text = format!("{MARK}[engine]\ncgroup_manager = \"cgroupfs\"\n");
    files::replace(&path, text.as_bytes(), 0o644)
}

fn make_parent(path: &Path, mode: u32) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.is_dir() => {
            if let Some(above) = parent.parent() {
                DirBuilder::new()
                    .recursive(true)
                    .mode(0o755)
                    .create(above)?;
            }
            DirBuilder::new().mode(mode).create(parent)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kapsule_proto::spec::{Owner, SessionShares};

    #[test]
    fn sudo_is_allowed_by_number() {
        let root = tempfile::tempdir().unwrap();
        allow_sudo(root.path(), 1000).unwrap();
        let path = root.path().join("etc/sudoers.d/50-kapsule-owner");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.ends_with("\n#1000 ALL=(ALL:ALL) NOPASSWD: ALL\n"),
            "{text}"
        );
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o440);
        allow_sudo(root.path(), 1000).unwrap();
    }

    #[test]
    fn the_cgroup_manager_follows_the_mode() {
        let root = tempfile::tempdir().unwrap();
        let mut spec = GuestSpec {
            version: 1,
            container: "dev".into(),
            owner: Owner {
                uid: 1000,
                gid: 1000,
                name: "alice".into(),
                group: "alice".into(),
                gecos: String::new(),
                home: "/home/alice".into(),
                home_mounted: true,
                shell: "/bin/sh".into(),
            },
            session_mode: false,
            dbus_mux: false,
            host_runtime_dir: None,
            session: SessionShares::default(),
            shares: Vec::new(),
            isolation: String::new(),
            host_network: false,
            host_ids: None,
        };
        let path = root.path().join(&CONTAINERS_CONF[1..]);
        choose_cgroup_manager(root.path(), &spec).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("[engine]\ncgroup_manager = \"cgroupfs\"\n"));
        spec.session_mode = true;
        choose_cgroup_manager(root.path(), &spec).unwrap();
        assert!(!path.exists());
        std::fs::write(&path, "# mine\n").unwrap();
        choose_cgroup_manager(root.path(), &spec).unwrap();
        assert!(path.exists());
    }

    #[test]
    fn capabilities_are_written_as_the_kernel_reads_them() {
        let expected = [
            1, 0, 0, 2, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        assert_eq!(capability_xattr(CAP_SETUID), expected);
        allow_id_maps(tempfile::tempdir().unwrap().path()).unwrap();
    }
}
