// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `kapsule rm`

use clap_complete::ArgValueCandidates;
use kapsule_core::name::ContainerName;

use crate::bus::{Bus, run_operation};
use crate::completion;
use crate::error::CommandError;
use crate::ui;

use super::owner::OwnerFlag;
use super::{container_names, for_each};

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
    /// Containers to delete
    #[arg(required = true, value_name = "NAME", add = ArgValueCandidates::new(completion::container_names))]
    names: Vec<String>,
    #[command(flatten)]
    owner: OwnerFlag,
}

pub(crate) async fn run(args: Args, bus: &Bus) -> Result<(), CommandError> {
    let names = container_names(&args.names)?;
    let owner = args.owner.other();
    if !args.force && !args.yes && ui::is_interactive() && !ui::confirm(&question(&names)) {
        return Err(CommandError::failed(
            "nothing was deleted, as you did not say yes",
        ));
    }
    let manager = bus.manager().await?;
    let admin = bus.admin().await?;
    for_each(&names, async |name| {
        ui::heading(&format!("Deleting container: {name}"));
        let done = match owner {
            None => {
                run_operation(bus, async || {
                    manager.delete_container(name.as_str(), args.force).await
                })
                .await
            }
            Some(owner) => {
                run_operation(bus, async || {
                    admin.delete(owner, name.as_str(), args.force).await
                })
                .await
            }
        };
        done.map_err(|error| error.context(format!("cannot delete container '{name}'")))
    })
    .await
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
    use super::*;

    #[test]
    fn asks_about_every_container() {
        let names = container_names(&["a".to_owned(), "b".to_owned()]).unwrap();
        assert!(question(&names).starts_with("Delete 'a', 'b' and everything in them"));
        assert!(question(&names[..1]).starts_with("Delete 'a' and everything in it"));
    }
}
