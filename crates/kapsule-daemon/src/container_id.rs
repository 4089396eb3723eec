// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Which container is meant.

use std::fmt;

use kapsule_core::name::ContainerName;

/// A container and whose it is: the same name may exist once for each user.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ContainerId {
    pub(crate) owner: u32,
    pub(crate) name: ContainerName,
}

impl ContainerId {
    pub(crate) fn new(owner: u32, name: &ContainerName) -> Self {
        Self {
            owner,
            name: name.clone(),
        }
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}
