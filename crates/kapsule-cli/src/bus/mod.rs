// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The way to the daemon.

mod event;
mod failure;
mod operation;

pub(crate) use failure::explain;
pub(crate) use operation::run_operation;

use std::future::Future;
use std::time::Duration;

use kapsule_dbus::containers::Containers1Proxy;
use kapsule_dbus::images::Images1Proxy;
use kapsule_dbus::manager::ManagerProxy;
use zbus::Connection;
use zbus::connection::Builder;

use crate::error::{CommandError, ErrorKind};

/// How long a method may take. Long work is an operation and answers at once, so this only covers
/// starting the daemon and Incus, which the bus itself gives 25 seconds.
const METHOD_TIMEOUT: Duration = Duration::from_secs(60);

/// Runs `work` to its end, on this thread.
pub(crate) fn block_on<T>(
    work: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, CommandError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            CommandError::new(ErrorKind::Failed, error).context("cannot set up this program")
        })?
        .block_on(work)
}

/// A connection to the system bus. The daemon is started by the first call.
#[derive(Clone, Debug)]
pub(crate) struct Bus {
    connection: Connection,
}

impl Bus {
    pub(crate) async fn connect() -> Result<Self, CommandError> {
        let connection = Builder::system()
            .method_timeout(METHOD_TIMEOUT)
            .build()
            .await
            .map_err(|error| {
                CommandError::failed(format!("cannot reach the system bus: {error}"))
                    .hint("kapsule talks to its service over D-Bus; check that D-Bus runs: systemctl status dbus")
            })?;
        Ok(Self { connection })
    }

    pub(crate) async fn manager(&self) -> Result<ManagerProxy<'static>, CommandError> {
        ManagerProxy::new(&self.connection).await.map_err(explain)
    }

    pub(crate) async fn containers(&self) -> Result<Containers1Proxy<'static>, CommandError> {
        Containers1Proxy::new(&self.connection)
            .await
            .map_err(explain)
    }

    pub(crate) async fn images(&self) -> Result<Images1Proxy<'static>, CommandError> {
        Images1Proxy::new(&self.connection).await.map_err(explain)
    }
}
