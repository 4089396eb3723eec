// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The daemon on the bus: objects, methods, signals, and nothing that decides.
//!
//! Signals about an operation go only to connections of its owner (and of root) that have called
//! the daemon: what a user's containers are called, and what goes on in them, is nobody else's
//! business, and a broadcast reaches everybody. The price is that a program that only listens,
//! as `gdbus monitor` does, hears nothing of operations; `busctl monitor`, as root, does. Sending
//! to all connections of the owner instead would make security modules that guard the bus report
//! each program that did not ask.
//! `ContainersChanged` says nothing and is for everybody.

mod containers;
mod error;
mod images;
mod launch;
mod manager;
mod object_manager;
mod operation;
mod options;
mod signals;

use std::sync::Arc;

use tokio::sync::mpsc;
use zbus::Connection;
use zbus::message::Header;

use crate::caller::{Caller, Callers};
use crate::error::Result;
use crate::ops::{Event, Operations};
use crate::policy::Policy;
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
    let shared = Arc::new(Shared {
        connection: connection.clone(),
        callers,
        policy: Policy::new(connection.clone()),
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
    server
        .at(root, images::Images1(Arc::clone(&shared)))
        .await?;
    server
        .at(root, object_manager::ObjectManager(Arc::clone(&shared)))
        .await?;
    tokio::spawn(signals::emit_all(shared, events));
    Ok(())
}

#[cfg(test)]
mod tests;
