// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Images by descriptor.

use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::fs::{FileType, OFlags};
use zbus::message::Header;
use zbus::{OwnedFd, interface};

use super::Shared;
use super::launch::Launched;
use crate::error::{Error, Result};
use crate::service::ImportSource;

#[derive(Debug)]
pub(super) struct Images1(pub(super) Arc<Shared>);

#[interface(name = "org.kde.kapsule.Images1", introspection_docs = false)]
impl Images1 {
    async fn import(
        &self,
        metadata: OwnedFd,
        rootfs: OwnedFd,
        alias: String,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Launched> {
        let source = ImportSource::Split {
            metadata: metadata.into(),
            rootfs: rootfs.into(),
        };
        self.0.import(&header, source, check_readable, alias).await
    }

    async fn import_unified(
        &self,
        tarball: OwnedFd,
        alias: String,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Launched> {
        let source = ImportSource::Unified {
            tarball: tarball.into(),
        };
        self.0.import(&header, source, check_readable, alias).await
    }
}

/// A pipe would let the caller decide how long the daemon reads, and a descriptor that is only a
/// place in the file system has not been checked for reading by the kernel.
fn check_readable(source: &ImportSource) -> Result<()> {
    match source {
        ImportSource::Split { metadata, rootfs } => {
            check_file("metadata", metadata)?;
            check_file("root file system", rootfs)
        }
        ImportSource::Unified { tarball } => check_file("image", tarball),
    }
}

fn check_file(what: &str, file: &impl AsFd) -> Result<()> {
    let refused = |why: &str| Error::invalid(format!("the {what} of the image {why}"));
    let about = rustix::fs::fstat(file)
        .map_err(|error| refused(&format!("cannot be looked at: {error}")))?;
    if !FileType::from_raw_mode(about.st_mode).is_file() {
        return Err(refused("is not a regular file"));
    }
    let flags = rustix::fs::fcntl_getfl(file)
        .map_err(|error| refused(&format!("cannot be looked at: {error}")))?;
    if flags.contains(OFlags::PATH) || flags & OFlags::RWMODE == OFlags::WRONLY {
        return Err(refused("is not open for reading"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn only_files_open_for_reading_are_taken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let write_only = File::create(&path).unwrap();
        assert!(check_file("image", &File::open(&path).unwrap()).is_ok());
        assert!(check_file("image", &write_only).is_err());
        assert!(check_file("image", &File::open(dir.path()).unwrap()).is_err());
        let place = rustix::fs::open(&path, OFlags::PATH, rustix::fs::Mode::empty()).unwrap();
        assert!(check_file("image", &place).is_err());
        let (pipe, _other) = std::io::pipe().unwrap();
        assert!(check_file("image", &pipe).is_err());
    }
}
