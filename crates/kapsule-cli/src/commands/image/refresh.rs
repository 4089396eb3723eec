// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `kapsule image refresh`

use crate::bus::{Bus, run_operation};
use crate::error::CommandError;
use crate::ui;

/// Bring downloaded images up to date
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only this image: SERVER:ALIAS, or ALIAS from any server
    #[arg(value_name = "IMAGE")]
    image: Option<String>,
}

pub(crate) async fn run(args: Args, bus: &Bus) -> Result<(), CommandError> {
    let image = args.image.unwrap_or_default();
    ui::heading(&title(&image));
    let manager = bus.manager().await?;
    run_operation(bus, async || manager.refresh_images(&image).await)
        .await
        .map_err(|error| error.context("cannot refresh images"))
}

fn title(image: &str) -> String {
    match image {
        "" => "Refreshing all cached images".to_owned(),
        image => format!("Refreshing image: {}", ui::escape(image)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_existing_scripts_look_for() {
        assert_eq!(title(""), "Refreshing all cached images");
        assert_eq!(
            title("images:debian/13"),
            "Refreshing image: images:debian/13"
        );
    }
}
