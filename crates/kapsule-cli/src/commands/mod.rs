// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What each command does, one file a command.

pub(crate) mod config;
pub(crate) mod create;
pub(crate) mod device;
pub(crate) mod enter;
pub(crate) mod image;
pub(crate) mod info;
pub(crate) mod list;
pub(crate) mod man;
mod named;
pub(crate) mod owner;
pub(crate) mod remove;
pub(crate) mod restart;
pub(crate) mod set;
pub(crate) mod start;
pub(crate) mod stop;

use kapsule_core::name::ContainerName;

use crate::error::{CommandError, ErrorKind};
use crate::ui;

/// Checks the name of a container that is to be there, before anybody is asked about it.
fn container_name(text: &str) -> Result<ContainerName, CommandError> {
    parse_name(text).map_err(|error| error.hint("see the containers that there are: kapsule list"))
}

fn parse_name(text: &str) -> Result<ContainerName, CommandError> {
    text.parse().map_err(|why| {
        let text = ui::escape(text);
        CommandError::usage(format!("'{text}' cannot be the name of a container: {why}"))
    })
}

/// Checks all names, so that nothing is done when one of them is wrong.
fn container_names(texts: &[String]) -> Result<Vec<ContainerName>, CommandError> {
    texts.iter().map(|text| container_name(text)).collect()
}

/// Does the same with each container. What fails is reported at once and does not keep the others
/// from being done; Ctrl-C does.
async fn for_each(
    names: &[ContainerName],
    mut work: impl AsyncFnMut(&ContainerName) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    if let [name] = names {
        return work(name).await;
    }
    let mut result = Ok(());
    for name in names {
        match work(name).await {
            Ok(()) => {}
            Err(error) if error.kind == ErrorKind::Interrupted => return Err(error),
            Err(error) => {
                error.print();
                result = Err(CommandError::reported());
            }
        }
    }
    result
}
