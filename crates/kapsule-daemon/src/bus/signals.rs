// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Sends what happens to operations to those whom it concerns, in the order in which it happened.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use zbus::wire::DynamicType;
use zbus::{ObjectPath, Variant};

use super::Shared;
use super::operation::{self, INTERFACE, LOG_INTERFACE, OperationLog1, OperationObject};
use super::resolver::Resolver;
use crate::ops::{Event, Happening, Operation, Status};

const OBJECT_MANAGER: &str = "org.freedesktop.DBus.ObjectManager";
const CONTAINERS: &str = "org.kde.kapsule.Containers1";
const MANAGER: &str = "org.kde.kapsule.Manager";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// Runs as long as there are operations.
pub(super) async fn emit_all(shared: Arc<Shared>, mut events: mpsc::UnboundedReceiver<Event>) {
    while let Some(Event {
        operation,
        happening,
    }) = events.recv().await
    {
        match operation::path(operation.id) {
            Ok(path) => {
                emit(
                    &Sender {
                        shared: &shared,
                        operation: &operation,
                        path,
                    },
                    happening,
                )
                .await
            }
            Err(error) => tracing::warn!(%error, "an operation without a path"),
        }
    }
}

async fn emit(sender: &Sender<'_>, happening: Happening) {
    match happening {
        Happening::Message { kind, text, indent } => {
            sender.send("Message", &(kind as i32, text, indent)).await;
        }
        Happening::ProgressStarted {
            bar,
            description,
            total,
            indent,
        } => {
            sender
                .send("ProgressStarted", &(bar, description, total, indent))
                .await;
        }
        Happening::ProgressUpdate { bar, current, rate } => {
            sender.send("ProgressUpdate", &(bar, current, rate)).await;
        }
        Happening::ProgressText { bar, text } => {
            sender.send("ProgressTextUpdate", &(bar, text)).await;
        }
        Happening::ProgressCompleted {
            bar,
            success,
            message,
        } => {
            sender
                .send("ProgressCompleted", &(bar, success, message))
                .await;
        }
        Happening::ContainersChanged => sender.containers_changed().await,
        Happening::Completed => {
            let status = sender.operation.status();
            let error = sender.operation.error();
            let changed = HashMap::from([
                ("Status", Variant::from(status.as_str())),
                ("ErrorMessage", Variant::from(error.as_str())),
            ]);
            let body = (INTERFACE, changed, Vec::<&str>::new());
            sender
                .send_as(&sender.path, PROPERTIES, "PropertiesChanged", &body)
                .await;
            sender
                .send("Completed", &(status == Status::Completed, error))
                .await;
        }
        Happening::Gone => {
            let server = sender.shared.connection.object_server();
            let removed = server.remove::<OperationObject, _>(&sender.path).await;
            if let Err(error) = removed.and(server.remove::<OperationLog1, _>(&sender.path).await) {
                tracing::debug!(%error, "an operation's object was not there");
            }
            let body = (&sender.path, vec![INTERFACE, LOG_INTERFACE]);
            sender.send_from_root("InterfacesRemoved", &body).await;
        }
    }
}

/// Tells those whom it concerns that an operation has an object now.
pub(super) async fn interfaces_added(shared: &Shared, operation: &Operation) {
    let Ok(path) = operation::path(operation.id) else {
        return;
    };
    let sender = Sender {
        shared,
        operation,
        path,
    };
    let interfaces = HashMap::from([
        (INTERFACE, operation::properties(operation)),
        (LOG_INTERFACE, HashMap::new()),
    ]);
    sender
        .send_from_root("InterfacesAdded", &(&sender.path, interfaces))
        .await;
}

/// Sends signals about one operation.
struct Sender<'a> {
    shared: &'a Shared,
    operation: &'a Operation,
    path: ObjectPath<'static>,
}

impl Sender<'_> {
    async fn send<B: serde::Serialize + DynamicType>(&self, member: &str, body: &B) {
        self.send_as(&self.path, INTERFACE, member, body).await;
    }

    async fn send_from_root<B: serde::Serialize + DynamicType>(&self, member: &str, body: &B) {
        let root = ObjectPath::from_static_str_unchecked(kapsule_dbus::ROOT_PATH);
        self.send_as(&root, OBJECT_MANAGER, member, body).await;
    }

    /// Tells the owner, and who asked for it, that the set of containers, or the state of one, has
    /// changed.
    async fn containers_changed(&self) {
        let root = ObjectPath::from_static_str_unchecked(kapsule_dbus::ROOT_PATH);
        let spec = &self.operation.spec;
        let mut users = vec![spec.owner];
        users.extend((spec.asked_by != spec.owner).then_some(spec.asked_by));
        for user in users {
            self.send_to(user, &root, MANAGER, "ContainersChanged", &())
                .await;
        }
    }

    async fn send_as<B: serde::Serialize + DynamicType>(
        &self,
        path: &ObjectPath<'_>,
        interface: &str,
        member: &str,
        body: &B,
    ) {
        let user = self.operation.spec.asked_by;
        self.send_to(user, path, interface, member, body).await;
    }

    async fn send_to<B: serde::Serialize + DynamicType>(
        &self,
        user: u32,
        path: &ObjectPath<'_>,
        interface: &str,
        member: &str,
        body: &B,
    ) {
        send_to(self.shared, user, path, interface, member, body).await;
    }
}

/// Sends a signal to those of a user's connections that have called the daemon.
async fn send_to<B: serde::Serialize + DynamicType>(
    shared: &Shared,
    user: u32,
    path: &ObjectPath<'_>,
    interface: &str,
    member: &str,
    body: &B,
) {
    for listener in shared.callers.listeners(user) {
        let sent =
            shared
                .connection
                .emit_signal(Some(listener.as_ref()), path, interface, member, body);
        if let Err(error) = sent.await {
            tracing::debug!(%error, member, "a signal was not sent");
        }
    }
}

/// How soon after one change of agents the next is told. What is inside decides how often they come and
/// go.
const AGENTS_PAUSE: Duration = Duration::from_millis(500);

/// Tells owners when an agent of theirs has come or gone, for ever.
pub(super) async fn tell_about_agents(shared: Arc<Shared>, resolver: Arc<Resolver>) {
    let news = shared.service.agents_news();
    let root = ObjectPath::from_static_str_unchecked(kapsule_dbus::ROOT_PATH);
    loop {
        for id in news.next().await {
            let body = (id.name.as_str(), shared.service.has_agent(&id));
            send_to(&shared, id.owner, &root, CONTAINERS, "AgentChanged", &body).await;
        }
        // The container may be the first on its bridge.
        resolver.tell().await;
        tokio::time::sleep(AGENTS_PAUSE).await;
    }
}
