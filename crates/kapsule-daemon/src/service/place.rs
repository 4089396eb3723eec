// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Where a container stands in Incus and on disk.

use std::path::{Path, PathBuf};

use crate::container_id::ContainerId;

const PROJECT_PREFIX: &str = "kapsule-";

/// The Incus project of a user.
pub(crate) fn project_name(owner: u32) -> String {
    format!("{PROJECT_PREFIX}{owner}")
}

/// The user whose project this is, if it is one of ours.
pub(crate) fn project_owner(project: &str) -> Option<u32> {
    let digits = project.strip_prefix(PROJECT_PREFIX)?;
    let owner: u32 = digits.parse().ok()?;
    // "kapsule-007" is somebody else's.
    (owner.to_string() == digits).then_some(owner)
}

/// The bridge of a user. Interface names have at most 15 characters: "kap" and ten digits fit.
pub(crate) fn network_name(owner: u32) -> String {
    format!("kap{owner}")
}

/// The bridge of a user's sealed containers.
pub(crate) fn sealed_network_name(owner: u32) -> String {
    format!("kaps{owner}")
}

/// The folders that the daemon keeps and mounts.
#[derive(Clone, Debug)]
pub(crate) struct Folders {
    /// Holds `containers/<uid>/<name>/`.
    pub(crate) state: PathBuf,
    /// Holds the agent binary; mounted into every container.
    pub(crate) guest: PathBuf,
}

impl Folders {
    /// The parent of all containers' folders.
    pub(crate) fn containers(&self) -> PathBuf {
        self.state.join("containers")
    }

    /// The folders of all containers there are.
    pub(crate) fn all(&self) -> Vec<PathBuf> {
        let entries = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten();
        let owners = entries(&self.containers());
        owners
            .flat_map(|owner| entries(&owner.path()).map(|container| container.path()))
            .collect()
    }

    /// What is mounted into a container: the agent's socket and the spec. Not below `/run`,
    /// because Incus starts containers at boot before this daemon runs, and refuses to where the
    /// source of a mount is missing.
    pub(crate) fn container(&self, id: &ContainerId) -> PathBuf {
        self.containers()
            .join(id.owner.to_string())
            .join(Path::new(id.name.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_tells_its_owner() {
        assert_eq!(project_owner(&project_name(1000)), Some(1000));
        for other in [
            "default",
            "kapsule-",
            "kapsule-x",
            "kapsule-01000",
            "kapsule-99999999999",
        ] {
            assert_eq!(project_owner(other), None, "{other}");
        }
    }

    #[test]
    fn the_longest_network_name_is_an_interface_name() {
        for name in [network_name(u32::MAX), sealed_network_name(u32::MAX)] {
            assert!(name.len() <= 15, "{name}");
        }
    }
}
