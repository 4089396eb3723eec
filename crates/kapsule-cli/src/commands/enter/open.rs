// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Opens a session, after creating or starting the container if that is what it takes.

use std::os::fd::OwnedFd;

use kapsule_core::isolation::Isolation;

use super::patience::Patience;
use super::who::Who;
use crate::bus::Bus;
use crate::commands::{config, container_name, create, start};
use crate::error::{CommandError, ErrorKind};
use crate::option_flags::OptionFlags;
use crate::ui;

/// The way into a session.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) container: String,
    pub(super) socket: OwnedFd,
    /// How far the container is kept apart.
    pub(super) isolation: Isolation,
}

pub(super) async fn open(
    name: &str,
    who: Who,
    patience: &mut Patience,
) -> Result<Opened, CommandError> {
    if !name.is_empty() {
        container_name(name)?;
    }
    patience.for_an_answer();
    let bus = patience.silent(Bus::connect()).await?;
    let mut created = false;
    let mut started = false;
    let mut asked_again = false;
    loop {
        let error = match patience.silent(open_session(&bus, name, who)).await {
            Ok(session) => return Ok(session),
            Err(error) => error,
        };
        match error.kind {
            ErrorKind::NotFound if !created => {
                let default = patience.silent(resolve(&bus, "")).await?;
                // Any other one is not made by entering it.
                if !name.is_empty() && name != default {
                    return Err(error);
                }
                create_default(&bus, &default).await?;
                created = true;
                patience.for_an_answer();
            }
            ErrorKind::NotRunning if !started => {
                let name = patience.silent(resolve(&bus, name)).await?;
                patience.for_a_start();
                patience.shown(start::start(&bus, &name)).await?;
                started = true;
            }
            // The bus starts it again, and opening a session can be repeated without harm.
            ErrorKind::Gone if !asked_again => asked_again = true,
            _ => return Err(error),
        }
    }
}

async fn open_session(bus: &Bus, name: &str, who: Who) -> Result<Opened, CommandError> {
    let containers = bus.containers().await?;
    let as_root = who == Who::Root;
    let (container, socket, isolation) = bus
        .ask(async || containers.open_session(name, as_root).await)
        .await?;
    Ok(Opened {
        container,
        socket: socket.into(),
        // Of a level that is not known here, nothing is assumed.
        isolation: isolation.parse().unwrap_or(Isolation::Sealed),
    })
}

/// The default container is made on first use.
async fn create_default(bus: &Bus, default: &str) -> Result<(), CommandError> {
    ui::heading(&format!(
        "Creating container: {default} (your default one, on first use)"
    ));
    match create::create(bus, default, "", &OptionFlags::default()).await {
        Err(error) if error.kind == ErrorKind::Interrupted => Err(error),
        // Somebody else was quicker, such as a second tab: then there is one to enter.
        Err(_) if open_session(bus, default, Who::Owner).await.is_ok() => Ok(()),
        other => other.map_err(|error| {
            error.context(format!("cannot create the default container '{default}'"))
        }),
    }
}

/// The name that an empty one stands for.
async fn resolve(bus: &Bus, name: &str) -> Result<String, CommandError> {
    if !name.is_empty() {
        return Ok(name.to_owned());
    }
    config::fetch(bus)
        .await?
        .remove("default_container")
        .ok_or_else(|| {
            CommandError::failed("no default container is configured")
                .hint("name one: kapsule enter NAME")
        })
}
