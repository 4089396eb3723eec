// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The daemon on the bus: objects, methods, signals, and nothing that decides.
//!
//! Signals about an operation go only to connections of its owner that have called
//! the daemon: what a user's containers are called, and what goes on in them, is nobody else's
//! business, and a broadcast reaches everybody. The price is that a program that only listens,
//! as `gdbus monitor` does, hears nothing of operations; `busctl monitor`, as root, does. Sending
//! to all connections of the owner instead would make security modules that guard the bus report
//! each program that did not ask.
//!
//! The same holds for `ContainersChanged`: it says nothing, but when it comes tells when somebody
//! works. Existing clients read `Version` or a list before they wait for it, which is a call. It
//! is sent to everybody once, when the service begins: then all that it says is that, and clients
//! that have called an earlier run look again and so are known to this one.

mod admin;
mod containers;
mod enter;
mod error;
mod gate;
mod images;
mod launch;
mod look;
mod manager;
mod object_manager;
mod operation;
mod options;
mod resolver;
mod signals;

use std::sync::Arc;

pub(crate) use gate::Gate;
use tokio::sync::mpsc;
use zbus::Connection;
use zbus::message::Header;
use zbus::object_server::SignalEmitter;

use crate::caller::{Caller, Callers};
use crate::error::Result;
use crate::ops::{Event, Operations};
use crate::policy::{Act, Policy};
use crate::service::Service;

/// What all interfaces work with.
#[derive(Debug)]
pub(crate) struct Shared {
    connection: Connection,
    callers: Callers,
    policy: Policy,
    operations: Operations,
    service: Arc<Service>,
}

impl Shared {
    async fn caller(&self, header: &Header<'_>) -> Result<Caller> {
        self.callers.identify(header).await
    }

    /// The caller, who may do this.
    async fn permitted(&self, header: &Header<'_>, act: Act) -> Result<Caller> {
        let caller = self.caller(header).await?;
        self.policy.permit(&caller, act).await?;
        Ok(caller)
    }
}

/// Puts everything on the bus except for the name.
///
/// # Errors
/// When the connection is closed.
pub(crate) async fn serve(
    connection: &Connection,
    callers: Callers,
    service: Arc<Service>,
    operations: Operations,
    events: mpsc::UnboundedReceiver<Event>,
) -> zbus::Result<()> {
    let policy = Policy::new(connection.clone());
    let changes = policy.clone();
    tokio::spawn(async move {
        if let Err(error) = changes.follow_changes().await {
            tracing::warn!(%error, "polkit's changes cannot be followed: it is asked each time");
        }
    });
    let resolver = Arc::new(resolver::Resolver::new(connection, &service));
    let shared = Arc::new(Shared {
        connection: connection.clone(),
        callers,
        policy,
        operations,
        service,
    });
    let server = connection.object_server();
    let root = kapsule_dbus::ROOT_PATH;
    server
        .at(root, manager::Manager(Arc::clone(&shared)))
        .await?;
    server
        .at(root, containers::Containers1(Arc::clone(&shared)))
        .await?;
    server.at(root, admin::Admin1(Arc::clone(&shared))).await?;
    server
        .at(root, images::Images1(Arc::clone(&shared)))
        .await?;
    server
        .at(root, object_manager::ObjectManager(Arc::clone(&shared)))
        .await?;
    tokio::spawn(signals::tell_about_agents(
        Arc::clone(&shared),
        Arc::clone(&resolver),
    ));
    tokio::spawn(async move {
        if let Err(error) = resolver.follow().await {
            tracing::warn!(%error, "systemd-resolved cannot be followed");
        }
    });
    tokio::spawn(signals::emit_all(shared, events));
    Ok(())
}

/// Tells everybody that the service has begun, so that those who had called an earlier run look
/// again.
pub(crate) async fn has_begun(connection: &Connection) {
    let emitted = async {
        let emitter = SignalEmitter::new(connection, kapsule_dbus::ROOT_PATH)?;
        manager::Manager::containers_changed(&emitter).await
    };
    if let Err(error) = emitted.await {
        tracing::warn!(%error, "clients were not told that the service is back");
    }
}

#[cfg(test)]
mod tests;
