// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `kapsule rm`

use kapsule_core::name::ContainerName;

use crate::bus::Bus;
use crate::error::CommandError;
use crate::ui;

use super::named::{Containers, Deed};

const DELETE: Deed = Deed {
    doing: "Deleting",
    to_do: "delete",
};

/// Delete containers and everything in them
///
/// Folders that a container shares with this system, such as your home, are left alone. Asks
/// first when it is run from a terminal. May also be written `kapsule remove`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Delete running containers, too, and do not ask
    #[arg(short, long)]
    force: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    containers: Containers,
}

pub(crate) async fn run(args: Args, bus: &Bus) -> Result<(), CommandError> {
    let asks = !args.force && !args.yes && ui::is_interactive();
    if asks && !ui::confirm(&question(&args.containers.names()?)) {
        return Err(CommandError::failed(
            "nothing was deleted, as you did not say yes",
        ));
    }
    let manager = bus.manager().await?;
    let admin = bus.admin().await?;
    let delete = async |owner: Option<&str>, name: &str| match owner {
        None => manager.delete_container(name, args.force).await,
        Some(owner) => admin.delete(owner, name, args.force).await,
    };
    args.containers.each(bus, DELETE, delete).await
}

fn question(names: &[ContainerName]) -> String {
    let list: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    format!(
        "Delete {} and everything in {} that is not shared with this system?",
        list.join(", "),
        if names.len() == 1 { "it" } else { "them" }
    )
}

#[cfg(test)]
mod tests {
    use super::super::container_names;
    use super::*;

    #[test]
    fn asks_about_every_container() {
        let names = container_names(&["a".to_owned(), "b".to_owned()]).unwrap();
        assert!(question(&names).starts_with("Delete 'a', 'b' and everything in them"));
        assert!(question(&names[..1]).starts_with("Delete 'a' and everything in it"));
    }
}
