// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! Instances: list, create, change, delete.

use hyper::Method;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::transport::Call;
use crate::types::time;
use crate::{
    Config, Devices, InstanceState, Operation, Project, Result, Snapshot, StatusCode, Versioned,
};

/// An instance as Incus describes it (`Instance` in `rest-api.yaml`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Instance {
    /// The name.
    pub name: String,
    /// The project it is in.
    pub project: String,
    /// A text for people.
    pub description: String,
    /// The status in words: `Running`, `Stopped`, `Frozen`, `Error`.
    pub status: String,
    /// The status.
    pub status_code: StatusCode,
    /// `container` or `virtual-machine`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The processor architecture.
    pub architecture: String,
    /// Its own configuration, with Incus' `volatile.*` and `image.*` keys.
    pub config: Config,
    /// Its own devices.
    pub devices: Devices,
    /// Its configuration with that of its profiles.
    pub expanded_config: Config,
    /// Its devices with those of its profiles.
    pub expanded_devices: Devices,
    /// Its profiles.
    pub profiles: Vec<String>,
    /// Whether it is deleted when it stops.
    pub ephemeral: bool,
    /// Whether it has a saved state to go on from.
    pub stateful: bool,
    /// When it was made.
    #[serde(deserialize_with = "time")]
    pub created_at: Option<Timestamp>,
    /// When it was last started.
    #[serde(deserialize_with = "time")]
    pub last_used_at: Option<Timestamp>,
    /// The cluster member it is on.
    pub location: String,
}

impl Instance {
    /// Whether it runs. A frozen instance does not.
    pub fn is_running(&self) -> bool {
        matches!(self.status_code, StatusCode::RUNNING | StatusCode::READY)
    }

    /// What [`Project::put_instance`] wants, with nothing changed.
    pub fn to_put(&self) -> InstancePut {
        InstancePut {
            architecture: self.architecture.clone(),
            config: self.config.clone(),
            description: self.description.clone(),
            devices: self.devices.clone(),
            ephemeral: self.ephemeral,
            profiles: self.profiles.clone(),
            stateful: self.stateful,
        }
    }
}

/// An instance with its state and snapshots (`InstanceFull` in `rest-api.yaml`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InstanceFull {
    /// The instance.
    #[serde(flatten)]
    pub instance: Instance,
    /// What it is doing.
    pub state: InstanceState,
    /// Its snapshots.
    pub snapshots: Vec<Snapshot>,
}

/// Where a new instance's root comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstanceSource {
    /// A local image, by fingerprint.
    Fingerprint(String),
    /// A local image, by alias.
    Alias(String),
    /// An image of a simplestreams server, downloaded within the operation unless it is there already.
    Simplestreams {
        /// The server's address.
        server: String,
        /// The image's alias on it.
        alias: String,
    },
    /// Another instance, or `instance/snapshot`.
    Copy {
        /// What to copy.
        source: String,
        /// The project it is in.
        project: String,
        /// Whether to leave its snapshots behind.
        instance_only: bool,
    },
    /// An empty root.
    Empty,
}

impl InstanceSource {
    fn to_json(&self) -> Value {
        match self {
            InstanceSource::Fingerprint(fingerprint) => {
                json!({"type": "image", "fingerprint": fingerprint})
            }
            InstanceSource::Alias(alias) => json!({"type": "image", "alias": alias}),
            InstanceSource::Simplestreams { server, alias } => json!({
                "type": "image", "mode": "pull", "protocol": "simplestreams", "server": server, "alias": alias,
            }),
            InstanceSource::Copy {
                source,
                project,
                instance_only,
            } => json!({
                "type": "copy", "source": source, "project": project, "instance_only": instance_only,
            }),
            InstanceSource::Empty => json!({"type": "none"}),
        }
    }
}

/// An instance to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstancePost {
    /// The name.
    pub name: String,
    /// Where its root comes from.
    pub source: InstanceSource,
    /// `container` or `virtual-machine`.
    pub kind: String,
    /// A text for people.
    pub description: String,
    /// Its configuration.
    pub config: Config,
    /// Its devices. Without profiles it needs a root disk here.
    pub devices: Devices,
    /// Its profiles. `None` lets Incus take the image's, or `default`; an empty list means none.
    pub profiles: Option<Vec<String>>,
    /// Whether to delete it when it stops.
    pub ephemeral: bool,
    /// Whether to start it within the operation.
    pub start: bool,
}

impl InstancePost {
    /// A container of that name from that source, with Incus' defaults for everything else.
    pub fn new(name: impl Into<String>, source: InstanceSource) -> InstancePost {
        InstancePost {
            name: name.into(),
            source,
            kind: "container".to_owned(),
            description: String::new(),
            config: Config::new(),
            devices: Devices::new(),
            profiles: None,
            ephemeral: false,
            start: false,
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "source": self.source.to_json(),
            "type": self.kind,
            "description": self.description,
            "config": self.config,
            "devices": self.devices,
            "profiles": self.profiles,
            "ephemeral": self.ephemeral,
            "start": self.start,
        })
    }
}

/// Changes to an instance. What is empty stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct InstancePatch {
    /// Keys to set. A key cannot be taken away this way: use [`Project::put_instance`].
    #[serde(skip_serializing_if = "Config::is_empty")]
    pub config: Config,
    /// Devices to add or replace, each whole. A device cannot be taken away this way.
    #[serde(skip_serializing_if = "Devices::is_empty")]
    pub devices: Devices,
    /// The description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The profiles, all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profiles: Option<Vec<String>>,
}

/// All that can be changed in an instance, whole: what is left out is taken away. See [`Instance::to_put`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct InstancePut {
    /// The processor architecture.
    pub architecture: String,
    /// Its configuration, with Incus' `volatile.*` keys.
    pub config: Config,
    /// A text for people.
    pub description: String,
    /// Its devices.
    pub devices: Devices,
    /// Whether to delete it when it stops.
    pub ephemeral: bool,
    /// Its profiles.
    pub profiles: Vec<String>,
    /// Whether it has a saved state to go on from.
    pub stateful: bool,
}

impl Project {
    /// All instances.
    ///
    /// # Errors
    /// When Incus cannot be reached, or the project does not exist.
    pub async fn instances(&self) -> Result<Vec<Instance>> {
        let path = self.path(&["instances"])?.query("recursion", "1");
        Ok(self.client.transport.get(&path).await?.value)
    }

    /// All instances with state and snapshots. Slower: Incus looks into each that runs.
    ///
    /// # Errors
    /// As [`Project::instances`].
    pub async fn instances_full(&self) -> Result<Vec<InstanceFull>> {
        let path = self.path(&["instances"])?.query("recursion", "2");
        Ok(self.client.transport.get(&path).await?.value)
    }

    /// One instance.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) when there is none of that name.
    pub async fn instance(&self, name: &str) -> Result<Versioned<Instance>> {
        self.client
            .transport
            .get(&self.path(&["instances", name])?)
            .await
    }

    /// Makes an instance.
    ///
    /// # Errors
    /// When the request is refused, such as for a bad name or an unknown image. That the name is taken shows here or
    /// in the operation; [`is_conflict`](crate::Error::is_conflict) knows both.
    pub async fn create_instance(&self, post: &InstancePost) -> Result<Operation> {
        let call = Call::new(Method::POST, &self.path(&["instances"])?).json(&post.to_json())?;
        self.client.start(call).await
    }

    /// Changes some of an instance, at once. With an ETag, only if it is still as it was read.
    ///
    /// # Errors
    /// When it does not exist, was changed meanwhile, or a key or device is refused.
    pub async fn patch_instance(
        &self,
        name: &str,
        patch: &InstancePatch,
        etag: Option<&str>,
    ) -> Result<()> {
        let call = Call::new(Method::PATCH, &self.path(&["instances", name])?);
        self.client.done(call.json(patch)?.if_match(etag)).await
    }

    /// Replaces all that can be changed of an instance. With an ETag, only if it is still as it was read.
    ///
    /// # Errors
    /// As [`Project::patch_instance`]; a refused key or device shows in the operation.
    pub async fn put_instance(
        &self,
        name: &str,
        put: &InstancePut,
        etag: Option<&str>,
    ) -> Result<Operation> {
        let call = Call::new(Method::PUT, &self.path(&["instances", name])?);
        self.client.start(call.json(put)?.if_match(etag)).await
    }

    /// Gives a stopped instance another name.
    ///
    /// # Errors
    /// When it does not exist or runs, or the new name is taken or not allowed.
    pub async fn rename_instance(&self, name: &str, new_name: &str) -> Result<Operation> {
        let call = Call::new(Method::POST, &self.path(&["instances", name])?);
        self.client
            .start(call.json(&json!({ "name": new_name }))?)
            .await
    }

    /// Deletes a stopped instance with its snapshots.
    ///
    /// # Errors
    /// When it does not exist or runs.
    pub async fn delete_instance(&self, name: &str) -> Result<Operation> {
        self.client
            .start(Call::new(Method::DELETE, &self.path(&["instances", name])?))
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::decode;

    #[test]
    fn posts_say_what_incus_expects() {
        let mut post = InstancePost::new("a", InstanceSource::Alias("debian/13".into()));
        assert_eq!(post.to_json()["profiles"], Value::Null);
        post.profiles = Some(vec![]);
        let json = post.to_json();
        assert_eq!(json["profiles"], json!([]));
        assert_eq!(json["type"], "container");
        assert_eq!(
            json["source"],
            json!({"type": "image", "alias": "debian/13"})
        );
    }

    #[test]
    fn an_empty_patch_changes_nothing() {
        assert_eq!(
            serde_json::to_value(InstancePatch::default()).unwrap(),
            json!({})
        );
    }

    #[test]
    fn a_full_instance_is_read() {
        let full: InstanceFull = decode(json!({
            "name": "a", "status": "Running", "status_code": 103, "type": "container", "profiles": null,
            "created_at": "2026-11-22T10:00:00Z", "last_used_at": "1970-01-01T00:00:00Z",
            "devices": {"root": {"type": "disk"}}, "backups": null, "snapshots": [{"name": "s"}],
            "state": {"status_code": 103, "disk": null, "pid": 7, "network": {"eth0": {"addresses": [
                {"family": "inet", "address": "10.0.0.2", "netmask": "24", "scope": "global"},
                {"family": "inet6", "address": "fe80::1", "netmask": "64", "scope": "link"}]}}},
        }))
        .unwrap();
        assert!(full.instance.is_running());
        assert!(full.instance.created_at.is_some() && full.instance.last_used_at.is_none());
        assert_eq!(full.snapshots[0].name, "s");
        let addresses: Vec<_> = full
            .state
            .global_addresses()
            .map(|address| address.address.as_str())
            .collect();
        assert_eq!(addresses, ["10.0.0.2"]);
    }
}
