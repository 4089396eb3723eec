// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Operations on images.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kapsule_core::image;
use zbus::message::Header;

use super::{Asked, Launched, Shared};
use crate::error::{Error, Result};
use crate::ops::OperationKind;
use crate::service::ImportSource;
use crate::users::User;
use crate::{as_user, config, users};

/// How long the folder of an image may take to open.
const PATIENCE: Duration = Duration::from_secs(10);

impl Shared {
    pub(in crate::bus) async fn refresh_images(
        self: &Arc<Self>,
        header: &Header<'_>,
        image: String,
    ) -> Result<Launched> {
        let asked = Asked::own(OperationKind::RefreshImages, &image);
        self.launch(header, asked, async move |job| {
            let settings = config::system_settings().await;
            job.service()
                .refresh_images(job.owner, &settings, &image, &job.reporter)
                .await
        })
        .await
    }

    /// From a folder, which is read with the caller's rights.
    pub(in crate::bus) async fn import_folder(
        self: &Arc<Self>,
        header: &Header<'_>,
        folder: PathBuf,
        alias: String,
    ) -> Result<Launched> {
        let asked = Asked::own(OperationKind::ImportImage, &alias);
        self.launch(header, asked, async move |job| {
            image::check_alias(&alias)?;
            let owner = users::lookup(job.owner).await?;
            let source = open_image(&owner, folder).await?;
            job.service()
                .import_image(job.owner, source, &alias, &job.reporter)
                .await
        })
        .await
    }

    /// From descriptors, which `check` has a look at first.
    pub(in crate::bus) async fn import(
        self: &Arc<Self>,
        header: &Header<'_>,
        source: ImportSource,
        check: fn(&ImportSource) -> Result<()>,
        alias: String,
    ) -> Result<Launched> {
        let asked = Asked::own(OperationKind::ImportImage, &alias);
        self.launch(header, asked, async move |job| {
            image::check_alias(&alias)?;
            check(&source)?;
            job.service()
                .import_image(job.owner, source, &alias, &job.reporter)
                .await
        })
        .await
    }

    pub(in crate::bus) async fn delete_image(
        self: &Arc<Self>,
        header: &Header<'_>,
        identifier: String,
    ) -> Result<Launched> {
        let asked = Asked::own(OperationKind::DeleteImage, &identifier);
        self.launch(header, asked, async move |job| {
            image::check_alias(&identifier)?;
            job.service()
                .delete_image(job.owner, &identifier, &job.reporter)
                .await
        })
        .await
    }
}

/// Opens the two files of an image's folder with the rights of the user.
async fn open_image(owner: &User, folder: PathBuf) -> Result<ImportSource> {
    if !folder.is_absolute() {
        return Err(Error::invalid(format!(
            "{}: the path of an image's folder must begin with '/'",
            folder.display()
        )));
    }
    as_user::run(owner, PATIENCE, "opening the image", move || {
        let open = |name: &str| {
            let path = folder.join(name);
            as_user::open_regular(&path, u64::MAX)
                .map_err(|error| Error::invalid(format!("{}: {error}", path.display())))
        };
        Ok(ImportSource::Split {
            metadata: open("incus.tar.xz")?.into(),
            rootfs: open("rootfs.squashfs")?.into(),
        })
    })
    .await?
}
