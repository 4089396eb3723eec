// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Importing images from files that the caller opened: the daemon reads no path of theirs.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use incus::{Image, ImageAliasEntry, ImageAliasPut, ImportOptions};
use kapsule_core::image;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _, ReadBuf};

use super::follow::follow;
use super::image_owners::{self, Deletion, is_visible, may_move};
use super::{Service, incus_error};
use crate::error::{Error, ErrorKind, Result};
use crate::ops::Reporter;

/// The files of an image, open for reading.
#[derive(Debug)]
pub(crate) enum ImportSource {
    /// Metadata tarball and root file system.
    Split { metadata: OwnedFd, rootfs: OwnedFd },
    /// One tarball with both.
    Unified { tarball: OwnedFd },
}

/// The largest image, in bytes. Images are compressed; what is larger is a disk, or nothing but a hole.
const MAX_IMAGE: u64 = 64 << 30;
/// The largest metadata tarball: it holds a small file, and a few templates.
const MAX_METADATA: u64 = 64 << 20;

/// How often the progress of an upload is shown.
const TICK: Duration = Duration::from_millis(200);

impl Service {
    /// Imports an image under an alias. An image of the same user that has the alias is replaced;
    /// the containers made from it stay.
    pub(crate) async fn import_image(
        &self,
        user: u32,
        source: ImportSource,
        alias: &str,
        reporter: &Reporter,
    ) -> Result<()> {
        image::check_alias(alias)?;
        let replaced = self.replaceable(user, alias).await?;
        let fingerprint = self.upload(user, source, reporter).await?;
        self.point_alias(user, alias, &fingerprint, replaced.is_some())
            .await?;
        if let Some(old) = replaced.filter(|old| old.fingerprint != fingerprint) {
            self.tidy_replaced(user, &old.fingerprint, reporter).await?;
        }
        reporter.success(format!("Image '{alias}' is imported"));
        Ok(())
    }

    /// The image that has the alias, if the user may give the alias to another one.
    async fn replaceable(&self, user: u32, alias: &str) -> Result<Option<Image>> {
        let images = self.incus.images().await.map_err(incus_error)?;
        for image in images {
            let Some(held) = image.aliases.iter().find(|held| held.name == alias) else {
                continue;
            };
            if !may_move(held, user) {
                return Err(Error::new(
                    ErrorKind::AlreadyExists,
                    format!(
                        "the image alias '{alias}' is taken by another user. Choose another one with --alias"
                    ),
                ));
            }
            return Ok(Some(image));
        }
        Ok(None)
    }

    /// Deletes an image that has lost its last alias, as far as it was the user's.
    async fn tidy_replaced(&self, user: u32, fingerprint: &str, reporter: &Reporter) -> Result<()> {
        let old = self
            .incus
            .image(fingerprint)
            .await
            .map_err(incus_error)?
            .value;
        let still_named = old.aliases.iter().any(|alias| may_move(alias, user));
        match image_owners::deletion(&old, user) {
            Deletion::Whole if old.aliases.is_empty() => {
                self.delete_whole_image(&old, reporter).await
            }
            Deletion::Share if !still_named => self.give_up_image(user, &old).await,
            _ => Ok(()),
        }
    }

    /// Makes an image that is there already the user's, too.
    async fn share(&self, user: u32, fingerprint: &str) -> Result<()> {
        let image = self.incus.image(fingerprint).await.map_err(incus_error)?;
        if is_visible(&image, user) {
            return Ok(());
        }
        let mut put = image.to_put();
        put.properties
            .insert(image_owners::property(user), "true".to_owned());
        self.incus
            .update_image(fingerprint, &put, Some(&image.etag))
            .await
            .map_err(incus_error)
    }

    /// Hands the files to Incus and returns the image's fingerprint.
    async fn upload(&self, user: u32, source: ImportSource, reporter: &Reporter) -> Result<String> {
        let properties = [(image_owners::property(user), "true".to_owned())];
        let options = ImportOptions {
            properties: properties.into_iter().collect(),
            ..ImportOptions::default()
        };
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (upload, total) = match source {
            ImportSource::Split { metadata, rootfs } => {
                let (metadata, rootfs) = (
                    regular(metadata, "metadata", MAX_METADATA)?,
                    regular(rootfs, "root file system", MAX_IMAGE)?,
                );
                let total = metadata.1 + rootfs.1;
                let (metadata, rootfs) = (watch(metadata, &seen), watch(rootfs, &seen));
                let incus = self.incus.clone();
                let send =
                    async move { incus.import_image_split(metadata, rootfs, &options).await };
                (
                    Box::pin(send) as Pin<Box<dyn Future<Output = _> + Send>>,
                    total,
                )
            }
            ImportSource::Unified { tarball } => {
                let tarball = regular(tarball, "image", MAX_IMAGE)?;
                let total = tarball.1;
                let tarball = watch(tarball, &seen);
                let incus = self.incus.clone();
                let send = async move { incus.import_image_unified(tarball, &options).await };
                (
                    Box::pin(send) as Pin<Box<dyn Future<Output = _> + Send>>,
                    total,
                )
            }
        };
        let operation = send(upload, total, &seen, reporter).await?;
        match follow(operation, reporter, "Unpacking the image").await {
            Ok(done) => done.fingerprint().map(str::to_owned).ok_or_else(|| {
                Error::failed("Incus imported the image and does not tell which one it is")
            }),
            // The very same files are there already: Incus' fingerprint is the hash of all bytes.
            Err(error) if error.message.contains("same fingerprint") => {
                let fingerprint = fingerprint(&seen);
                self.share(user, &fingerprint).await?;
                Ok(fingerprint)
            }
            Err(error) => Err(error.context("Incus does not accept the image")),
        }
    }

    async fn point_alias(
        &self,
        user: u32,
        alias: &str,
        fingerprint: &str,
        exists: bool,
    ) -> Result<()> {
        let description = image_owners::alias_description(user);
        let target = fingerprint.to_owned();
        if exists {
            let put = ImageAliasPut {
                target,
                description,
            };
            self.incus
                .update_alias(alias, &put, None)
                .await
                .map_err(incus_error)
        } else {
            let entry = ImageAliasEntry {
                name: alias.to_owned(),
                target,
                description,
                ..ImageAliasEntry::default()
            };
            self.incus.create_alias(&entry).await.map_err(incus_error)
        }
    }
}

/// Waits for an upload and shows how far it is. Dropping it on cancel ends the connection, and
/// with it the upload.
async fn send(
    mut upload: Pin<Box<dyn Future<Output = incus::Result<incus::Operation>> + Send>>,
    total: u64,
    seen: &Mutex<Seen>,
    reporter: &Reporter,
) -> Result<incus::Operation> {
    let mut progress = reporter.progress("Importing the image", Some(total));
    let mut tick = tokio::time::interval(TICK);
    let result = loop {
        tokio::select! {
            result = &mut upload => break result.map_err(incus_error),
            () = reporter.cancelled() => break Err(Error::cancelled()),
            _ = tick.tick() => progress.update(lock(seen).bytes, 0.0),
        }
    };
    progress.finish(result.is_ok(), String::new());
    result
}

/// A descriptor as a file, with its size. Refuses what is not a regular file: reading anything
/// else could wait for ever.
fn regular(descriptor: OwnedFd, what: &str, max: u64) -> Result<(File, u64)> {
    let file = File::from(descriptor);
    let metadata = file
        .metadata()
        .map_err(|error| Error::invalid(format!("cannot read the {what}: {error}")))?;
    if !metadata.is_file() {
        return Err(Error::invalid(format!("the {what} is not a regular file")));
    }
    if metadata.len() > max {
        return Err(Error::invalid(format!(
            "the {what} has {} bytes, and {max} are the most",
            metadata.len()
        )));
    }
    // What is stored takes the whole size: a file of holes would fill the disk with nothing.
    let stored = metadata.blocks().saturating_mul(512);
    if metadata.len() > MAX_METADATA && stored < metadata.len() / 16 {
        return Err(Error::invalid(format!(
            "the {what} is nearly empty: of {} bytes, {stored} are there",
            metadata.len()
        )));
    }
    Ok((file, metadata.len()))
}

/// What has been read so far, over all files.
#[derive(Default)]
struct Seen {
    bytes: u64,
    hash: Sha256,
}

fn lock(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn fingerprint(seen: &Mutex<Seen>) -> String {
    let hash = lock(seen).hash.clone().finalize();
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A file that is counted and hashed while it is read.
struct Watched {
    /// No more than there was in the beginning: its owner may write to it for ever.
    file: tokio::io::Take<tokio::fs::File>,
    seen: Arc<Mutex<Seen>>,
}

fn watch((file, length): (File, u64), seen: &Arc<Mutex<Seen>>) -> Watched {
    Watched {
        file: tokio::fs::File::from_std(file).take(length),
        seen: Arc::clone(seen),
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.file).poll_read(cx, buffer);
        if let (Poll::Ready(Ok(())), Some(new)) = (&polled, buffer.filled().get(before..)) {
            let mut seen = lock(&self.seen);
            seen.bytes += new.len() as u64;
            seen.hash.update(new);
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_too_large_nor_full_of_holes() {
        let dir = tempfile::tempdir().unwrap();
        let open = |name: &str, size: u64| {
            let path = dir.path().join(name);
            File::create(&path).unwrap().set_len(size).unwrap();
            OwnedFd::from(File::open(&path).unwrap())
        };
        assert!(regular(open("small", 1000), "image", MAX_IMAGE).is_ok());
        assert!(regular(open("large", 1001), "image", 1000).is_err());
        let error = regular(open("holes", 1 << 32), "image", MAX_IMAGE).unwrap_err();
        assert!(error.message.contains("nearly empty"), "{error}");
        let (pipe, _other) = io::pipe().unwrap();
        assert!(regular(pipe.into(), "image", MAX_IMAGE).is_err());
    }
}
