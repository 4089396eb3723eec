// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! USB and serial devices that are given to containers, come, go, and are taken back.
//!
//! The machine's kernel has no USB. What tells of a device here is what tells of one anywhere: the kernel's
//! message, sent by the kernel on behalf of root (`uevent_net_rcv_skb`), and for the serial port, which is
//! a real one, udev. Incus, polkit and everything behind are as they are.

use std::path::Path;

use kapsule_system_tests::bus::{CONTAINERS, ROOT_PATH, path_in};
use kapsule_system_tests::container::{Container, IMAGE, names};
use kapsule_system_tests::host::{ALICE, BOB, Host, ROOT, alone, shared};
use kapsule_system_tests::polkit::Rule;

/// Vendor and product of what is plugged in: for tests, by pid.codes.
const ID: &str = "1209:0001";
/// The node of the device as such. What it opens is the same as `/dev/null`.
const BUS_NODE: &str = "/dev/bus/usb/099/005";
/// A serial port that the machine has.
const PORT: &str = "ttyS0";
/// Has udev take the port for part of that device.
const UDEV_RULE: &str = "/run/udev/rules.d/99-t-usb.rules";

/// Has the kernel send a message about a device to whoever listens in the host.
const UEVENT: &str = r#"
import socket, struct, sys
body = b"".join(field.encode() + b"\0" for field in sys.argv[1:])
kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15)
kernel.bind((0, 0))
kernel.sendto(struct.pack("=IHHII", 16 + len(body), 16, 5, 0, 0) + body, (0, 0))
sys.exit(struct.unpack("=i", kernel.recv(4096)[16:20])[0])
"#;

/// The device is plugged in until this is dropped.
struct Device;

impl Device {
    fn plug_in() -> Self {
        let rule = format!(
            "KERNEL==\"{PORT}\", ENV{{ID_VENDOR_ID}}=\"1209\", ENV{{ID_MODEL_ID}}=\"0001\"\n"
        );
        ROOT.run(["mkdir", "-p", "/run/udev/rules.d"]).ok();
        ROOT.command(["tee", UDEV_RULE]).stdin(rule).run().ok();
        ROOT.run(["udevadm", "control", "--reload"]).ok();
        let device = Self;
        device.tell("add");
        device
    }

    fn tell(&self, action: &str) {
        let place = "/devices/pci0000:00/usb99/99-1";
        let head = format!("{action}@{place}");
        let fields = [
            &format!("ACTION={action}"),
            &format!("DEVPATH={place}"),
            "SUBSYSTEM=usb",
            "DEVTYPE=usb_device",
            "PRODUCT=1209/1/100",
            "MAJOR=1",
            "MINOR=3",
            "DEVNAME=bus/usb/099/005",
            "BUSNUM=099",
            "DEVNUM=005",
            // Incus leaves the last one out.
            "SEQNUM=1",
        ];
        let message = [&["python3", "-c", UEVENT, &head][..], &fields].concat();
        ROOT.run(message).ok();
        let port = format!("/sys/class/tty/{PORT}");
        let action = format!("--action={action}");
        ROOT.run(["udevadm", "trigger", "--settle", &action, &port])
            .ok();
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.tell("remove");
        }
        drop(ROOT.run(["rm", "-f", UDEV_RULE]));
        drop(ROOT.run(["udevadm", "control", "--reload"]));
    }
}

/// Waits until the container's owner can use both nodes inside, or sees neither.
#[track_caller]
fn wait_for(host: &Host, container: &Container, there: bool) {
    let script = format!(
        "echo x > {BUS_NODE} && stty -F /dev/{PORT} > /dev/null && echo used; ls {BUS_NODE} /dev/{PORT}"
    );
    host.wait_until(
        if there {
            "the device is there"
        } else {
            "it is gone"
        },
        || {
            let seen = container.owner.enter(container.name, ["sh", "-c", &script]);
            match there {
                true => seen.text().contains("used"),
                false => seen.text().trim().is_empty(),
            }
        },
    );
}

#[test]
fn a_device_is_given_comes_and_goes_and_is_taken_back() {
    let Some(host) = alone() else { return };
    assert!(Path::new("/sys/class/tty").join(PORT).exists());
    let container = Container::create(BOB, "t-usb", &[]);
    let other = Container::create(BOB, "t-usb-not", &[]);
    let name = container.name;
    let said = BOB.kapsule(["device", "add", name, ID]).failed();
    assert!(
        said.contains("give-devices") && said.contains("administrator"),
        "{said}"
    );

    let rule = Rule::new(BOB, "give-devices", "YES");
    let said = BOB.kapsule(["device", "add", name, ID]);
    said.ok();
    assert!(said.all().contains("is not plugged in"), "{said}");
    let again = BOB.kapsule(["device", "add", name, ID]);
    assert!(again.all().contains("is so already"), "{again}");
    let listed = BOB.kapsule(["device", "list", "--json"]).json();
    assert_eq!(listed[0]["id"], ID, "{listed}");
    assert_eq!(listed[0]["plugged_in"], false, "{listed}");
    assert_eq!(
        listed[0]["containers"],
        serde_json::json!([name]),
        "{listed}"
    );
    let facts = container.info()["exposure"].to_string();
    assert!(facts.contains(ID), "{facts}");
    drop(rule);

    wait_for(&host, &container, false);
    let device = Device::plug_in();
    wait_for(&host, &container, true);
    // The mode may be what the rules of udev inside say.
    let owner = container.sh(&format!("stat -c %U {BUS_NODE} /dev/{PORT}"));
    assert_eq!(owner, "bob\nbob");
    wait_for(&host, &other, false);
    // Into a container that runs already, and one that starts.
    drop(device);
    wait_for(&host, &container, false);
    let device = Device::plug_in();
    wait_for(&host, &container, true);
    BOB.kapsule(["restart", "--force", name]).ok();
    container.sh(&format!("stty -F /dev/{PORT}"));
    // Also when something else has to be changed, which needs nobody's consent.
    BOB.kapsule(["set", name, "--no-sound"]).ok();
    container.sh(&format!("stty -F /dev/{PORT}"));

    let said = BOB
        .kapsule(["device", "remove", name, "1209:0002"])
        .failed();
    assert!(
        said.contains("has not been given 1209:0002") && said.contains(ID),
        "{said}"
    );
    BOB.kapsule(["device", "remove", name, ID]).ok();
    wait_for(&host, &container, false);
    device.tell("remove");
    device.tell("add");
    wait_for(&host, &container, false);
    let config = container.incus_config()["devices"].to_string();
    assert!(!config.contains("kapsule-usb"), "{config}");
    assert_eq!(
        BOB.kapsule(["device", "list", "--json"]).json(),
        serde_json::json!([])
    );
}

#[test]
fn nobody_gets_a_device_that_no_administrator_agreed_to() {
    let Some(_host) = shared() else { return };
    let planned = Container::planned(BOB, "t-usb-new");
    let create = ["create", planned.name, "--image", IMAGE, "--devices", ID];
    let said = BOB.kapsule(create).failed();
    assert!(said.contains("give-devices"), "{said}");
    assert!(!names(BOB).contains(&planned.name.to_owned()));

    let container = Container::create(BOB, "t-usb-set", &[]);
    let method = format!("{CONTAINERS}.SetOptions");
    let args = ["sa{sv}", container.name, "1", "devices", "as", "1", ID];
    let ended = BOB.finish(&path_in(&BOB.call_at(ROOT_PATH, &method, &args)));
    assert_eq!(ended.status, "failed");
    assert!(ended.error.contains("give-devices"), "{}", ended.error);
    assert_eq!(
        container.info()["options"]["devices"],
        serde_json::json!([])
    );
}

#[test]
fn what_is_no_device_is_refused_in_words() {
    let Some(_host) = shared() else { return };
    let sealed = Container::create(ALICE, "t-usb-sealed", &["--isolation", "sealed"]);
    for (line, expected) in [
        (
            &["device", "add", sealed.name, "mouse"][..],
            "\"mouse\" is no USB device",
        ),
        (
            &["device", "add", sealed.name, "/dev/null"],
            "not a node of a USB device",
        ),
        (
            &["device", "add", sealed.name, ID],
            "'devices' cannot be used in a sealed container",
        ),
        (&["device", "add", "t-nothing", ID], "there is no container"),
        (
            &["device", "remove", sealed.name, ID],
            "It has been given: none",
        ),
        (
            &["set", sealed.name, "--devices", "403:6001"],
            "\"403:6001\" is no USB device",
        ),
    ] {
        let said = ALICE.kapsule(line).failed();
        assert!(said.contains(expected), "{line:?}: {said}");
    }
}

/// As after a graphics card was taken out: Incus alone does not start such a container.
#[test]
fn a_container_starts_without_the_graphics_card_that_it_once_had() {
    let Some(_host) = shared() else { return };
    let container = Container::create(ALICE, "t-gpu", &[]);
    ALICE.kapsule(["stop", "--force", container.name]).ok();
    let project = format!("--project=kapsule-{}", ALICE.uid);
    let incus = |args: &[&str]| ROOT.run([&["incus", &project], args].concat());
    let graphics = ROOT
        .sh("ls /sys/class/drm/card* /sys/class/drm/renderD*")
        .status
        == 0;
    if !graphics {
        incus(&["config", "device", "add", container.name, "gpu", "gpu"]).ok();
        incus(&["start", container.name]).failed();
    }
    ALICE.kapsule(["start", container.name]).ok();
    assert_eq!(container.status(), "Running");
    let devices = container.incus_config()["devices"].clone();
    assert_eq!(devices.get("gpu").is_some(), graphics, "{devices}");
}
