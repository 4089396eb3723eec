// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

use super::*;

fn owner() -> Owner {
    Owner {
        uid: 1000,
        gid: 1000,
        name: "alice".into(),
        group: "alice".into(),
        gecos: String::new(),
        home: "/home/alice".into(),
        home_mounted: true,
        shell: "/bin/sh".into(),
    }
}

/// A guest with these files; `a -> b` is a link.
fn guest(paths: &[&str]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for path in paths {
        let (path, target) = path.split_once(" -> ").unwrap_or((path, ""));
        let path = inside(root.path(), path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        if target.is_empty() {
            std::fs::write(&path, "").unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&path, mode).unwrap();
        } else {
            symlink(target, &path).unwrap();
        }
    }
    root
}

const SYSTEMD: &[&str] = &[
    "/usr/lib/systemd/systemd",
    "/sbin/init -> ../usr/lib/systemd/systemd",
];
const LOGIND: &[&str] = &[
    "/usr/lib/systemd/systemd-logind",
    "/usr/lib/systemd/system/user@.service",
    "/usr/lib/systemd/system/dbus.socket",
    "/usr/bin/dbus-daemon",
];
const PAM: &str = "/usr/lib/x86_64-linux-gnu/security/pam_systemd.so";

#[test]
fn the_starter_follows_what_the_guest_has() {
    let whole = [SYSTEMD, LOGIND, &[PAM]].concat();
    let fedora = [SYSTEMD, LOGIND, &["/usr/lib64/security/pam_systemd.so"]].concat();
    let masked = [
        &whole[..],
        &["/etc/systemd/system/user@.service -> /dev/null"],
    ]
    .concat();
    let sysvinit = [
        &["/sbin/init", "/usr/lib/systemd/systemd"][..],
        LOGIND,
        &[PAM],
    ]
    .concat();
    let busybox = ["/bin/busybox", "/sbin/init -> ../bin/busybox"];
    for (paths, uid, starter) in [
        (&whole[..], 1000, Starter::UserManager),
        (&fedora, 1000, Starter::UserManager),
        (&whole, 0, Starter::SystemService),
        (&masked, 1000, Starter::SystemService),
        (&[SYSTEMD, LOGIND].concat(), 1000, Starter::SystemService),
        (SYSTEMD, 1000, Starter::SystemService),
        (&sysvinit, 1000, Starter::Supervisor),
        (&busybox, 1000, Starter::Supervisor),
        (&[], 1000, Starter::Supervisor),
    ] {
        assert_eq!(choose(guest(paths).path(), uid), starter, "{paths:?}");
    }
}

#[test]
fn units_follow_the_starter() {
    let root = guest(&[]);
    let exists = |path| inside(root.path(), path).exists();

    set_up(root.path(), Starter::UserManager, &owner()).unwrap();
    set_up(root.path(), Starter::UserManager, &owner()).unwrap();
    assert!(exists(USER_UNIT) && exists(USER_LINK) && exists("/var/lib/systemd/linger/alice"));
    assert!(is_set_up(root.path(), Starter::UserManager));
    assert!(!is_set_up(root.path(), Starter::SystemService));

    set_up(root.path(), Starter::SystemService, &owner()).unwrap();
    assert!(exists(SYSTEM_UNIT) && exists(SYSTEM_LINK));
    assert!(!exists(USER_UNIT) && inside(root.path(), USER_LINK).symlink_metadata().is_err());

    set_up(root.path(), Starter::Supervisor, &owner()).unwrap();
    assert!(!exists(SYSTEM_UNIT) && !exists(SYSTEM_LINK));
}

#[test]
fn a_masked_unit_is_not_set_up() {
    let root = guest(&[]);
    set_up(root.path(), Starter::UserManager, &owner()).unwrap();
    let unit = inside(root.path(), USER_UNIT);
    std::fs::remove_file(&unit).unwrap();
    symlink("/dev/null", &unit).unwrap();
    // The mask stays, and is said to be in the way.
    assert!(set_up(root.path(), Starter::UserManager, &owner()).is_err());
    assert_eq!(std::fs::read_link(&unit).unwrap(), Path::new("/dev/null"));
    assert!(!is_set_up(root.path(), Starter::UserManager));
}

#[test]
fn units_of_others_stay() {
    let root = guest(&[USER_UNIT, USER_LINK]);
    set_up(root.path(), Starter::Supervisor, &owner()).unwrap();
    assert!(inside(root.path(), USER_UNIT).exists() && inside(root.path(), USER_LINK).exists());
}

#[test]
fn masking_happens_once() {
    let root = guest(&[]);
    let path = inside(root.path(), WAIT_ONLINE);
    mask_wait_online(root.path()).unwrap();
    assert_eq!(std::fs::read_link(&path).unwrap(), Path::new("/dev/null"));
    std::fs::remove_file(&path).unwrap();
    mask_wait_online(root.path()).unwrap();
    assert!(path.symlink_metadata().is_err());
}
