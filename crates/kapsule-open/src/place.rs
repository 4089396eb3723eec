// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Which container this is, and where the host has its files.

use std::path::{Path, PathBuf};

use kapsule_proto::paths;
use kapsule_proto::spec::GuestSpec;

/// A container, as the daemon describes it.
#[derive(Debug)]
pub(crate) struct Place(GuestSpec);

impl Place {
    /// The container that this program runs in; nothing outside of one.
    pub(crate) fn find() -> Option<Self> {
        let text = std::fs::read(paths::SPEC).ok()?;
        serde_json::from_slice(&text).ok().map(Self)
    }

    /// Whether it is given the session bus.
    pub(crate) fn has_bus(&self) -> bool {
        self.0.session.bus && self.0.host_runtime_dir.is_some()
    }

    /// The address of the host's session bus: the session's own, where it says one of the host.
    pub(crate) fn address(&self) -> String {
        let of_host = format!("unix:path={}/", paths::HOST);
        let session = std::env::var("DBUS_SESSION_BUS_ADDRESS").ok();
        session
            .filter(|it| it.starts_with(&of_host))
            .unwrap_or_else(|| {
                let folder = self.0.host_runtime_dir.as_deref().unwrap_or_default();
                format!(
                    "unix:path={}",
                    paths::session_bus(Path::new(folder)).display()
                )
            })
    }

    /// Where the host has a file, whose path is without links. Nothing for one of the container's alone.
    pub(crate) fn on_host(&self, path: &Path) -> Option<PathBuf> {
        if let Ok(below) = path.strip_prefix(paths::HOST) {
            return Some(Path::new("/").join(below));
        }
        let owner = &self.0.owner;
        let home = owner.home_mounted.then_some(&owner.home);
        let shares = self.0.shares.iter().map(|share| &share.path);
        // Shared at the same path.
        let shared = home.into_iter().chain(shares);
        shared
            .into_iter()
            .any(|folder| path.starts_with(folder))
            .then(|| path.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_has_what_is_shared() {
        let place = |mounted: bool| {
            let text = format!(
                r#"{{"version":1,"container":"dev","owner":{{"uid":7,"gid":7,"name":"alice",
                    "group":"alice","home":"/home/alice","home_mounted":{mounted},"shell":"/bin/sh"}}}}"#
            );
            Place(serde_json::from_str(&text).unwrap())
        };
        let on_host = |mounted, path: &str| {
            let found = place(mounted).on_host(Path::new(path))?;
            Some(found.to_str().unwrap().to_owned())
        };
        for (mounted, path, expected) in [
            (true, "/home/alice/a", Some("/home/alice/a")),
            (false, "/home/alice/a", None),
            (true, "/home/alice2/a", None),
            (true, "/tmp/a", None),
            (false, "/.kapsule/host/run/user/7/x", Some("/run/user/7/x")),
            (false, "/.kapsule/hosts", None),
        ] {
            assert_eq!(on_host(mounted, path).as_deref(), expected, "{path}");
        }
        assert!(!place(true).has_bus());
    }
}
