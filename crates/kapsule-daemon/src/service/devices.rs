// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The devices of an instance: its root disk, its network and what it sees of the host.

use std::collections::BTreeMap;
use std::path::Path;

use kapsule_core::device::UsbId;
use kapsule_core::isolation::Isolation;
use kapsule_core::options::Options;
use sha2::{Digest, Sha256};

use super::mounts::Folder;
use super::place::Folders;
use super::{Consent, networks, numbers};
use crate::container_id::ContainerId;
use crate::error::{Error, ErrorKind, Result};
use crate::users::User;

/// Incus devices: name to configuration.
pub(crate) type Devices = BTreeMap<String, BTreeMap<String, String>>;

/// What device names of custom mounts begin with.
const MOUNT: &str = "kapsule-mount-";

/// What device names of USB devices begin with.
const USB: &str = "kapsule-usb-";

/// Longest device name of a custom mount, in characters.
const MAX_DEVICE_NAME: usize = 63;

/// The device that passes on graphics.
const GPU: &str = "gpu";

/// Where the kernel lists graphics devices. Not `/dev/dri`: the service sees no device nodes.
const GRAPHICS: &str = "/sys/class/drm";

/// The devices of a new instance. `mounts` are the checked custom mounts.
pub(crate) fn new_instance(
    id: &ContainerId,
    owner: &User,
    options: &Options,
    mounts: &[Folder],
    pool: &str,
    folders: &Folders,
) -> Devices {
    let mut devices = Devices::new();
    devices.insert(
        "root".to_owned(),
        device([("type", "disk"), ("path", "/"), ("pool", pool)]),
    );
    if let Some(interface) = networks::interface(id.owner, options) {
        devices.insert("eth0".to_owned(), interface);
    }
    devices.insert(
        "kapsule-agent".to_owned(),
        read_only(&folders.guest, kapsule_proto::paths::BIN),
    );
    devices.insert(
        "kapsule-run".to_owned(),
        read_only(&folders.container(id), kapsule_proto::paths::RUN),
    );
    match_graphics(&mut devices, owner, options);
    devices.extend(usb(owner, options));
    if options.host_rootfs {
        devices.insert(
            "hostfs".to_owned(),
            shared(Path::new("/"), Path::new(kapsule_proto::paths::HOST)),
        );
    } else if options.isolation != Isolation::Sealed {
        // The parent of the runtime directories and not the user's own: that one is a mount which
        // goes and comes with their sessions, and has to be followed.
        let inside = format!("{}/run/user", kapsule_proto::paths::HOST);
        devices.insert(
            format!("kapsule-hostrun-{}", owner.uid),
            shared(Path::new("/run/user"), Path::new(&inside)),
        );
        let inside = format!("{}/tmp/.X11-unix", kapsule_proto::paths::HOST);
        let mut sockets = shared(Path::new("/tmp/.X11-unix"), Path::new(&inside));
        // A host without X11 has no such folder.
        sockets.insert("required".to_owned(), "false".to_owned());
        devices.insert("kapsule-hostx11".to_owned(), sockets);
    }
    if options.isolation == Isolation::Privileged && !options.host_rootfs {
        // Where they are too when the rest of the host's files is seen.
        let inside = format!("{}/dev", kapsule_proto::paths::HOST);
        devices.insert(
            "kapsule-devices".to_owned(),
            shared(Path::new("/dev"), Path::new(&inside)),
        );
    }
    if options.mount_home {
        devices.insert(home_device(&owner.name), shared(&owner.home, &owner.home));
    }
    for mount in mounts {
        devices.insert(
            mount_device(&mount.path),
            shared(&mount.source, &mount.path),
        );
    }
    devices
}

/// Gives an instance the USB devices of these options, and takes those away that are not among them.
pub(super) fn replace_usb(devices: &mut Devices, owner: &User, options: &Options) {
    devices.retain(|name, _| !name.starts_with(USB));
    devices.extend(usb(owner, options));
}

/// Refuses kinds of USB device that the container does not have yet and nobody has agreed to.
pub(super) fn check_consent(before: &[UsbId], after: &[UsbId], consent: Consent) -> Result<()> {
    match (added(before, after).next(), consent) {
        (Some(device), Consent::None) => Err(Error::new(
            ErrorKind::AccessDenied,
            format!("nobody has agreed to give the container the USB device {device}"),
        )),
        _ => Ok(()),
    }
}

/// The kinds of USB device that are new.
pub(super) fn added<'a>(
    before: &'a [UsbId],
    after: &'a [UsbId],
) -> impl Iterator<Item = &'a UsbId> {
    after.iter().filter(|device| !before.contains(device))
}

/// For each kind of USB device what passes on the device as such, at `/dev/bus/usb`, and what passes on
/// what the kernel's drivers make of it, such as `/dev/ttyUSB0`. Incus waits for it to be plugged in.
fn usb(owner: &User, options: &Options) -> Devices {
    let (uid, gid) = numbers::inside(owner, options.isolation);
    let of_type = |kind: &str, id: &UsbId| {
        device([
            ("type", kind),
            ("vendorid", &format!("{:04x}", id.vendor)),
            ("productid", &format!("{:04x}", id.product)),
            ("required", "false"),
            ("uid", &uid.to_string()),
            ("gid", &gid.to_string()),
            ("mode", "0660"),
        ])
    };
    let name = |part: &str, id: &UsbId| format!("{USB}{part}-{:04x}-{:04x}", id.vendor, id.product);
    let both = |id| {
        [
            (name("bus", id), of_type("usb", id)),
            (name("node", id), of_type("unix-hotplug", id)),
        ]
    };
    options.devices.iter().flat_map(both).collect()
}

/// The custom mounts among an instance's devices.
pub(super) fn custom_mounts(
    devices: &Devices,
) -> impl Iterator<Item = (&String, &BTreeMap<String, String>)> {
    devices.iter().filter(|(name, _)| name.starts_with(MOUNT))
}

/// Gives the instance graphics devices where it may have them and the host has any, and takes them away
/// where not: Incus refuses to start an instance with one that is not there. Returns whether it made a
/// difference.
pub(super) fn match_graphics(devices: &mut Devices, owner: &User, options: &Options) -> bool {
    follow_graphics(devices, owner, options, Path::new(GRAPHICS))
}

fn follow_graphics(devices: &mut Devices, owner: &User, options: &Options, class: &Path) -> bool {
    let wanted = options.gpu && has_graphics(class);
    if devices.contains_key(GPU) == wanted {
        return false;
    }
    if wanted {
        let (_, gid) = numbers::inside(owner, options.isolation);
        let gid = gid.to_string();
        // Owned by the user's group: the guest's group numbers are not the host's.
        devices.insert(
            GPU.to_owned(),
            device([("type", "gpu"), ("gid", &gid), ("mode", "0660")]),
        );
    } else {
        devices.remove(GPU);
    }
    true
}

/// Whether the host has a graphics device.
fn has_graphics(class: &Path) -> bool {
    // Beside `card0` and `renderD128` the folder holds connectors and a file `version`.
    let is_device = |name: &str| {
        ["card", "renderD"].iter().any(|kind| {
            name.strip_prefix(kind).is_some_and(|number| {
                !number.is_empty() && number.chars().all(|c| c.is_ascii_digit())
            })
        })
    };
    std::fs::read_dir(class).is_ok_and(|mut entries| {
        entries
            .any(|entry| entry.is_ok_and(|entry| entry.file_name().to_str().is_some_and(is_device)))
    })
}

fn device<const N: usize>(entries: [(&str, &str); N]) -> BTreeMap<String, String> {
    entries
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// A host folder that shows the same files, with what is mounted below it now and later.
fn shared(source: &Path, path: &Path) -> BTreeMap<String, String> {
    device([
        ("type", "disk"),
        ("source", &source.to_string_lossy()),
        ("path", &path.to_string_lossy()),
        ("recursive", "true"),
        ("propagation", "rslave"),
        ("shift", "false"),
    ])
}

fn read_only(source: &Path, path: &str) -> BTreeMap<String, String> {
    device([
        ("type", "disk"),
        ("source", &source.to_string_lossy()),
        ("path", path),
        ("readonly", "true"),
        ("shift", "false"),
    ])
}

fn home_device(user: &str) -> String {
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' || c == '_' {
            c
        } else {
            '-'
        }
    };
    let name: String = user
        .chars()
        .map(safe)
        .take(MAX_DEVICE_NAME - "kapsule-home-".len())
        .collect();
    format!("kapsule-home-{name}")
}

/// The device name of a custom mount, as existing tools know it: the path with `/` and `.` as
/// hyphens, or the beginning of its hash where that is too long or could mean two paths.
fn mount_device(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = text.trim_matches('/');
    let name = format!("{MOUNT}{}", plain.replace(['/', '.'], "-"));
    let simple = plain
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "/_".contains(c));
    if simple && name.len() <= MAX_DEVICE_NAME {
        return name;
    }
    let hash = Sha256::digest(text.as_bytes());
    let hex: String = hash
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{MOUNT}{hex}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use kapsule_core::options::{OptionValue, resolve};
    use kapsule_proto::folder::FolderId;

    use super::*;

    fn devices(options: &str, mounts: &[&str]) -> Devices {
        let given = serde_json::from_str(options).unwrap();
        let options = resolve(&given, &BTreeMap::new(), Isolation::Standard).unwrap();
        let id = ContainerId::new(1000, &"dev".parse().unwrap());
        let root = FolderId::of(std::fs::File::open("/").unwrap()).unwrap();
        let mounts: Vec<Folder> = mounts
            .iter()
            .map(|path| Folder {
                source: path.into(),
                path: path.into(),
                id: root.clone(),
                beyond_rights: false,
            })
            .collect();
        let folders = Folders {
            state: "/var/lib/kapsule".into(),
            guest: "/usr/lib/kapsule/guest".into(),
        };
        new_instance(
            &id,
            &User::for_tests(1000, 1000),
            &options,
            &mounts,
            "default",
            &folders,
        )
    }

    #[test]
    fn shares_what_the_options_say_and_no_more() {
        let all = devices("{}", &["/srv/data"]);
        for name in [
            "root",
            "eth0",
            "kapsule-agent",
            "kapsule-run",
            "hostfs",
            "kapsule-mount-srv-data",
        ] {
            assert!(all.contains_key(name), "{name}: {all:?}");
        }
        assert!(all.keys().any(|name| name.starts_with("kapsule-home-")));
        let bare = devices(r#"{"host_rootfs":false,"mount_home":false}"#, &[]);
        assert!(!bare.contains_key("hostfs"));
        assert_eq!(bare["kapsule-hostrun-1000"]["source"], "/run/user");
        assert_eq!(bare["kapsule-hostx11"]["required"], "false");
        assert!(!bare.keys().any(|name| name.starts_with("kapsule-home-")));
    }

    #[test]
    fn a_sealed_container_has_its_disk_its_agent_and_at_most_a_network() {
        let names = |options: &str| devices(options, &[]).into_keys().collect::<Vec<_>>();
        assert_eq!(
            names(r#"{"isolation":"sealed"}"#),
            ["eth0", "kapsule-agent", "kapsule-run", "root"]
        );
        assert_eq!(
            names(r#"{"isolation":"sealed","network":false}"#),
            ["kapsule-agent", "kapsule-run", "root"]
        );
    }

    #[test]
    fn a_privileged_container_has_the_hosts_devices() {
        let all = devices(r#"{"isolation":"privileged"}"#, &[]);
        assert!(
            all.contains_key("hostfs") && !all.contains_key("eth0"),
            "{all:?}"
        );
        assert!(!all.contains_key("kapsule-devices"), "{all:?}");
        let some = devices(r#"{"isolation":"privileged","host_rootfs":false}"#, &[]);
        assert_eq!(some["kapsule-devices"]["path"], "/.kapsule/host/dev");
        assert!(!some.contains_key("hostfs"));
    }

    #[test]
    fn usb_devices_are_the_owners_and_can_be_taken_back() {
        let mut all = devices(r#"{"devices":["0403:6001","1d6b:0002"]}"#, &[]);
        for (name, kind) in [
            ("kapsule-usb-bus-0403-6001", "usb"),
            ("kapsule-usb-node-0403-6001", "unix-hotplug"),
        ] {
            let device = &all[name];
            assert_eq!(device["type"], kind);
            assert_eq!(
                (device["vendorid"].as_str(), device["productid"].as_str()),
                ("0403", "6001")
            );
            assert_eq!(
                (device["uid"].as_str(), device["required"].as_str()),
                ("1000", "false")
            );
        }
        let one = r#"{"devices":["1d6b:0002"]}"#;
        let one = resolve(
            &serde_json::from_str(one).unwrap(),
            &BTreeMap::new(),
            Isolation::Standard,
        );
        let others = all.len() - 4;
        replace_usb(&mut all, &User::for_tests(1000, 1000), &one.unwrap());
        assert!(all.contains_key("kapsule-usb-bus-1d6b-0002"), "{all:?}");
        assert_eq!(all.len(), others + 2, "{all:?}");
    }

    #[test]
    fn what_is_the_daemons_is_read_only() {
        let all = devices("{}", &[]);
        for name in ["kapsule-agent", "kapsule-run"] {
            assert_eq!(all[name]["readonly"], "true", "{name}");
        }
        assert_eq!(
            all["kapsule-run"]["source"],
            "/var/lib/kapsule/containers/1000/dev"
        );
    }

    #[test]
    fn sees_graphics_devices_and_nothing_else() {
        let class = tempfile::tempdir().unwrap();
        let make = |name: &str| std::fs::write(class.path().join(name), "").unwrap();
        for other in ["version", "card0-HDMI-A-1", "card"] {
            make(other);
        }
        assert!(!has_graphics(class.path()) && !has_graphics(&class.path().join("missing")));
        make("renderD128");
        assert!(has_graphics(class.path()));

        // They come and go while a container is stopped.
        let owner = User::for_tests(1000, 1000);
        let with = |gpu: bool| {
            let given = BTreeMap::from([("gpu".to_owned(), OptionValue::Boolean(gpu))]);
            resolve(&given, &BTreeMap::new(), Isolation::Standard).unwrap()
        };
        let mut devices = Devices::new();
        let missing = class.path().join("missing");
        let mut follow = |gpu: bool, class: &Path| {
            let changed = follow_graphics(&mut devices, &owner, &with(gpu), class);
            (changed, devices.contains_key("gpu"))
        };
        assert_eq!(follow(true, &missing), (false, false));
        assert_eq!(follow(false, class.path()), (false, false));
        assert_eq!(follow(true, class.path()), (true, true));
        assert_eq!(follow(true, class.path()), (false, true));
        assert_eq!(follow(true, &missing), (true, false));
    }

    #[test]
    fn device_names_are_short_and_distinct() {
        assert_eq!(
            mount_device(Path::new("/srv/data")),
            "kapsule-mount-srv-data"
        );
        let long = format!("/{}", "x".repeat(100));
        assert_eq!(
            mount_device(Path::new(&long)).len(),
            "kapsule-mount-".len() + 12
        );
        assert_ne!(
            mount_device(Path::new("/a.b")),
            mount_device(Path::new("/a-b"))
        );
        assert_eq!(home_device("a.b@c"), "kapsule-home-a-b-c");
    }
}
