// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! Network access lists: which traffic a network lets through.

use hyper::Method;
use serde::{Deserialize, Serialize};

use crate::path::ApiPath;
use crate::transport::Call;
use crate::{Client, Config, Result, Versioned};

/// An access list (`NetworkACL` in `rest-api.yaml`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkAcl {
    /// The name.
    pub name: String,
    /// A text for people.
    pub description: String,
    /// What may leave instances, and what may not.
    pub egress: Vec<NetworkAclRule>,
    /// What may come to instances, and what may not.
    pub ingress: Vec<NetworkAclRule>,
    /// Keys of the user's own.
    pub config: Config,
}

/// A rule of an access list. What is left empty stands for everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkAclRule {
    /// `drop`, `reject` or `allow`; these come in this order, whatever the order of the rules.
    pub action: String,
    /// `enabled`, `disabled` or `logged`.
    pub state: String,
    /// A text for people.
    pub description: String,
    /// Addresses, separated by commas, as `10.0.0.0/8`.
    pub source: String,
    /// Addresses, separated by commas, as `10.0.0.0/8`.
    pub destination: String,
    /// `tcp`, `udp`, `icmp4` or `icmp6`.
    pub protocol: String,
}

impl Client {
    /// One access list of the default project.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) when there is none of that name.
    pub async fn network_acl(&self, name: &str) -> Result<Versioned<NetworkAcl>> {
        self.transport
            .get(&ApiPath::new(&["network-acls", name])?)
            .await
    }

    /// Makes an access list in the default project.
    ///
    /// # Errors
    /// [`is_conflict`](crate::Error::is_conflict) when there is one of that name.
    pub async fn create_network_acl(&self, acl: &NetworkAcl) -> Result<()> {
        self.done(Call::new(Method::POST, &ApiPath::root_with(&["network-acls"])).json(acl)?)
            .await
    }

    /// Gives an access list other rules, and the networks that use it too. With an ETag, only if it
    /// is still as it was read.
    ///
    /// # Errors
    /// When it does not exist, was changed meanwhile, or a rule is refused.
    pub async fn update_network_acl(&self, acl: &NetworkAcl, etag: Option<&str>) -> Result<()> {
        let path = ApiPath::new(&["network-acls", &acl.name])?;
        self.done(Call::new(Method::PUT, &path).json(acl)?.if_match(etag))
            .await
    }

    /// Deletes an access list, which must not be in use.
    ///
    /// # Errors
    /// When it does not exist or is in use.
    pub async fn delete_network_acl(&self, name: &str) -> Result<()> {
        self.done(Call::new(
            Method::DELETE,
            &ApiPath::new(&["network-acls", name])?,
        ))
        .await
    }
}
