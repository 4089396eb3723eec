// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The way to the daemon.

mod event;
mod failure;
mod operation;
mod password;

use failure::explain;
pub(crate) use operation::run_operation;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use kapsule_dbus::admin::Admin1Proxy;
use kapsule_dbus::containers::Containers1Proxy;
use kapsule_dbus::images::Images1Proxy;
use kapsule_dbus::manager::ManagerProxy;
use password::TextAgent;
use tokio::sync::OnceCell;
use zbus::connection::Builder;
use zbus::{Connection, fdo};

use crate::error::{CommandError, ErrorKind};

/// How long a method may take. Long work is an operation and answers at once, so this only covers
/// starting the daemon and Incus, which the bus itself gives 25 seconds.
const METHOD_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a method may take that may wait for a password: a little longer than the daemon lets
/// people take.
const PASSWORD_TIMEOUT: Duration = Duration::from_secs(330);

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
    /// There when it was needed once.
    agent: Arc<OnceCell<Option<TextAgent>>>,
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
        Ok(Self {
            connection,
            agent: Arc::default(),
        })
    }

    /// Calls a method that answers at once, unless somebody has to give a password first. Where
    /// there is nobody who could be asked, the person at this terminal is.
    pub(crate) async fn ask<T>(
        &self,
        call: impl AsyncFn() -> zbus::Result<T>,
    ) -> Result<T, CommandError> {
        let error = match within(PASSWORD_TIMEOUT, call()).await.map_err(explain) {
            Err(error) if error.kind == ErrorKind::PasswordNeeded => error,
            other => return other,
        };
        match self.find_somebody().await {
            true => within(PASSWORD_TIMEOUT, call()).await.map_err(explain),
            false => Err(error),
        }
    }

    /// Whether asking again can help where nobody could be asked for a password: true once.
    async fn find_somebody(&self) -> bool {
        if self.agent.initialized() {
            return false;
        }
        let agent = self.agent.get_or_init(TextAgent::start).await;
        agent.is_some()
    }

    /// Whether nobody has been looked for yet, and there may be somebody.
    fn may_find_somebody(&self) -> bool {
        !self.agent.initialized() && TextAgent::would_help()
    }

    /// The user's containers as JSON, for a reader who does not expect a password dialog.
    pub(crate) async fn list_quietly(&self) -> Result<String, CommandError> {
        let answer = self.connection.call_method(
            Some(kapsule_dbus::BUS_NAME),
            kapsule_dbus::ROOT_PATH,
            Some("org.kde.kapsule.Containers1"),
            "List",
            &(),
        );
        let answer = answer.await.map_err(explain)?;
        answer.body().deserialize().map_err(explain)
    }

    pub(crate) async fn admin(&self) -> Result<Admin1Proxy<'static>, CommandError> {
        Admin1Proxy::new(&self.connection).await.map_err(explain)
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

/// Waits for an answer. Calls that may wait for a password have no limit of their own.
async fn within<T>(time: Duration, call: impl Future<Output = zbus::Result<T>>) -> zbus::Result<T> {
    let late = |_| Err(fdo::Error::TimedOut("it took too long".to_owned()).into());
    tokio::time::timeout(time, call).await.unwrap_or_else(late)
}
