// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! Storage pools.

use hyper::Method;
use serde::{Deserialize, Serialize};

use crate::path::ApiPath;
use crate::transport::Call;
use crate::{Client, Config, Result, Versioned};

/// A storage pool as Incus describes it (`StoragePool` in `rest-api.yaml`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoragePool {
    /// The name.
    pub name: String,
    /// A text for people.
    pub description: String,
    /// `dir`, `btrfs`, `zfs`, `lvm` …
    pub driver: String,
    /// `Created`, `Pending`, `Errored`, `Unavailable` or `Unknown`.
    pub status: String,
    /// Keys such as `source` and `size`.
    pub config: Config,
    /// API paths of what uses it.
    pub used_by: Vec<String>,
}

/// A storage pool to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StoragePoolPost {
    /// The name.
    pub name: String,
    /// A text for people.
    pub description: String,
    /// `dir`, `btrfs`, `zfs`, `lvm` …
    pub driver: String,
    /// Keys such as `source` and `size`.
    pub config: Config,
}

/// How full a pool is, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StorageSpace {
    /// Bytes in use.
    pub used: u64,
    /// Bytes in all.
    pub total: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Resources {
    space: StorageSpace,
}

impl Client {
    /// All storage pools.
    ///
    /// # Errors
    /// When Incus cannot be reached.
    pub async fn storage_pools(&self) -> Result<Vec<StoragePool>> {
        let path = ApiPath::root_with(&["storage-pools"]).query("recursion", "1");
        Ok(self.transport.get(&path).await?.value)
    }

    /// One storage pool.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) when there is none of that name.
    pub async fn storage_pool(&self, name: &str) -> Result<Versioned<StoragePool>> {
        self.transport
            .get(&ApiPath::new(&["storage-pools", name])?)
            .await
    }

    /// How full a storage pool is.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) when there is none of that name.
    pub async fn storage_pool_space(&self, name: &str) -> Result<StorageSpace> {
        let path = ApiPath::new(&["storage-pools", name, "resources"])?;
        Ok(self.transport.get::<Resources>(&path).await?.value.space)
    }

    /// Makes a storage pool.
    ///
    /// # Errors
    /// [`is_conflict`](crate::Error::is_conflict) when there is one of that name; else in the driver's words.
    pub async fn create_storage_pool(&self, post: &StoragePoolPost) -> Result<()> {
        self.done(Call::new(Method::POST, &ApiPath::root_with(&["storage-pools"])).json(post)?)
            .await
    }

    /// Deletes a storage pool, which must not be in use.
    ///
    /// # Errors
    /// When it does not exist or is in use.
    pub async fn delete_storage_pool(&self, name: &str) -> Result<()> {
        self.done(Call::new(
            Method::DELETE,
            &ApiPath::new(&["storage-pools", name])?,
        ))
        .await
    }
}
