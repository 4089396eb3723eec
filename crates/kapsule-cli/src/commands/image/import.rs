// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `kapsule image import`
//!
//! The files are opened here, with the user's rights, and handed over open: the daemon reads no
//! path that a user tells it.

use std::ffi::OsStr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use clap::ValueHint;
use kapsule_core::image::check_alias;
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use zbus::Fd;

use crate::bus::{Bus, run_operation};
use crate::error::{CommandError, ErrorKind};
use crate::ui;

const METADATA: &str = "incus.tar.xz";
const ROOTFS: &str = "rootfs.squashfs";

/// Import an image from files
///
/// PATH is a directory that holds incus.tar.xz and rootfs.squashfs, or one tarball with
/// metadata.yaml and rootfs/ in it. An image that has the alias already is replaced.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kapsule image import ./debian              then: kapsule create dev --image local:debian
  kapsule image import backup.tar.gz --alias work")]
pub(crate) struct Args {
    /// Directory or tarball
    #[arg(value_hint = ValueHint::AnyPath)]
    path: PathBuf,
    /// Alias to give it [default: the name of the directory or tarball]
    #[arg(short, long, value_name = "NAME")]
    alias: Option<String>,
}

/// An image, open for reading.
#[derive(Debug)]
enum Files {
    Split { metadata: OwnedFd, rootfs: OwnedFd },
    Unified(OwnedFd),
}

pub(crate) async fn run(args: Args) -> Result<(), CommandError> {
    let files = open_files(&args.path)?;
    let alias = match args.alias {
        Some(alias) => alias,
        None => default_alias(&args.path)?,
    };
    check_alias(&alias)
        .map_err(|why| CommandError::usage(why).hint("give it another one: --alias NAME"))?;

    let bus = Bus::connect().await?;
    ui::heading(&format!("Importing image: {alias}"));
    let images = bus.images().await?;
    let result = match &files {
        Files::Split { metadata, rootfs } => {
            run_operation(&bus, async || {
                let (metadata, rootfs) = (Fd::from(metadata.as_fd()), Fd::from(rootfs.as_fd()));
                images.import(metadata, rootfs, &alias).await
            })
            .await
        }
        Files::Unified(tarball) => {
            run_operation(&bus, async || {
                let tarball = Fd::from(tarball.as_fd());
                images.import_unified(tarball, &alias).await
            })
            .await
        }
    };
    result.map_err(|error| error.context(format!("cannot import image '{alias}'")))?;
    ui::hint(&format!(
        "make a container from it: kapsule create NAME --image local:{alias}"
    ));
    Ok(())
}

fn open_files(path: &Path) -> Result<Files, CommandError> {
    if path.is_dir() {
        return Ok(Files::Split {
            metadata: open_file(&path.join(METADATA))?,
            rootfs: open_file(&path.join(ROOTFS))?,
        });
    }
    Ok(Files::Unified(open_file(path)?))
}

/// Opens a regular file, and is not kept waiting by anything else.
fn open_file(path: &Path) -> Result<OwnedFd, CommandError> {
    let failed = |why: &dyn std::fmt::Display| {
        CommandError::failed(format!(
            "cannot read '{}': {why}",
            ui::escape(&path.to_string_lossy())
        ))
        .with_kind(ErrorKind::Failed)
        .hint(format!(
            "an image is a directory with {METADATA} and {ROOTFS}, or one tarball"
        ))
    };
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file =
        open(path, flags, Mode::empty()).map_err(|errno| failed(&std::io::Error::from(errno)))?;
    let status = fstat(&file).map_err(|errno| failed(&std::io::Error::from(errno)))?;
    match FileType::from_raw_mode(status.st_mode) {
        FileType::RegularFile => Ok(file),
        _ => Err(failed(&"it is not a regular file")),
    }
}

/// The name of the directory or file, without what says that it is a tarball.
fn default_alias(path: &Path) -> Result<String, CommandError> {
    let absolute = path.canonicalize().map_err(|error| {
        CommandError::new(ErrorKind::Failed, error).context(format!(
            "cannot read '{}'",
            ui::escape(&path.to_string_lossy())
        ))
    })?;
    let name = absolute
        .file_name()
        .and_then(OsStr::to_str)
        .unwrap_or_default();
    Ok(if absolute.is_dir() { name } else { stem(name) }.to_owned())
}

fn stem(name: &str) -> &str {
    let name = [".gz", ".xz", ".zst", ".bz2", ".lzma"]
        .iter()
        .find_map(|extension| name.strip_suffix(extension))
        .unwrap_or(name);
    name.strip_suffix(".tar").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::Builder::new().prefix("image").tempdir().unwrap()
    }

    #[test]
    fn a_directory_is_a_split_image() {
        let folder = folder();
        let missing = open_files(folder.path()).unwrap_err().to_string();
        assert!(missing.contains(METADATA), "{missing}");
        std::fs::write(folder.path().join(METADATA), "m").unwrap();
        let missing = open_files(folder.path()).unwrap_err().to_string();
        assert!(missing.contains(ROOTFS), "{missing}");
        std::fs::write(folder.path().join(ROOTFS), "r").unwrap();
        assert!(matches!(
            open_files(folder.path()).unwrap(),
            Files::Split { .. }
        ));
    }

    #[test]
    fn a_file_is_a_unified_image_and_nothing_else_is() {
        let folder = folder();
        let file = folder.path().join("x.tar.xz");
        std::fs::write(&file, "x").unwrap();
        assert!(matches!(open_files(&file).unwrap(), Files::Unified(_)));
        let fifo = folder.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, Mode::RUSR, 0).unwrap();
        for path in [
            fifo.as_path(),
            Path::new("/dev/null"),
            Path::new("/nonexistent"),
        ] {
            assert!(open_files(path).is_err(), "{}", path.display());
        }
    }

    #[test]
    fn is_called_what_the_files_are_called() {
        let folder = folder();
        let name = folder
            .path()
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        assert_eq!(default_alias(folder.path()).unwrap(), name);
        assert_eq!(default_alias(&folder.path().join(".")).unwrap(), name);
        for (file, alias) in [
            ("a.tar.xz", "a"),
            ("b.tar", "b"),
            ("c.d.tar.gz", "c.d"),
            ("e", "e"),
        ] {
            std::fs::write(folder.path().join(file), "x").unwrap();
            assert_eq!(default_alias(&folder.path().join(file)).unwrap(), alias);
        }
    }
}
