// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! The two handles: [`Client`] for what belongs to the whole server, [`Project`] for what lives in a project.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::path::ApiPath;
use crate::transport::Transport;
use crate::{Result, Server};

/// A connection-less handle on one Incus server. Cloning it is cheap.
///
/// Calls on it that touch images, networks or storage act on the project `default`, which also serves
/// every project that does not have its own (`features.images=false` and the like).
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) transport: Arc<Transport>,
}

impl Client {
    /// A client of the Incus that listens on `socket`, usually `/var/lib/incus/unix.socket`. Does no I/O.
    pub fn new(socket: impl Into<PathBuf>) -> Client {
        Client {
            transport: Arc::new(Transport::new(socket.into())),
        }
    }

    /// The socket this client talks to.
    pub fn socket(&self) -> &Path {
        self.transport.socket()
    }

    /// What is instances in the project `name`. Does no I/O: that the project exists is not checked here.
    pub fn project(&self, name: &str) -> Project {
        Project {
            client: self.clone(),
            name: name.to_owned(),
        }
    }

    /// The server's version, drivers and abilities: `GET /1.0`.
    ///
    /// # Errors
    /// When Incus cannot be reached or answers something else.
    pub async fn server(&self) -> Result<Server> {
        Ok(self.transport.get(&ApiPath::root()).await?.value)
    }
}

/// A handle on what lives in one project: its instances. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Project {
    pub(crate) client: Client,
    pub(crate) name: String,
}

impl Project {
    /// The project's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The client this handle came from.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// `/1.0/<segments>?project=<this project>`.
    pub(crate) fn path(&self, segments: &[&str]) -> Result<ApiPath> {
        Ok(ApiPath::new(segments)?.query("project", &self.name))
    }
}
