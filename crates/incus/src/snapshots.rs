// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! Snapshots of an instance.

use hyper::Method;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::transport::Call;
use crate::types::time;
use crate::{Config, Devices, Operation, Project, Result};

/// A snapshot as Incus describes it (`InstanceSnapshot` in `rest-api.yaml`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// The name, without that of the instance.
    pub name: String,
    /// When it was made.
    #[serde(deserialize_with = "time")]
    pub created_at: Option<Timestamp>,
    /// When Incus will delete it.
    #[serde(deserialize_with = "time")]
    pub expires_at: Option<Timestamp>,
    /// Whether the processes' memory is in it.
    pub stateful: bool,
    /// Bytes it takes; -1 or 0 where the storage driver does not count.
    pub size: i64,
    /// The configuration the instance had.
    pub config: Config,
    /// The devices the instance had.
    pub devices: Devices,
}

/// A snapshot to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SnapshotPost {
    /// The name.
    pub name: String,
    /// Whether to save the processes' memory too.
    pub stateful: bool,
    /// When Incus shall delete it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

impl SnapshotPost {
    /// A snapshot of the disk that does not expire.
    pub fn new(name: impl Into<String>) -> SnapshotPost {
        SnapshotPost {
            name: name.into(),
            ..SnapshotPost::default()
        }
    }
}

impl Project {
    /// The snapshots of an instance.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) when there is no such instance.
    pub async fn snapshots(&self, instance: &str) -> Result<Vec<Snapshot>> {
        let path = self
            .path(&["instances", instance, "snapshots"])?
            .query("recursion", "1");
        Ok(self.client.transport.get(&path).await?.value)
    }

    /// Makes a snapshot.
    ///
    /// # Errors
    /// When there is no such instance, or a snapshot of that name.
    pub async fn create_snapshot(&self, instance: &str, post: &SnapshotPost) -> Result<Operation> {
        let path = self.path(&["instances", instance, "snapshots"])?;
        self.client
            .start(Call::new(Method::POST, &path).json(post)?)
            .await
    }

    /// Brings the instance back to a snapshot. A running instance is stopped and started again by Incus.
    ///
    /// # Errors
    /// When there is no such instance; that there is no such snapshot shows here or in the operation.
    pub async fn restore_snapshot(&self, instance: &str, snapshot: &str) -> Result<Operation> {
        let call = Call::new(Method::PUT, &self.path(&["instances", instance])?);
        self.client
            .start(call.json(&json!({ "restore": snapshot, "stateful": false }))?)
            .await
    }

    /// Gives a snapshot another name.
    ///
    /// # Errors
    /// When it does not exist, or the new name is taken.
    pub async fn rename_snapshot(
        &self,
        instance: &str,
        snapshot: &str,
        new_name: &str,
    ) -> Result<Operation> {
        let path = self.path(&["instances", instance, "snapshots", snapshot])?;
        self.client
            .start(Call::new(Method::POST, &path).json(&json!({ "name": new_name }))?)
            .await
    }

    /// Deletes a snapshot.
    ///
    /// # Errors
    /// When it does not exist.
    pub async fn delete_snapshot(&self, instance: &str, snapshot: &str) -> Result<Operation> {
        let path = self.path(&["instances", instance, "snapshots", snapshot])?;
        self.client.start(Call::new(Method::DELETE, &path)).await
    }
}
