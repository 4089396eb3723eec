// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The objects of operations.

use std::collections::HashMap;
use std::sync::Arc;

use zbus::message::Header;
use zbus::{ObjectPath, Variant, interface};

use super::Shared;
use crate::error::{Error, ErrorKind, Result};
use crate::ops::{Operation, OperationId};

/// Name of the interface that existing clients know.
pub(super) const INTERFACE: &str = "org.kde.kapsule.Operation";
/// Name of the interface with the record.
pub(super) const LOG_INTERFACE: &str = "org.kde.kapsule.OperationLog1";

/// The path of an operation's object.
///
/// # Errors
/// Never in practice: a number makes a valid path.
pub(super) fn path(id: OperationId) -> zbus::Result<ObjectPath<'static>> {
    ObjectPath::try_from(format!("{}/{id}", kapsule_dbus::OPERATIONS_PATH))
}

/// All properties, as signals and the object manager give them.
pub(super) fn properties(operation: &Operation) -> HashMap<&'static str, Variant<'static>> {
    HashMap::from([
        ("Id", Variant::from(operation.id.to_string())),
        ("Type", Variant::from(operation.spec.kind.as_str())),
        (
            "Description",
            Variant::from(operation.spec.description.clone()),
        ),
        ("Target", Variant::from(operation.spec.target.clone())),
        ("Status", Variant::from(operation.status().as_str())),
        ("ErrorMessage", Variant::from(operation.error())),
    ])
}

/// One operation on the bus. Only who asked for it, and root, who has to know its path, get to see
/// anything of it.
#[derive(Clone, Debug)]
pub(super) struct OperationObject {
    pub(super) shared: Arc<Shared>,
    pub(super) operation: Arc<Operation>,
}

impl OperationObject {
    async fn admit(&self, header: &Header<'_>) -> Result<()> {
        let caller = self.shared.caller(header).await?;
        if caller.uid == self.operation.spec.asked_by || caller.uid == 0 {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::AccessDenied,
            "this operation is another user's",
        ))
    }

    /// For a property; the object server asks on its own account without a header.
    async fn admit_reader(&self, header: Option<Header<'_>>) -> Result<()> {
        match header {
            Some(header) => self.admit(&header).await,
            None => Ok(()),
        }
    }
}

#[interface(name = "org.kde.kapsule.Operation", introspection_docs = false)]
impl OperationObject {
    #[zbus(property(emits_changed_signal = "const"))]
    async fn id(&self, #[zbus(header)] header: Option<Header<'_>>) -> Result<String> {
        self.admit_reader(header).await?;
        Ok(self.operation.id.to_string())
    }

    #[zbus(property(emits_changed_signal = "const"), name = "Type")]
    async fn kind(&self, #[zbus(header)] header: Option<Header<'_>>) -> Result<String> {
        self.admit_reader(header).await?;
        Ok(self.operation.spec.kind.as_str().to_owned())
    }

    #[zbus(property(emits_changed_signal = "const"))]
    async fn description(&self, #[zbus(header)] header: Option<Header<'_>>) -> Result<String> {
        self.admit_reader(header).await?;
        Ok(self.operation.spec.description.clone())
    }

    #[zbus(property(emits_changed_signal = "const"))]
    async fn target(&self, #[zbus(header)] header: Option<Header<'_>>) -> Result<String> {
        self.admit_reader(header).await?;
        Ok(self.operation.spec.target.clone())
    }

    #[zbus(property)]
    async fn status(&self, #[zbus(header)] header: Option<Header<'_>>) -> Result<String> {
        self.admit_reader(header).await?;
        Ok(self.operation.status().as_str().to_owned())
    }

    #[zbus(property)]
    async fn error_message(&self, #[zbus(header)] header: Option<Header<'_>>) -> Result<String> {
        self.admit_reader(header).await?;
        Ok(self.operation.error())
    }

    async fn cancel(&self, #[zbus(header)] header: Header<'_>) -> Result<bool> {
        self.admit(&header).await?;
        let asked = self.operation.cancel();
        if asked {
            tracing::info!("{}: is to be cancelled", self.operation.spec.description);
        }
        Ok(asked)
    }

    // The signals are sent by `super::signals`; these are their descriptions.

    #[zbus(signal)]
    async fn message(
        emitter: &zbus::object_server::SignalEmitter<'_>,
        message_type: i32,
        text: &str,
        indent: i32,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn progress_started(
        emitter: &zbus::object_server::SignalEmitter<'_>,
        progress_id: &str,
        description: &str,
        total: i32,
        indent: i32,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn progress_update(
        emitter: &zbus::object_server::SignalEmitter<'_>,
        progress_id: &str,
        current: i32,
        rate: f64,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn progress_text_update(
        emitter: &zbus::object_server::SignalEmitter<'_>,
        progress_id: &str,
        text: &str,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn progress_completed(
        emitter: &zbus::object_server::SignalEmitter<'_>,
        progress_id: &str,
        success: bool,
        message: &str,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn completed(
        emitter: &zbus::object_server::SignalEmitter<'_>,
        success: bool,
        error: &str,
    ) -> zbus::Result<()>;
}

/// What an operation has said so far.
#[derive(Debug)]
pub(super) struct OperationLog1(pub(super) OperationObject);

#[interface(name = "org.kde.kapsule.OperationLog1", introspection_docs = false)]
impl OperationLog1 {
    async fn get_messages(
        &self,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<Vec<(i32, String, i32)>> {
        self.0.admit(&header).await?;
        let record = self.0.operation.record();
        Ok(record
            .into_iter()
            .map(|(kind, text, indent)| (kind as i32, text, indent))
            .collect())
    }

    async fn get_error_name(&self, #[zbus(header)] header: Header<'_>) -> Result<String> {
        self.0.admit(&header).await?;
        let kind = self.0.operation.error_kind();
        Ok(kind.map_or_else(String::new, |kind| kind.bus_name().to_owned()))
    }
}
