// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! Projects.

use hyper::Method;
use serde::{Deserialize, Serialize};

use crate::path::ApiPath;
use crate::transport::Call;
use crate::{Client, Config, Result, Versioned};

/// A project as Incus describes it (`Project` in `rest-api.yaml`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProjectInfo {
    /// The name.
    pub name: String,
    /// A text for people.
    pub description: String,
    /// `features.*`, `limits.*`, `restricted.*` and `user.*` keys.
    pub config: Config,
    /// API paths of what is in it.
    pub used_by: Vec<String>,
}

/// A project to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProjectPost {
    /// The name.
    pub name: String,
    /// A text for people.
    pub description: String,
    /// `features.*`, `limits.*`, `restricted.*` and `user.*` keys.
    pub config: Config,
}

impl Client {
    /// All projects.
    ///
    /// # Errors
    /// When Incus cannot be reached.
    pub async fn projects(&self) -> Result<Vec<ProjectInfo>> {
        let path = ApiPath::root_with(&["projects"]).query("recursion", "1");
        Ok(self.transport.get(&path).await?.value)
    }

    /// One project.
    ///
    /// # Errors
    /// [`is_not_found`](crate::Error::is_not_found) when there is none of that name.
    pub async fn project_info(&self, name: &str) -> Result<Versioned<ProjectInfo>> {
        self.transport
            .get(&ApiPath::new(&["projects", name])?)
            .await
    }

    /// Makes a project.
    ///
    /// # Errors
    /// [`is_conflict`](crate::Error::is_conflict) when there is one of that name.
    pub async fn create_project(&self, post: &ProjectPost) -> Result<()> {
        self.done(Call::new(Method::POST, &ApiPath::root_with(&["projects"])).json(post)?)
            .await
    }

    /// Deletes a project, which must be empty.
    ///
    /// # Errors
    /// When it does not exist or something is still in it.
    pub async fn delete_project(&self, name: &str) -> Result<()> {
        self.done(Call::new(
            Method::DELETE,
            &ApiPath::new(&["projects", name])?,
        ))
        .await
    }
}
