// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Follows which names there are on the container's bus.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tracing::{debug, info};
use zbus::{Connection, connection, fdo};

use crate::names::Names;

/// How long to wait before the container's bus is tried again: it comes with the container's
/// first login, and goes with its last.
const PAUSE: Duration = Duration::from_secs(1);

/// Follows for ever. As long as that bus cannot be reached, it has no names.
pub(crate) async fn follow(address: String, names: Arc<Names>) {
    let mut told = false;
    loop {
        match watch(&address, &names).await {
            Ok(()) => {
                info!("the container's bus has gone");
                told = false;
            }
            Err(error) if told => debug!(%error, "the container's bus cannot be reached"),
            Err(error) => {
                info!(%error, "the container's bus cannot be reached");
                told = true;
            }
        }
        names.update(|known| *known = crate::names::Known::default());
        tokio::time::sleep(PAUSE).await;
    }
}

async fn watch(address: &str, names: &Names) -> zbus::Result<()> {
    let connection: Connection = connection::Builder::address(address).build().await?;
    let bus = fdo::DBusProxy::builder(&connection)
        .cache_properties(zbus::proxy::CacheProperties::No)
        .build()
        .await?;
    // Subscribed before asking, so that nothing is missed in between.
    let mut owners = bus.receive_name_owner_changed().await?;
    // In dbus-daemon and dbus-broker, and in no specification yet.
    let services = bus.inner().receive_signal("ActivatableServicesChanged");
    let mut services = services.await?;
    list(&bus, names).await?;
    info!("connected to the container's bus");
    loop {
        tokio::select! {
            change = owners.next() => {
                let Some(change) = change else { return Ok(()) };
                let change = change.args()?;
                let is_owned = change.new_owner().is_some();
                names.owner_changed(change.name().as_str(), is_owned);
            }
            change = services.next() => {
                if change.is_none() {
                    return Ok(());
                }
                list(&bus, names).await?;
            }
            () = connection.closed() => return Ok(()),
        }
    }
}

async fn list(bus: &fdo::DBusProxy<'_>, names: &Names) -> zbus::Result<()> {
    let owned = bus.list_names().await?;
    let activatable = bus.list_activatable_names().await?;
    names.update(|known| {
        known.owned = owned.iter().map(ToString::to_string).collect();
        known.activatable = activatable.iter().map(ToString::to_string).collect();
    });
    Ok(())
}
