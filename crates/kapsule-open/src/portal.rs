// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The desktop portal's `org.freedesktop.portal.OpenURI`.

use std::collections::HashMap;
use std::fs::File;
use std::time::Duration;

use futures_util::StreamExt as _;
use zbus::{Connection, Fd, MatchRule, MessageStream, Variant};

use crate::target::Target;

const NAME: &str = "org.freedesktop.portal.Desktop";
const PATH: &str = "/org/freedesktop/portal/desktop";
const INTERFACE: &str = "org.freedesktop.portal.OpenURI";
/// How long the portal may take to say what became of it. It may ask the user, who may take longer:
/// then it is the portal's affair.
const PATIENCE: Duration = Duration::from_secs(20);
/// What a portal's response begins with when nothing was done ("other").
const FAILED: u32 = 2;

/// Why it was not opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PortalError {
    #[error("{0}")]
    Bus(#[from] zbus::Error),
    #[error("{0}")]
    File(#[from] std::io::Error),
    #[error("it could not be opened")]
    Failed,
}

/// Has the portal open it.
pub(crate) async fn open(bus: &Connection, target: &Target) -> Result<(), PortalError> {
    let token = format!("kapsule{}", std::process::id());
    let sender = bus.unique_name().map(|name| name.to_string());
    let sender = sender.unwrap_or_default();
    let sender = sender.trim_start_matches(':').replace('.', "_");
    let rule = MatchRule::builder()
        .msg_type(zbus::message::Type::Signal)
        .interface("org.freedesktop.portal.Request")
        .member("Response")
        .path(format!("{PATH}/request/{sender}/{token}"))
        .build()?;
    let mut answers = MessageStream::for_match_rule(rule, bus, None).await?;

    let options = HashMap::from([("handle_token", Variant::from(token.as_str()))]);
    // No window of ours is in front.
    let parent = "";
    match target {
        Target::Link(link) => {
            let arguments = (parent, link.as_str(), options);
            bus.call_method(Some(NAME), PATH, Some(INTERFACE), "OpenURI", &arguments)
                .await?;
        }
        Target::File(path) => {
            let file = File::open(path)?;
            let member = match file.metadata()?.is_dir() {
                true => "OpenDirectory",
                false => "OpenFile",
            };
            let arguments = (parent, Fd::from(&file), options);
            bus.call_method(Some(NAME), PATH, Some(INTERFACE), member, &arguments)
                .await?;
        }
    }
    let answer = tokio::time::timeout(PATIENCE, answers.next()).await;
    let Ok(Some(answer)) = answer else {
        return Ok(());
    };
    let answer = answer?;
    let (code, _): (u32, HashMap<String, zbus::OwnedVariant>) = answer.body().deserialize()?;
    if code == FAILED {
        return Err(PortalError::Failed);
    }
    Ok(())
}
