// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `kapsule image delete`

use crate::bus::{Bus, run_operation};
use crate::error::CommandError;
use crate::ui;

/// Delete an image; containers made from it stay
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its alias, or the beginning of its fingerprint
    #[arg(value_name = "ALIAS|FINGERPRINT")]
    id: String,
}

pub(crate) async fn run(args: Args, bus: &Bus) -> Result<(), CommandError> {
    let id = args.id;
    if id.is_empty() {
        return Err(CommandError::usage(
            "an image is named by its alias or fingerprint, not by nothing",
        )
        .hint("see the images that are here: kapsule image list"));
    }
    ui::heading(&format!("Deleting image: {}", ui::escape(&id)));
    let manager = bus.manager().await?;
    run_operation(bus, async || manager.delete_image(&id).await)
        .await
        .map_err(|error| error.context(format!("cannot delete image '{}'", ui::escape(&id))))
}
