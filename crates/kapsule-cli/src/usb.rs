// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The USB devices that are plugged into this computer, as the kernel lists them in `/sys`
//! (`Documentation/ABI/testing/sysfs-bus-usb` of the kernel).

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use kapsule_core::device::UsbId;
use serde::Serialize;

/// Where the kernel lists its devices.
pub(crate) const SYS: &str = "/sys";
/// `bDeviceClass` of hubs, which nobody wants inside: what is plugged into them is.
const HUB: &str = "09";
/// A node is at most this far below its device: a disk is eight.
const DEPTH: usize = 12;
/// Longer than anything in a file that is read here.
const MAX_FILE: u64 = 4096;

/// A device that is plugged in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Plugged {
    /// What kind it is.
    pub(crate) id: UsbId,
    /// What it calls itself: maker and product. Empty for one that does not.
    pub(crate) name: String,
    /// What the kernel's drivers made of it, below `/dev`.
    pub(crate) nodes: Vec<String>,
}

/// The devices that are plugged in, in the order of their kinds. None where there is no USB.
pub(crate) fn plugged_in(sys: &Path) -> Vec<Plugged> {
    let Ok(entries) = fs::read_dir(sys.join("bus/usb/devices")) else {
        return Vec::new();
    };
    let mut devices: Vec<Plugged> = entries
        .filter_map(|entry| describe(&entry.ok()?.path()))
        .collect();
    devices.sort_unstable_by(|a, b| (a.id, &a.nodes).cmp(&(b.id, &b.nodes)));
    devices
}

/// The kind of the device that a node in `/dev` belongs to.
pub(crate) fn of_node(sys: &Path, node: &Path) -> Option<UsbId> {
    let about = fs::metadata(node).ok()?;
    let kind = match about.file_type() {
        kind if kind.is_char_device() => "char",
        kind if kind.is_block_device() => "block",
        _ => return None,
    };
    let (major, minor) = (
        rustix::fs::major(about.rdev()),
        rustix::fs::minor(about.rdev()),
    );
    let device = sys.join(format!("dev/{kind}/{major}:{minor}"));
    device.canonicalize().ok()?.ancestors().find_map(id)
}

fn describe(device: &Path) -> Option<Plugged> {
    let id = id(device)?;
    if read(device, "bDeviceClass")? == HUB {
        return None;
    }
    let texts = ["manufacturer", "product"].map(|file| read(device, file).unwrap_or_default());
    let mut nodes = Vec::new();
    // The entry is a link.
    collect_nodes(&device.canonicalize().ok()?, DEPTH, &mut nodes);
    nodes.sort_unstable();
    Some(Plugged {
        id,
        name: texts.join(" ").trim().to_owned(),
        nodes,
    })
}

/// The kind of a device, where this is the folder of one.
fn id(device: &Path) -> Option<UsbId> {
    let number = |file| u16::from_str_radix(&read(device, file)?, 16).ok();
    Some(UsbId {
        vendor: number("idVendor")?,
        product: number("idProduct")?,
    })
}

/// Nodes of the interfaces, and not of devices that are plugged into this one.
fn collect_nodes(folder: &Path, depth: usize, nodes: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        // No links: they lead back up.
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let path: PathBuf = entry.path();
        if !is_folder || depth == 0 || path.join("idVendor").exists() {
            continue;
        }
        if path.join("dev").exists()
            && let Some(name) = device_name(&path)
        {
            nodes.push(format!("/dev/{name}"));
        }
        collect_nodes(&path, depth - 1, nodes);
    }
}

fn device_name(folder: &Path) -> Option<String> {
    let properties = read(folder, "uevent")?;
    let name = properties
        .lines()
        .find_map(|line| line.strip_prefix("DEVNAME="))?;
    Some(name.to_owned())
}

fn read(folder: &Path, file: &str) -> Option<String> {
    let mut text = Vec::new();
    let file = fs::File::open(folder.join(file)).ok()?;
    file.take(MAX_FILE).read_to_end(&mut text).ok()?;
    // What a device says about itself may be any bytes.
    Some(String::from_utf8_lossy(&text).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A hub with a serial adapter and a stick in it.
    fn tree() -> tempfile::TempDir {
        let sys = tempfile::tempdir().unwrap();
        let list = sys.path().join("bus/usb/devices");
        fs::create_dir_all(&list).unwrap();
        let write = |path: &str, text: &str| {
            let path = sys.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        for (place, vendor, product, class, maker, name) in [
            ("usb1", "1d6b", "0002", "09", "Linux", "Hub"),
            ("usb1/1-1", "0403", "6001", "00", "FTDI", "FT232R"),
            ("usb1/1-2", "0781", "5567", "00", "San\u{1b}[2J", "Cruzer"),
        ] {
            let base = format!("devices/pci0/{place}");
            for (file, text) in [
                ("idVendor", vendor),
                ("idProduct", product),
                ("bDeviceClass", class),
                ("manufacturer", maker),
                ("product", name),
                ("dev", "189:1"),
                ("uevent", "DEVNAME=bus/usb/001/002\n"),
            ] {
                write(&format!("{base}/{file}"), &format!("{text}\n"));
            }
            let name = place.rsplit('/').next().unwrap();
            symlink(sys.path().join(&base), list.join(name)).unwrap();
        }
        let tty = "devices/pci0/usb1/1-1/1-1:1.0/ttyUSB0/tty/ttyUSB0";
        write(&format!("{tty}/dev"), "188:0\n");
        write(&format!("{tty}/uevent"), "MAJOR=188\nDEVNAME=ttyUSB0\n");
        // Interfaces are in the list, too.
        symlink(
            sys.path().join("devices/pci0/usb1/1-1/1-1:1.0"),
            list.join("1-1:1.0"),
        )
        .unwrap();
        let null = sys.path().join("dev/char");
        fs::create_dir_all(&null).unwrap();
        symlink(sys.path().join(tty), null.join("1:3")).unwrap();
        sys
    }

    #[test]
    fn devices_are_told_with_their_nodes_and_hubs_are_not() {
        let sys = tree();
        let devices = plugged_in(sys.path());
        let told: Vec<String> = devices
            .iter()
            .map(|it| format!("{} {}", it.id, it.name))
            .collect();
        assert_eq!(
            told,
            ["0403:6001 FTDI FT232R", "0781:5567 San\u{1b}[2J Cruzer"]
        );
        assert_eq!(devices[0].nodes, ["/dev/ttyUSB0"]);
        assert!(devices[1].nodes.is_empty());
        assert!(plugged_in(Path::new("/nowhere")).is_empty());
    }

    #[test]
    fn a_node_tells_which_device_it_is_of() {
        let sys = tree();
        // Any node will do: the tree says what 1:3 belongs to.
        let id = of_node(sys.path(), Path::new("/dev/null")).unwrap();
        assert_eq!(id.to_string(), "0403:6001");
        for other in ["/dev/zero", "/dev", "/etc/passwd", "/nowhere"] {
            assert_eq!(of_node(sys.path(), Path::new(other)), None, "{other}");
        }
    }
}
