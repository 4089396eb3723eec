// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Locally built images, brought to where users of the host can import them from.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::place::Place;
use super::state::State;
use crate::image;

/// Builds an image if need be, copies it into the running host, and returns its folder as the host sees it.
pub(crate) fn provide(name: &str) -> Result<PathBuf> {
    let built = image::build(name)?;
    let place = Place::new();
    State::need(&place)?;
    let _lock = place.lock()?;
    let inside = PathBuf::from("var/cache/kapsule-images").join(name);
    let target = place.root().join(&inside);
    let stamp = target.join("made-from");
    let digest = built
        .file_name()
        .context("an image without a name")?
        .to_string_lossy()
        .into_owned();
    if fs::read_to_string(&stamp).unwrap_or_default() != digest {
        fs::create_dir_all(&target)?;
        for file in ["incus.tar.xz", "rootfs.squashfs"] {
            let copy = target.join(file);
            fs::copy(built.join(file), &copy)
                .with_context(|| format!("cannot copy {file} of the image {name} into the host"))?;
            fs::set_permissions(&copy, fs::Permissions::from_mode(0o644))?;
        }
        fs::write(&stamp, digest)?;
    }
    Ok(PathBuf::from("/").join(inside))
}
