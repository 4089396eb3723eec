// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `kapsule create`

use crate::bus::{Bus, run_operation};
use crate::error::CommandError;
use crate::option_flags::OptionFlags;
use crate::ui;

use super::parse_name;

/// Make a container and start it
///
/// The image is downloaded if it is not there yet. Options that are not set here are as the image
/// wants them, or else as shown.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kapsule create dev
  kapsule create dev --image images:debian/13
  kapsule create build --no-mount-home --custom-mounts ~/src
  kapsule create trial --isolation sealed --no-network")]
pub(crate) struct Args {
    /// Name: letters, digits and hyphens, at most 63
    name: String,
    /// Image to make it from, as SERVER:ALIAS; `local:` is what is on this machine [default: as configured]
    #[arg(short, long, value_name = "IMAGE")]
    image: Option<String>,
    #[command(flatten)]
    options: OptionFlags,
}

pub(crate) async fn run(args: Args, bus: &Bus) -> Result<(), CommandError> {
    let name = parse_name(&args.name)
        .map_err(|error| error.hint("choose another name, for example: kapsule create dev"))?;
    let image = match args.image.as_deref() {
        None => "",
        Some(image) => check_image(image)?,
    };
    ui::heading(&format!("Creating container: {name}"));
    create(bus, name.as_str(), image, &args.options)
        .await
        .map_err(|error| error.context(format!("cannot create container '{name}'")))?;
    ui::hint(&format!("go into it: kapsule enter {name}"));
    Ok(())
}

/// Creates a container and shows the progress. An empty image is the default one.
pub(crate) async fn create(
    bus: &Bus,
    name: &str,
    image: &str,
    options: &OptionFlags,
) -> Result<(), CommandError> {
    let manager = bus.manager().await?;
    let options = options.to_variants();
    run_operation(bus, async || {
        manager.create_container(name, image, &options).await
    })
    .await
}

/// A malformed image is told from an unknown one here; only the service knows the servers.
fn check_image(image: &str) -> Result<&str, CommandError> {
    match image.parse::<kapsule_core::image::ImageRef>() {
        Ok(_) => Ok(image),
        Err(why) => {
            Err(CommandError::usage(why).hint("see the images that are here: kapsule image list"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_checked_before_anybody_is_asked() {
        assert_eq!(check_image("local:debian").unwrap(), "local:debian");
        for bad in ["", "local:", "a b:c", "x:../y"] {
            assert!(check_image(bad).is_err(), "{bad:?}");
        }
    }
}
