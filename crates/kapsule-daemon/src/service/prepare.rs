// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What a user's containers need before the first one can be made: an Incus that is new enough, a
//! storage pool, the user's project and network, and the right to map their number. Each step
//! looks first, so that it is done once, and says what it changed.

use std::path::Path;

use incus::{ProjectPost, StoragePoolPost};
use kapsule_core::isolation::Isolation;
use kapsule_core::options::Options;
use kapsule_core::settings::Settings;
use tracing::info;

use super::place::project_name;
use super::{Service, incus_error, subid};
use crate::error::{Error, ErrorKind, Result};
use crate::ops::Reporter;
use crate::users::User;

/// The oldest Incus that works: the first long-term release.
const OLDEST_INCUS: u32 = 6;

impl Service {
    /// Refuses an Incus that is missing or too old.
    pub(super) async fn check_incus(&self) -> Result<incus::Server> {
        let server = self.incus.server().await.map_err(incus_error)?;
        check_version(&server.environment.server_version)?;
        Ok(server)
    }

    /// Makes sure that everything is there for a container of this user. Returns what Incus says of
    /// itself.
    pub(super) async fn prepare(
        &self,
        owner: &User,
        settings: &Settings,
        options: &Options,
        reporter: &Reporter,
    ) -> Result<incus::Server> {
        let _alone = self.preparing.lock().await;
        let server = self.check_incus().await?;
        if options.isolation == Isolation::Standard {
            let added = subid::allow(Path::new("/etc"), owner.uid, owner.gid)?;
            self.changed(
                reporter,
                added.into_iter().map(|line| format!("Added to {line}")),
            );
        }
        self.ensure_pool(&server, settings, reporter).await?;
        self.ensure_project(owner, reporter).await?;
        self.ensure_network(owner, settings, options, reporter)
            .await?;
        Ok(server)
    }

    /// Tells the user and the journal what became different on the host.
    pub(super) fn changed(&self, reporter: &Reporter, texts: impl IntoIterator<Item = String>) {
        for text in texts {
            info!(change = text, "host changed");
            reporter.dim(text);
        }
    }

    async fn ensure_pool(
        &self,
        server: &incus::Server,
        settings: &Settings,
        reporter: &Reporter,
    ) -> Result<()> {
        match self.incus.storage_pool(&settings.pool).await {
            Ok(_) => return Ok(()),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(incus_error(error)),
        }
        let has = |driver: &str| {
            server
                .environment
                .storage_supported_drivers
                .iter()
                .any(|d| d.name == driver)
        };
        // Copy-on-write where Incus' own folder is on btrfs: then a pool is a subvolume of it, and
        // needs neither a disk nor a fixed size. Otherwise plain folders.
        let incus_folder = self
            .incus
            .socket()
            .parent()
            .unwrap_or(Path::new("/var/lib/incus"));
        let driver = if has("btrfs") && is_btrfs(incus_folder) {
            "btrfs"
        } else {
            "dir"
        };
        let mut config = incus::Config::new();
        if driver == "btrfs" {
            let source = incus_folder.join("storage-pools").join(&settings.pool);
            config.insert("source".to_owned(), source.to_string_lossy().into_owned());
        }
        let post = StoragePoolPost {
            name: settings.pool.clone(),
            driver: driver.to_owned(),
            description: "Kapsule containers".to_owned(),
            config,
        };
        already_is_fine(self.incus.create_storage_pool(&post).await).map_err(|error| {
            error.context(format!("cannot make the storage pool '{}'", settings.pool))
        })?;
        self.changed(
            reporter,
            [format!(
                "Made the storage pool '{}' ({driver})",
                settings.pool
            )],
        );
        Ok(())
    }

    async fn ensure_project(&self, owner: &User, reporter: &Reporter) -> Result<()> {
        let name = project_name(owner.uid);
        match self.incus.project_info(&name).await {
            Ok(_) => return Ok(()),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(incus_error(error)),
        }
        let own = |on: bool| on.to_string();
        let config = [
            // Shared with the default project, so that an image is stored once.
            ("features.images", own(false)),
            ("features.profiles", own(false)),
            ("features.networks", own(false)),
            ("features.storage.volumes", own(true)),
            ("user.kapsule.owner", owner.uid.to_string()),
        ];
        let post = ProjectPost {
            name: name.clone(),
            description: format!("Kapsule containers of {}", owner.name),
            config: config
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
        };
        already_is_fine(self.incus.create_project(&post).await)
            .map_err(|error| error.context(format!("cannot make the Incus project '{name}'")))?;
        self.changed(reporter, [format!("Made the Incus project '{name}'")]);
        Ok(())
    }
}

fn check_version(version: &str) -> Result<()> {
    let major = version
        .split('.')
        .next()
        .and_then(|major| major.parse::<u32>().ok());
    if major.is_some_and(|major| major >= OLDEST_INCUS) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::IncusUnavailable,
        format!(
            "Incus {version} is too old: Kapsule needs Incus {OLDEST_INCUS}.0 or newer. Update Incus"
        ),
    ))
}

/// Somebody else (an administrator, another daemon) may have been quicker.
pub(super) fn already_is_fine<T>(result: incus::Result<T>) -> Result<()> {
    match result {
        Ok(_) => Ok(()),
        Err(error) if error.is_conflict() => Ok(()),
        Err(error) => Err(incus_error(error)),
    }
}

/// `BTRFS_SUPER_MAGIC` of linux/magic.h.
const BTRFS_MAGIC: u64 = 0x9123_683E;

fn is_btrfs(folder: &Path) -> bool {
    rustix::fs::statfs(folder).is_ok_and(|stat| u64::try_from(stat.f_type) == Ok(BTRFS_MAGIC))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incus_that_is_too_old_is_named() {
        for new_enough in ["6.0.4", "6.0", "7.0.2", "10.1"] {
            assert!(check_version(new_enough).is_ok(), "{new_enough}");
        }
        for old in ["0.7", "5.21.2", "", "x"] {
            let error = check_version(old).unwrap_err();
            assert_eq!(error.kind, ErrorKind::IncusUnavailable);
            assert!(
                error.message.contains("too old") && error.message.contains(old),
                "{old}"
            );
        }
    }
}
