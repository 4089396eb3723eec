// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Where the container has the host's network and devices: nothing inside may set these up, as it
//! would set up the host's. A guest that asks for an address by DHCP would take the host's away.
//!
//! Done at every boot: packages that are installed later bring services of their own.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, symlink};
use std::path::Path;

use kapsule_proto::paths;

use crate::files::{self, inside};

/// Services of systemd that set up networks or devices, or answer on ports that the host's own
/// have. Those that are not installed are masked as well, for the time when they are.
const UNITS: &[&str] = &[
    "NetworkManager.service",
    "connman.service",
    "dhcpcd.service",
    "dnsmasq.service",
    "ifupdown-pre.service",
    "iwd.service",
    "networking.service",
    "systemd-networkd.service",
    "systemd-networkd.socket",
    "systemd-networkd-wait-online.service",
    "systemd-resolved.service",
    "systemd-udevd-control.socket",
    "systemd-udevd-kernel.socket",
    "systemd-udevd.service",
    "wpa_supplicant.service",
];

/// The same of OpenRC, in its runlevels.
const OPENRC: &[&str] = &[
    "NetworkManager",
    "connman",
    "dhcpcd",
    "hwdrivers",
    "mdev",
    "networking",
    "udev",
    "udev-trigger",
    "wpa_supplicant",
];

/// Where Debian's scripts are told to leave interfaces alone, and what they are told: ifupdown at
/// start, and sysvinit when the system stops. The latter takes down all interfaces that there are.
const DEFAULTS: &[(&str, &str)] = &[
    ("/etc/default/networking", "CONFIGURE_INTERFACES=no"),
    ("/etc/default/halt", "NETDOWN=no"),
];

/// Longer than any of these files is, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// Keeps the guest's services away from the host's network and devices.
pub(crate) fn leave_alone(root: &Path) -> io::Result<()> {
    let units = inside(root, "/etc/systemd/system");
    if inside(root, "/etc/systemd").is_dir() {
        std::fs::create_dir_all(&units)?;
        for unit in UNITS {
            link(Path::new("/dev/null"), &units.join(unit))?;
        }
    }
    leave_out_of_runlevels(root);
    for (path, line) in DEFAULTS {
        add_line(&inside(root, path), line)?;
    }
    Ok(())
}

/// Adds the line at the end, where the last one of its kind counts, unless the file has it or its
/// folder is not there.
fn add_line(path: &Path, line: &str) -> io::Result<()> {
    let old = match files::read_limited(path, MAX_FILE) {
        Ok(old) => String::from_utf8_lossy(&old).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    let has_parent = path.parent().is_some_and(Path::is_dir);
    if !has_parent || old.lines().next_back() == Some(line) {
        return Ok(());
    }
    let end = if old.is_empty() || old.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    files::replace(path, format!("{old}{end}{line}\n").as_bytes(), 0o644)
}

fn leave_out_of_runlevels(root: &Path) {
    let levels = std::fs::read_dir(inside(root, "/etc/runlevels"));
    for level in levels.into_iter().flatten().flatten() {
        for service in OPENRC {
            // Most are not there.
            let _ = std::fs::remove_file(level.path().join(service));
        }
    }
}

/// Gives the guest the host's name servers.
pub(crate) fn use_hosts_resolver(root: &Path) -> io::Result<()> {
    if !inside(root, paths::RESOLV_CONF).exists() {
        // The host has none.
        return Ok(());
    }
    link(
        Path::new(paths::RESOLV_CONF),
        &inside(root, "/etc/resolv.conf"),
    )
}

/// Shows the host's devices in `/dev`, as far as the guest has none of that name.
pub(crate) fn show_devices(root: &Path) -> io::Result<()> {
    let host = inside(root, "/.kapsule/host/dev");
    let entries = match std::fs::read_dir(&host) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(text) = name.to_str() else { continue };
        // Of what is there, not of what the folder says: a device may be mounted over a file.
        let Ok(kind) = entry.path().metadata().map(|it| it.file_type()) else {
            continue;
        };
        let is_device = kind.is_char_device() || kind.is_block_device() || kind.is_dir();
        if !is_device || is_console(text) || OWN.contains(&text) {
            continue;
        }
        let target = Path::new("/.kapsule/host/dev").join(text);
        match symlink(&target, inside(root, "/dev").join(text)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// What each system has for itself, also where it is not there yet.
const OWN: &[&str] = &["hugepages", "mqueue", "pts", "shm"];

/// The host's screens: a guest that finds one puts a login on it.
fn is_console(name: &str) -> bool {
    let numbered = |start: &str| {
        name.strip_prefix(start)
            .is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit()))
    };
    name == "console" || numbered("tty") || ["vcs", "vcsa", "vcsu"].into_iter().any(numbered)
}

/// Makes a link in place of whatever is there; not of a folder.
fn link(target: &Path, path: &Path) -> io::Result<()> {
    if std::fs::read_link(path).is_ok_and(|old| old == target) {
        return Ok(());
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => symlink(target, path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sets_up_networks_is_masked_for_good() {
        let root = tempfile::tempdir().unwrap();
        let etc = root.path().join("etc");
        std::fs::create_dir_all(etc.join("systemd/system")).unwrap();
        std::fs::create_dir_all(etc.join("default")).unwrap();
        std::fs::create_dir_all(etc.join("runlevels/boot")).unwrap();
        let own = etc.join("systemd/system/NetworkManager.service");
        std::fs::write(&own, "[Service]\n").unwrap();
        std::fs::write(etc.join("default/networking"), "VERBOSE=no\n").unwrap();
        std::fs::write(etc.join("default/halt"), "NETDOWN=no\nNETDOWN=yes").unwrap();
        symlink(
            "/etc/init.d/networking",
            etc.join("runlevels/boot/networking"),
        )
        .unwrap();
        for _ in 0..2 {
            leave_alone(root.path()).unwrap();
            for unit in UNITS {
                let mask = etc.join("systemd/system").join(unit);
                assert_eq!(std::fs::read_link(mask).unwrap(), Path::new("/dev/null"));
            }
            assert_eq!(
                std::fs::read_to_string(etc.join("default/networking")).unwrap(),
                "VERBOSE=no\nCONFIGURE_INTERFACES=no\n"
            );
            // The last one counts.
            assert_eq!(
                std::fs::read_to_string(etc.join("default/halt")).unwrap(),
                "NETDOWN=no\nNETDOWN=yes\nNETDOWN=no\n"
            );
            let left = etc.join("runlevels/boot/networking").symlink_metadata();
            assert!(left.is_err());
        }
    }

    #[test]
    fn a_guest_of_nothing_is_left_as_it_is() {
        let root = tempfile::tempdir().unwrap();
        leave_alone(root.path()).unwrap();
        use_hosts_resolver(root.path()).unwrap();
        show_devices(root.path()).unwrap();
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_hosts_name_servers_take_the_place_of_the_guests() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join(".kapsule/run")).unwrap();
        std::fs::create_dir_all(root.path().join("etc")).unwrap();
        std::fs::write(root.path().join(".kapsule/run/resolv.conf"), "").unwrap();
        let own = root.path().join("etc/resolv.conf");
        symlink("../run/systemd/resolve/stub-resolv.conf", &own).unwrap();
        for _ in 0..2 {
            use_hosts_resolver(root.path()).unwrap();
            let now = std::fs::read_link(&own).unwrap();
            assert_eq!(now, Path::new("/.kapsule/run/resolv.conf"));
        }
    }

    #[test]
    fn devices_are_shown_and_screens_and_what_is_there_are_not() {
        let root = tempfile::tempdir().unwrap();
        let host = root.path().join(".kapsule/host/dev");
        for folder in ["snd", "shm", "bus"] {
            std::fs::create_dir_all(host.join(folder)).unwrap();
        }
        std::fs::create_dir_all(root.path().join("dev/bus")).unwrap();
        std::fs::write(host.join("log"), "").unwrap();
        show_devices(root.path()).unwrap();
        show_devices(root.path()).unwrap();
        let dev = root.path().join("dev");
        assert!(dev.join("snd").is_symlink() && !dev.join("bus").is_symlink());
        assert_eq!(std::fs::read_dir(&dev).unwrap().count(), 2);
        for screen in ["tty", "tty0", "tty63", "vcs", "vcsa1", "vcsu", "console"] {
            assert!(is_console(screen), "{screen}");
        }
        for other in ["ttyUSB0", "ttyS0", "kvm"] {
            assert!(!is_console(other), "{other}");
        }
    }
}
