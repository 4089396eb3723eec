// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Start and end of the service.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use tokio::signal::unix::{SignalKind, signal};
use zbus::fdo::RequestNameFlags;
use zbus::{Address, Connection};

use crate::arguments::Arguments;
use crate::bus::{self, Gate};
use crate::caller::Callers;
use crate::ops::Operations;
use crate::service::Service;

/// Where containers' sockets and the like are kept.
const STATE: &str = "/var/lib/kapsule";

/// Runs the service until it is told to end.
///
/// # Errors
/// When the bus is not there, or the name on it is taken, or the connection to it is lost.
pub(crate) fn run(arguments: Arguments) -> Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(serve(arguments))
}

async fn serve(arguments: Arguments) -> Result<()> {
    let address = match arguments.session {
        true => Address::session(),
        false => Address::system(),
    };
    let address = address.context("cannot find the message bus")?;
    let (builder, gate, attendance) = Gate::connect(&address)
        .await
        .context("cannot connect to the message bus")?;
    let connection = builder
        .build()
        .await
        .context("cannot connect to the message bus")?;
    let callers = Callers::new(&connection)
        .await
        .context("cannot use the message bus")?;
    gate.attend(attendance, connection.clone(), callers.clone());
    let service = Service::new(
        incus::Client::new(arguments.socket),
        PathBuf::from(STATE),
        own_folder()?,
    );
    let (operations, events) = Operations::new();

    bus::serve(
        &connection,
        callers,
        Arc::clone(&service),
        operations,
        events,
    )
    .await
    .context("cannot offer the service on the message bus")?;

    // Whoever waits for the name gets it now: Incus is asked later, when it is needed or below.
    own_name(&connection).await?;
    bus::has_begun(&connection).await;
    sd_notify::notify(&[sd_notify::NotifyState::Ready]).context("cannot tell systemd")?;
    tracing::info!(version = kapsule_core::VERSION, "ready");
    let follower = Arc::clone(&service);
    tokio::spawn(async move { service.recover().await });
    tokio::spawn(async move { follower.follow_host().await });

    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for signals")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = connection.closed() => bail!("the message bus has closed the connection"),
    }
    // What is half done is found and finished by the next run.
    tracing::info!("ends");
    sd_notify::notify(&[sd_notify::NotifyState::Stopping]).context("cannot tell systemd")?;
    Ok(())
}

async fn own_name(connection: &Connection) -> Result<()> {
    let name = kapsule_dbus::BUS_NAME;
    connection
        .request_name_with_flags(name, RequestNameFlags::DO_NOT_QUEUE)
        .await
        .with_context(|| format!("cannot own the name {name}; does another kapsule-daemon run?"))?;
    Ok(())
}

/// The folder of the program, below which what goes into containers is.
fn own_folder() -> Result<PathBuf> {
    let program = std::env::current_exe().context("cannot find the program's own folder")?;
    Ok(program
        .parent()
        .map_or_else(|| PathBuf::from("/usr/lib/kapsule"), Path::to_owned))
}
