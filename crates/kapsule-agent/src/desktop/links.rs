// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Links to the host's sockets, where programs look for them. Made and removed with the owner's
//! rights, and only links that are Kapsule's: those that lead to where the host's sockets are.

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use kapsule_proto::spec::SessionShares;

use super::table::{ENTRIES, WAYLAND, folders};

/// More than a desktop has, and few enough to be looked at each time.
const MAX_LINKS: usize = 256;

/// Where things are inside, and where the host's are as seen from inside.
#[derive(Clone, Debug)]
pub(super) struct Places {
    /// The guest's runtime directory of the owner.
    pub(super) runtime: PathBuf,
    /// The host's.
    pub(super) host_runtime: PathBuf,
    /// The guest's folder of X servers' sockets.
    pub(super) x11: PathBuf,
    /// The host's.
    pub(super) host_x11: PathBuf,
}

/// Makes the links be those that are to be. Problems are told and keep nothing else from being done.
pub(super) fn refresh(places: &Places, shares: SessionShares, problems: &mut Vec<String>) {
    for folder in folders() {
        let (inside, host) = (
            places.runtime.join(folder),
            places.host_runtime.join(folder),
        );
        let entries = ENTRIES.iter().filter(|entry| entry.folder == folder);
        let given: Vec<_> = entries
            .filter(|entry| entry.part.is_given(shares))
            .collect();
        let mut wanted = listed(&host, |name| given.iter().any(|it| it.matches(name)));
        if folder.is_empty() {
            keep_displays(&inside, &host, &mut wanted);
        }
        apply(&inside, &host, &wanted, 0o700, problems);
    }
    let is_display = |name: &[u8]| {
        name.strip_prefix(b"X")
            .is_some_and(|number| !number.is_empty() && number.iter().all(u8::is_ascii_digit))
    };
    let wanted = listed(&places.host_x11, |name| shares.display && is_display(name));
    // Open to all, as the guest's own init makes it, where it does.
    apply(&places.x11, &places.host_x11, &wanted, 0o1777, problems);
}

type Links = BTreeMap<PathBuf, PathBuf>;

/// The names in a folder of the host that are wanted, and what they are to lead to.
fn listed(host: &Path, wanted: impl Fn(&[u8]) -> bool) -> Links {
    let entries = std::fs::read_dir(host).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name())
        .filter(|name| wanted(name.as_bytes()))
        .take(MAX_LINKS)
        .map(|name| (PathBuf::from(&name), host.join(name)))
        .collect()
}

/// A compositor that was started again may have another socket. Programs that are started by those
/// which know only the name of the old one find the new one there.
fn keep_displays(inside: &Path, host: &Path, wanted: &mut Links) {
    let is_display = |name: &Path| {
        let number = name.as_os_str().as_bytes().strip_prefix(WAYLAND.as_bytes());
        number.is_some_and(|it| !it.is_empty() && it.iter().all(u8::is_ascii_digit))
    };
    let mut displays = wanted.iter().filter(|(name, _)| is_display(name));
    let Some(first) = displays.next().map(|(_, target)| target.clone()) else {
        return;
    };
    for (name, _) in ours(inside, host) {
        if is_display(&name) {
            wanted.entry(name).or_insert_with(|| first.clone());
        }
    }
}

/// The links in a folder of the guest that lead into this folder of the host.
fn ours(inside: &Path, host: &Path) -> Vec<(PathBuf, PathBuf)> {
    let entries = std::fs::read_dir(inside).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let target = std::fs::read_link(entry.path()).ok()?;
            (target.parent() == Some(host)).then(|| (entry.file_name().into(), target))
        })
        .collect()
}

fn apply(inside: &Path, host: &Path, wanted: &Links, mode: u32, problems: &mut Vec<String>) {
    let mut step = |path: &Path, result: io::Result<()>| {
        if let Err(error) = result {
            problems.push(format!("{}: {error}", path.display()));
        }
    };
    for (name, target) in ours(inside, host) {
        if wanted.get(&name) != Some(&target) {
            let path = inside.join(name);
            step(&path, std::fs::remove_file(&path));
        }
    }
    if wanted.is_empty() {
        return;
    }
    step(inside, make_folder(inside, mode));
    for (name, target) in wanted {
        let path = inside.join(name);
        // What is there is right, or the guest's own.
        if path.symlink_metadata().is_err() {
            step(&path, symlink(target, &path));
        }
    }
}

fn make_folder(folder: &Path, mode: u32) -> io::Result<()> {
    if folder.symlink_metadata().is_ok() {
        return Ok(());
    }
    DirBuilder::new().mode(mode).create(folder)?;
    // Whatever the umask is.
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::super::ALL;
    use super::*;

    struct Fixture {
        _dir: tempfile::TempDir,
        places: Places,
    }

    fn fixture() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let place = |name: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir(&path).unwrap();
            path
        };
        let places = Places {
            runtime: place("runtime"),
            host_runtime: place("host"),
            // Not there yet, as in guests without systemd.
            x11: dir.path().join("x11"),
            host_x11: place("host-x11"),
        };
        Fixture { _dir: dir, places }
    }

    impl Fixture {
        fn on_host(&self, path: &str) {
            let path = self.places.host_runtime.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            drop(UnixListener::bind(path).unwrap());
        }

        fn gone(&self, path: &str) {
            std::fs::remove_file(self.places.host_runtime.join(path)).unwrap();
        }

        fn refresh(&self, shares: SessionShares) {
            let mut problems = Vec::new();
            refresh(&self.places, shares, &mut problems);
            assert_eq!(problems, Vec::<String>::new());
        }

        fn leads_to(&self, path: &str) -> Option<String> {
            let target = std::fs::read_link(self.places.runtime.join(path)).ok()?;
            let target = target.strip_prefix(&self.places.host_runtime).unwrap();
            Some(target.to_str().unwrap().to_owned())
        }
    }

    #[test]
    fn links_come_and_go_with_the_sockets() {
        let fixture = fixture();
        for path in [
            "wayland-0",
            "pulse/native",
            "bus",
            "gnupg/S.gpg-agent",
            "other",
        ] {
            fixture.on_host(path);
        }
        fixture.refresh(ALL);
        for path in ["wayland-0", "pulse/native", "gnupg/S.gpg-agent"] {
            assert_eq!(fixture.leads_to(path).as_deref(), Some(path));
        }
        assert_eq!(fixture.leads_to("bus"), None);
        assert_eq!(fixture.leads_to("other"), None);
        let mode = fixture.places.runtime.join("pulse").metadata().unwrap();
        assert_eq!(mode.permissions().mode() & 0o7777, 0o700);

        fixture.gone("pulse/native");
        fixture.refresh(ALL);
        assert_eq!(fixture.leads_to("pulse/native"), None);
        let none = SessionShares {
            display: false,
            ..ALL
        };
        fixture.refresh(none);
        assert_eq!(fixture.leads_to("wayland-0"), None);
        assert!(fixture.leads_to("gnupg/S.gpg-agent").is_some());
    }

    #[test]
    fn what_the_guest_has_made_itself_stays() {
        let fixture = fixture();
        fixture.on_host("pipewire-0");
        fixture.on_host("wayland-0");
        let own = fixture.places.runtime.join("pipewire-0");
        drop(UnixListener::bind(&own).unwrap());
        symlink("/elsewhere", fixture.places.runtime.join("wayland-0")).unwrap();
        fixture.refresh(ALL);
        fixture.refresh(SessionShares::default());
        assert!(!own.symlink_metadata().unwrap().is_symlink());
        let other = std::fs::read_link(fixture.places.runtime.join("wayland-0")).unwrap();
        assert_eq!(other, Path::new("/elsewhere"));
    }

    #[test]
    fn an_old_display_leads_to_the_new_one() {
        let fixture = fixture();
        fixture.on_host("wayland-0");
        fixture.refresh(ALL);
        fixture.gone("wayland-0");
        fixture.on_host("wayland-1");
        fixture.refresh(ALL);
        assert_eq!(fixture.leads_to("wayland-0").as_deref(), Some("wayland-1"));
        assert_eq!(fixture.leads_to("wayland-1").as_deref(), Some("wayland-1"));
        // Again itself, as soon as it is there.
        fixture.on_host("wayland-0");
        fixture.refresh(ALL);
        assert_eq!(fixture.leads_to("wayland-0").as_deref(), Some("wayland-0"));
        fixture.gone("wayland-0");
        fixture.gone("wayland-1");
        fixture.refresh(ALL);
        assert_eq!(fixture.leads_to("wayland-0"), None);
    }

    #[test]
    fn x_servers_are_found_where_programs_look() {
        let fixture = fixture();
        for name in ["X0", "X12", "Xorg", "X"] {
            std::fs::write(fixture.places.host_x11.join(name), "").unwrap();
        }
        fixture.refresh(ALL);
        let x11 = &fixture.places.x11;
        let mut names: Vec<_> = std::fs::read_dir(x11)
            .unwrap()
            .map(|it| it.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["X0", "X12"]);
        let mode = x11.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o1777);
        fixture.refresh(SessionShares::default());
        assert_eq!(std::fs::read_dir(x11).unwrap().count(), 0);
    }
}
