// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Which operations there are, in the standard's way. zbus' own object manager would show each
//! user everybody's, so this is ours.

use std::collections::HashMap;
use std::sync::Arc;

use zbus::message::Header;
use zbus::object_server::SignalEmitter;
use zbus::{ObjectPath, OwnedObjectPath, OwnedVariant, Variant, interface};

use super::{Shared, operation};
use crate::error::{Error, Result};

/// Interfaces of an object, each with its properties.
type Interfaces = HashMap<String, HashMap<String, OwnedVariant>>;

#[derive(Debug)]
pub(super) struct ObjectManager(pub(super) Arc<Shared>);

#[interface(
    name = "org.freedesktop.DBus.ObjectManager",
    introspection_docs = false
)]
impl ObjectManager {
    #[zbus(out_args("objects"))]
    async fn get_managed_objects(
        &self,
        #[zbus(header)] header: Header<'_>,
    ) -> Result<HashMap<OwnedObjectPath, Interfaces>> {
        let caller = self.0.caller(&header).await?;
        let mut objects = HashMap::new();
        for known in self.0.operations.known(Some(caller.uid)) {
            let mut properties = HashMap::new();
            for (name, value) in operation::properties(&known) {
                let value = OwnedVariant::try_from(value)
                    .map_err(|error| Error::failed(format!("property {name}: {error}")))?;
                properties.insert(name.to_owned(), value);
            }
            let interfaces = HashMap::from([
                (operation::INTERFACE.to_owned(), properties),
                (operation::LOG_INTERFACE.to_owned(), HashMap::new()),
            ]);
            objects.insert(
                OwnedObjectPath::from(operation::path(known.id)?),
                interfaces,
            );
        }
        Ok(objects)
    }

    // Sent by `super::signals`.

    #[zbus(signal)]
    async fn interfaces_added(
        emitter: &SignalEmitter<'_>,
        object_path: ObjectPath<'_>,
        interfaces_and_properties: HashMap<&str, HashMap<&str, Variant<'_>>>,
    ) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn interfaces_removed(
        emitter: &SignalEmitter<'_>,
        object_path: ObjectPath<'_>,
        interfaces: Vec<&str>,
    ) -> zbus::Result<()>;
}
