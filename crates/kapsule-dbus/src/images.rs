// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! `org.kde.kapsule.Images1`: images by descriptor, so that no path is read with other rights
//! than the caller's.

use zbus::{Fd, OwnedObjectPath};

/// On the object `/org/kde/kapsule`.
#[zbus::proxy(
    interface = "org.kde.kapsule.Images1",
    default_service = "org.kde.kapsule",
    default_path = "/org/kde/kapsule"
)]
pub trait Images1 {
    /// Imports a split image: a metadata tarball and a root file system (squashfs or tarball),
    /// both open for reading and regular files. An image of the caller's that has the alias is
    /// replaced.
    #[zbus(allow_interactive_auth)]
    fn import(
        &self,
        metadata: Fd<'_>,
        rootfs: Fd<'_>,
        alias: &str,
    ) -> zbus::Result<OwnedObjectPath>;

    /// Imports a unified image: one tarball with `metadata.yaml` and `rootfs/`.
    #[zbus(allow_interactive_auth)]
    fn import_unified(&self, tarball: Fd<'_>, alias: &str) -> zbus::Result<OwnedObjectPath>;
}
