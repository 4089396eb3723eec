// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `cargo xtask image build`: split Incus images from the recipes in `images/`.

mod recipe;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};

use self::recipe::Recipe;
use crate::digest::Digest;
use crate::host::rootfs::MMDEBSTRAP;
use crate::run::{cmd, run};
use crate::{dirs, needs};

/// To be raised when this code makes another image of the same recipe.
const REVISION: &str = "2";

/// Builds an image unless it is in the cache, and returns the folder with `incus.tar.xz` and
/// `rootfs.squashfs`.
pub(crate) fn build(name: &str) -> Result<PathBuf> {
    let source = dirs::workspace().join("images").join(name);
    if name.contains('/') || !source.join("recipe").is_file() {
        bail!(
            "there is no recipe images/{name}/recipe; there are: {}",
            names()?.join(", ")
        );
    }
    let text = fs::read_to_string(source.join("recipe"))?;
    let recipe = Recipe::parse(&text).with_context(|| format!("images/{name}/recipe"))?;
    let digest = Digest::new()
        .add(REVISION)
        .add(MMDEBSTRAP.join("\n"))
        .add_path(&source)?
        .hex();
    let parent = dirs::cache().join("images");
    let target = parent.join(format!("{name}-{digest}"));
    if target.join("rootfs.squashfs").exists() {
        return Ok(target);
    }
    needs::ensure(needs::HOST)?;
    eprintln!(
        "xtask: building the image {name} (Debian {}), up to a minute",
        recipe.suite
    );
    fs::create_dir_all(&parent)?;
    let work = tempfile::Builder::new()
        .prefix(&format!("part-{name}-"))
        .tempdir_in(&parent)?;
    make_root(&recipe, &source, &work.path().join("rootfs.squashfs"))?;
    make_metadata(&recipe, work.path())?;
    fs::rename(work.keep(), &target)
        .with_context(|| format!("cannot make {}", target.display()))?;
    dirs::prune(&parent, &format!("{name}-"), "", &digest)?;
    Ok(target)
}

/// The names of all recipes.
pub(crate) fn names() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dirs::workspace().join("images"))? {
        let entry = entry?;
        if entry.path().join("recipe").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn make_root(recipe: &Recipe, source: &Path, squashfs: &Path) -> Result<()> {
    let tar = squashfs.with_extension("tar");
    let mut mmdebstrap = cmd("mmdebstrap", MMDEBSTRAP);
    mmdebstrap
        .arg(format!("--variant={}", recipe.variant))
        .arg(format!("--include={}", recipe.packages.join(",")));
    let hook = if recipe.variant == "extract" {
        // mmdebstrap has no later hook where packages are only unpacked; what it would clean up after it,
        // the recipe may have removed altogether.
        mmdebstrap.arg("--skip=cleanup");
        "extract"
    } else {
        "customize"
    };
    if source.join("files").is_dir() {
        let files = source.join("files").join(".");
        mmdebstrap.arg(format!(
            "--{hook}-hook=cp --recursive --no-dereference --preserve=mode '{}' \"$1\"",
            files.display()
        ));
    }
    if source.join("customize").is_file() {
        mmdebstrap.arg(format!(
            "--{hook}-hook={}",
            source.join("customize").display()
        ));
    }
    run(mmdebstrap.arg(&recipe.suite).arg(&tar))?;
    // From the archive, since its extended attributes (file capabilities) survive there whatever the file
    // system in between. The level trades a tenth of the size for most of the time.
    let pack = r#"mksquashfs - "$2" -tar -root-mode 755 -noappend -quiet -no-progress -comp zstd -Xcompression-level 6 < "$1""#;
    run(cmd("sh", ["-c", pack, "sh"]).arg(&tar).arg(squashfs))?;
    fs::remove_file(tar)?;
    Ok(())
}

/// The metadata half of a split image: Incus' "image format" page describes metadata.yaml.
fn make_metadata(recipe: &Recipe, folder: &Path) -> Result<()> {
    let created = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    // JSON is YAML, and quotes for us.
    let metadata = serde_json::json!({
        "architecture": std::env::consts::ARCH,
        "creation_date": created,
        "properties": {
            "architecture": std::env::consts::ARCH,
            "description": recipe.description,
            "os": recipe.os,
            "release": recipe.suite,
        },
    });
    fs::write(
        folder.join("metadata.yaml"),
        serde_json::to_vec_pretty(&metadata)?,
    )?;
    run(cmd("tar", ["--owner=0", "--group=0", "-cJf"])
        .arg(folder.join("incus.tar.xz"))
        .arg("-C")
        .arg(folder)
        .arg("metadata.yaml"))?;
    fs::remove_file(folder.join("metadata.yaml"))?;
    Ok(())
}
