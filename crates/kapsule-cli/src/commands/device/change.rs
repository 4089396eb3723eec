// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `kapsule device add`, `kapsule device remove`

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use clap_complete::{ArgValueCandidates, CompletionCandidate};
use kapsule_core::container::ContainerInfo;
use kapsule_core::device::UsbId;
use kapsule_core::name::ContainerName;
use zbus::Variant;

use crate::bus::Bus;
use crate::commands::owner::OwnerFlag;
use crate::commands::{container_name, info, set};
use crate::completion;
use crate::error::{CommandError, ErrorKind};
use crate::ui;
use crate::usb;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kapsule device add dev 0403:6001
  kapsule device add dev /dev/ttyUSB0
  kapsule device remove dev 0403:6001")]
pub(crate) struct Args {
    /// The container
    #[arg(value_name = "CONTAINER", add = ArgValueCandidates::new(completion::container_names))]
    name: String,
    /// Vendor and product, as 'kapsule device list' shows them; or a node of the device in /dev
    #[arg(required = true, value_name = "DEVICE", add = ArgValueCandidates::new(plugged_in))]
    devices: Vec<String>,
    #[command(flatten)]
    owner: OwnerFlag,
}

fn plugged_in() -> Vec<CompletionCandidate> {
    let devices = usb::plugged_in(Path::new(usb::SYS)).into_iter();
    devices
        .map(|it| CompletionCandidate::new(it.id.to_string()).help(Some(it.name.into())))
        .collect()
}

impl Args {
    fn parse(&self) -> Result<(ContainerName, BTreeSet<UsbId>), CommandError> {
        let devices: Result<_, _> = self.devices.iter().map(|text| device(text)).collect();
        Ok((container_name(&self.name)?, devices?))
    }
}

/// The kind of device that a text means.
fn device(text: &str) -> Result<UsbId, CommandError> {
    let shown = ui::escape(text);
    let found = match text.starts_with('/') {
        true => usb::of_node(Path::new(usb::SYS), Path::new(text))
            .ok_or_else(|| format!("{shown} is not a node of a USB device that is plugged in")),
        false => text
            .parse()
            .map_err(|why: kapsule_core::device::UsbIdError| why.to_string()),
    };
    found.map_err(|why| {
        CommandError::usage(why).hint("see the devices that there are: kapsule device list")
    })
}

pub(crate) async fn add(args: Args, bus: &Bus) -> Result<(), CommandError> {
    let (name, wanted) = args.parse()?;
    let has = given(bus, &args.owner, &name).await?;
    give(bus, &args.owner, &name, has.union(&wanted)).await?;
    let plugged = usb::plugged_in(Path::new(usb::SYS));
    let waits = |id: &&UsbId| plugged.iter().all(|device| device.id != **id);
    for id in wanted.iter().filter(waits) {
        ui::hint(&format!(
            "{id} is not plugged in; it will be there when it is"
        ));
    }
    let many = |id: &&UsbId| plugged.iter().any(|it| it.id == **id && it.nodes.len() > 1);
    for id in wanted.difference(&has).filter(many) {
        ui::hint(&format!(
            "for all nodes of {id} in /dev, unplug it and plug it in again"
        ));
    }
    Ok(())
}

pub(crate) async fn remove(args: Args, bus: &Bus) -> Result<(), CommandError> {
    let (name, unwanted) = args.parse()?;
    let has = given(bus, &args.owner, &name).await?;
    if let Some(other) = unwanted.difference(&has).next() {
        let kinds: Vec<String> = has.iter().map(UsbId::to_string).collect();
        let kinds = match kinds.is_empty() {
            true => "none".to_owned(),
            false => kinds.join(", "),
        };
        return Err(CommandError::new(
            ErrorKind::NotFound,
            anyhow::anyhow!(
                "container '{name}' has not been given {other}. It has been given: {kinds}"
            ),
        ));
    }
    give(bus, &args.owner, &name, has.difference(&unwanted)).await
}

/// What a container has been given.
async fn given(
    bus: &Bus,
    owner: &OwnerFlag,
    name: &ContainerName,
) -> Result<BTreeSet<UsbId>, CommandError> {
    let info: ContainerInfo = info::fetch(bus, owner, name).await?;
    Ok(info.summary.devices.into_iter().collect())
}

async fn give(
    bus: &Bus,
    owner: &OwnerFlag,
    name: &ContainerName,
    devices: impl Iterator<Item = &UsbId>,
) -> Result<(), CommandError> {
    let devices: Vec<String> = devices.map(UsbId::to_string).collect();
    let options = HashMap::from([("devices", Variant::from(devices))]);
    set::change(bus, owner, name, &options)
        .await
        .map_err(|error| error.context(format!("cannot change the devices of container '{name}'")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_device_is_told_before_anybody_is_asked() {
        assert_eq!(device("0403:6001").unwrap().to_string(), "0403:6001");
        for (text, why) in [
            ("mouse", "is no USB device"),
            ("/dev/null", "is not a node of a USB device"),
            ("/no\u{1b}where", "/no\\u{1b}where is not"),
        ] {
            let error = format!("{:?}", device(text).unwrap_err());
            assert!(
                error.contains(&why.replace('\\', "\\\\")) || error.contains(why),
                "{error}"
            );
        }
    }
}
