// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `kapsule device list`

use std::collections::BTreeMap;
use std::path::Path;

use kapsule_core::container::ContainerSummary;
use kapsule_core::device::UsbId;
use serde::Serialize;

use crate::bus::Bus;
use crate::commands::list;
use crate::error::CommandError;
use crate::ui;
use crate::usb::{self, Plugged};

/// List the USB devices of this computer, and which of your containers may use them
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print JSON: an array of objects
    #[arg(long)]
    json: bool,
}

/// A device that is plugged in, or a kind that a container waits for.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Device {
    #[serde(flatten)]
    device: Plugged,
    plugged_in: bool,
    containers: Vec<String>,
}

pub(crate) async fn run(args: Args, bus: &Bus) -> Result<(), CommandError> {
    let containers = list::fetch(bus).await?;
    let devices = merge(usb::plugged_in(Path::new(usb::SYS)), &containers);
    if args.json {
        return ui::json(&devices);
    }
    if devices.is_empty() {
        ui::dim("No USB device is plugged in, and none of your containers waits for one");
        return Ok(());
    }
    ui::data(&render(devices))
}

fn merge(plugged: Vec<Plugged>, containers: &[ContainerSummary]) -> Vec<Device> {
    let mut given: BTreeMap<UsbId, Vec<String>> = BTreeMap::new();
    for container in containers {
        for id in &container.devices {
            given
                .entry(*id)
                .or_default()
                .push(container.name.to_string());
        }
    }
    let mut devices: Vec<Device> = plugged
        .into_iter()
        .map(|device| Device {
            containers: given.get(&device.id).cloned().unwrap_or_default(),
            plugged_in: true,
            device,
        })
        .collect();
    given.retain(|id, _| devices.iter().all(|it| it.device.id != *id));
    devices.extend(given.into_iter().map(|(id, containers)| Device {
        device: Plugged {
            id,
            name: String::new(),
            nodes: Vec::new(),
        },
        plugged_in: false,
        containers,
    }));
    devices
}

fn render(devices: Vec<Device>) -> String {
    let rows = devices.into_iter().map(|it| {
        let name = match it.plugged_in {
            true => it.device.name,
            false => "(not plugged in)".to_owned(),
        };
        [
            it.device.id.to_string(),
            name,
            it.device.nodes.join(", "),
            it.containers.join(", "),
        ]
    });
    ui::table(["ID", "DEVICE", "NODES", "CONTAINERS"], rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_is_plugged_in_and_what_is_waited_for() {
        let plugged = |id: &str, name: &str, nodes: &[&str]| Plugged {
            id: id.parse().unwrap(),
            name: name.to_owned(),
            nodes: nodes.iter().map(|node| (*node).to_owned()).collect(),
        };
        let containers: Vec<ContainerSummary> = serde_json::from_str(
            r#"[{"name":"dev","status":"Running","image":"","created":"","mode":"Default",
                 "devices":["0403:6001","1d6b:0104"]},
                {"name":"web","status":"Running","image":"","created":"","mode":"Default",
                 "devices":["0403:6001"]},
                {"name":"old","status":"Stopped","image":"","created":"","mode":"Default"}]"#,
        )
        .unwrap();
        let devices = merge(
            vec![
                plugged("0403:6001", "FTDI FT232R", &["/dev/ttyUSB0"]),
                plugged("0781:5567", "San\u{1b}[2J", &[]),
            ],
            &containers,
        );
        let json = serde_json::to_value(&devices[2]).unwrap();
        assert_eq!(json["id"], "1d6b:0104");
        assert_eq!(json["plugged_in"], false);
        let text = anstream::adapter::strip_str(&render(devices)).to_string();
        let expected = "\
ID         DEVICE            NODES         CONTAINERS
0403:6001  FTDI FT232R       /dev/ttyUSB0  dev, web
0781:5567  San\\u{1b}[2J
1d6b:0104  (not plugged in)                dev
";
        assert_eq!(text, expected);
    }
}
