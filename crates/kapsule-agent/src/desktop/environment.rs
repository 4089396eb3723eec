// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The variables by which programs find the session: as the client sent them, with paths of the host
//! made such that lead there from inside.

use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Component, Path, PathBuf};

use kapsule_proto::paths;
use kapsule_proto::session::Bytes;
use kapsule_proto::spec::{GuestSpec, SessionShares};

use super::table::Part;
use super::{LOOK, OPENER, mux, own_bus};
use crate::files::is_own_socket;
use crate::serve::Environment;
use crate::spec;

/// Where programs look when the variable is not set (the XDG Base Directory Specification).
const DATA_DIRS: &[u8] = b"/usr/local/share:/usr/share";
/// Where cursors are looked for when nobody says anything else (Xcursor(3)), and then the host's.
const CURSORS: &[u8] = b"~/.local/share/icons:~/.icons:/usr/share/icons:/usr/share/pixmaps:/.kapsule/host/usr/share/icons";

const BUS: &[u8] = b"DBUS_SESSION_BUS_ADDRESS";

/// What the value of a variable is.
#[derive(Clone, Copy, Debug)]
enum Value {
    /// An X server (X(7), "Display Names").
    XDisplay,
    /// A Wayland socket: its path, or its name in the runtime directory.
    WaylandDisplay,
    /// A path.
    Path,
    /// A D-Bus address.
    Address,
}

const VARIABLES: &[(&[u8], Part, Value)] = &[
    (b"DISPLAY", Part::Display, Value::XDisplay),
    (b"WAYLAND_DISPLAY", Part::Display, Value::WaylandDisplay),
    (b"XAUTHORITY", Part::Display, Value::Path),
    (b"SSH_AUTH_SOCK", Part::Agents, Value::Path),
    (BUS, Part::Bus, Value::Address),
];

/// Adds to a session's environment what the container is given of the session, and returns what of
/// the client's variables is to be set. The container's root gets nothing but the way to the display:
/// buses and agents talk to nobody but the owner.
pub(crate) fn given(
    environment: &mut Environment,
    sent: &[(Bytes, Bytes)],
    uid: u32,
) -> Vec<(Bytes, Bytes)> {
    let Ok(spec) = spec::read() else {
        return sent.to_vec();
    };
    if spec.host_runtime_dir.is_none() {
        // Nothing of the session is there, and what the client sends, the user has named.
        return sent.to_vec();
    }
    let guest = Guest {
        root: Path::new("/"),
        runtime: format!("/run/user/{uid}").into(),
    };
    if spec.owner.uid == uid {
        guest.offer(environment, &spec);
        let mut given = guest.translate(sent, spec.session);
        if spec.dbus_mux {
            // The host's alone is what it was not to be.
            given.retain(|(name, _)| &name[..] != BUS);
        }
        return given;
    }
    let display = SessionShares {
        display: spec.session.display,
        ..SessionShares::default()
    };
    guest.translate(sent, display)
}

/// Where things are inside; below another root in tests.
struct Guest<'a> {
    root: &'a Path,
    runtime: PathBuf,
}

impl Guest<'_> {
    fn at(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The host's session bus, by the way that programs inside are to take.
    fn session_bus(&self, host_runtime: &Path) -> PathBuf {
        let relayed = host_runtime.join(paths::RELAYED_BUS);
        match is_socket(&self.at(&relayed)) {
            true => relayed,
            false => host_runtime.join(paths::SESSION_BUS),
        }
    }

    /// What does not depend on the client. What the guest's own files say about it wins.
    fn offer(&self, environment: &mut Environment, spec: &GuestSpec) {
        let mut default = |name: &[u8], value: Vec<u8>| {
            environment.entry(name.to_vec()).or_insert(value);
        };
        if spec.session.bus && self.at(Path::new(OPENER)).exists() {
            default(b"BROWSER", OPENER.into());
        }
        let look = self.at(Path::new(LOOK)).is_dir();
        if spec.session.look && look {
            default(b"XCURSOR_PATH", CURSORS.to_vec());
            default(b"XDG_DATA_DIRS", DATA_DIRS.to_vec());
            if let Some(dirs) = environment.get_mut(b"XDG_DATA_DIRS".as_slice())
                && !dirs.split(|c| *c == b':').any(|it| it == LOOK.as_bytes())
            {
                dirs.push(b':');
                dirs.extend(LOOK.as_bytes());
            }
        }
        let host = spec.host_runtime_dir.as_ref().map(Path::new);
        let bus = match spec.dbus_mux {
            true => Some(mux::socket(&self.runtime)),
            false => host
                .filter(|_| spec.session.bus)
                .map(|it| self.session_bus(it)),
        };
        if let Some(bus) = bus.filter(|it| is_socket(&self.at(it))) {
            let address = format!("unix:path={}", bus.display()).into_bytes();
            // Instead of the guest's own one, which the user manager there has set.
            environment.insert(BUS.to_vec(), address);
        } else if spec.session_mode {
            // As a user manager does, where there is none.
            let own = own_bus::socket(&self.runtime);
            if is_own_socket(&self.at(&own)) {
                let address = format!("unix:path={}", own.display()).into_bytes();
                environment.entry(BUS.to_vec()).or_insert(address);
            }
        }
    }

    fn translate(&self, sent: &[(Bytes, Bytes)], shares: SessionShares) -> Vec<(Bytes, Bytes)> {
        sent.iter()
            .filter_map(|(name, value)| {
                let known = VARIABLES.iter().find(|(known, ..)| *known == &name[..]);
                let Some((_, part, kind)) = known else {
                    return Some((name.clone(), value.clone()));
                };
                let value = self.value(*kind, value, part.is_given(shares))?;
                Some((name.clone(), Bytes::from(value)))
            })
            .collect()
    }

    /// The value inside. Of what is not given, only what the guest has itself, such as an X server that
    /// runs in it.
    fn value(&self, kind: Value, value: &[u8], given: bool) -> Option<Vec<u8>> {
        match kind {
            Value::XDisplay => (given || self.has_x_server(value)).then(|| value.to_vec()),
            Value::WaylandDisplay if !value.starts_with(b"/") => {
                let name = Path::new(std::ffi::OsStr::from_bytes(value));
                (given || is_own_socket(&self.at(&self.runtime.join(name)))).then(|| value.to_vec())
            }
            Value::WaylandDisplay | Value::Path => {
                let path = PathBuf::from(std::ffi::OsString::from_vec(value.to_vec()));
                let found = match given {
                    true => self.reach(&path),
                    false => is_own_socket(&self.at(&path)).then_some(path),
                };
                Some(found?.into_os_string().into_vec())
            }
            Value::Address => {
                let path = path_of(value).filter(|_| given)?;
                let mut host = on_host(&path)?;
                if path == self.runtime.join(paths::SESSION_BUS) {
                    host = self.session_bus(host.parent()?);
                }
                let there = is_socket(&self.at(&host));
                there.then(|| [b"unix:path=", host.as_os_str().as_bytes()].concat())
            }
        }
    }

    /// The path inside that leads to a file of the host: the same one where it is the same file.
    fn reach(&self, path: &Path) -> Option<PathBuf> {
        let inside = self.at(path).metadata().ok();
        let host = on_host(path)?;
        let Ok(of_host) = self.at(&host).metadata() else {
            return inside.map(|_| path.to_owned());
        };
        let is_same = |inside: std::fs::Metadata| {
            (inside.dev(), inside.ino()) == (of_host.dev(), of_host.ino())
        };
        Some(match inside.is_some_and(is_same) {
            true => path.to_owned(),
            false => host,
        })
    }

    fn has_x_server(&self, display: &[u8]) -> bool {
        let number: Vec<u8> = display
            .strip_prefix(b":")
            .unwrap_or_default()
            .iter()
            .copied()
            .take_while(u8::is_ascii_digit)
            .collect();
        let number = String::from_utf8(number).unwrap_or_default();
        let socket = format!("/tmp/.X11-unix/X{number}");
        !number.is_empty() && is_own_socket(&self.at(Path::new(&socket)))
    }
}

/// Where a path of the host is seen from inside.
fn on_host(path: &Path) -> Option<PathBuf> {
    let plain = path
        .components()
        .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    let below = path.strip_prefix("/").ok().filter(|_| plain)?;
    Some(Path::new(paths::HOST).join(below))
}

fn is_socket(path: &Path) -> bool {
    path.metadata().is_ok_and(|it| it.file_type().is_socket())
}

/// The path in a D-Bus address (the first of several), unless it is written in a way that no session's
/// is.
fn path_of(address: &[u8]) -> Option<PathBuf> {
    let first = address.split(|c| *c == b';').next()?;
    let values = first.strip_prefix(b"unix:")?;
    let path = values
        .split(|c| *c == b',')
        .find_map(|value| value.strip_prefix(b"path="))?;
    let plain = !path.contains(&b'%') && path.starts_with(b"/");
    plain.then(|| PathBuf::from(std::ffi::OsString::from_vec(path.to_vec())))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::super::ALL;
    use super::*;

    fn socket(root: &Path, path: &str) {
        let path = root.join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        drop(UnixListener::bind(path).unwrap());
    }

    fn translated(root: &Path, shares: SessionShares, name: &str, value: &str) -> Option<String> {
        let guest = Guest {
            root,
            runtime: "/run/user/7".into(),
        };
        let pair = (Bytes::from(name.as_bytes()), Bytes::from(value.as_bytes()));
        let out = guest.translate(&[pair], shares);
        out.first()
            .map(|(_, value)| String::from_utf8(value.to_vec()).unwrap())
    }

    #[test]
    fn paths_of_the_host_lead_there() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        for path in [
            "/.kapsule/host/tmp/ssh-1/agent.1",
            "/.kapsule/host/run/user/7/bus",
            "/.kapsule/host/run/user/7/keyring",
            "/run/user/7/bus",
        ] {
            socket(root, path);
        }
        symlink(
            root.join(".kapsule/host/run/user/7/keyring"),
            root.join("run/user/7/keyring"),
        )
        .unwrap();
        let cases = [
            ("DISPLAY", ":0", Some(":0")),
            ("WAYLAND_DISPLAY", "wayland-0", Some("wayland-0")),
            (
                "SSH_AUTH_SOCK",
                "/tmp/ssh-1/agent.1",
                Some("/.kapsule/host/tmp/ssh-1/agent.1"),
            ),
            // The same file at the same path is left as it is.
            (
                "SSH_AUTH_SOCK",
                "/run/user/7/keyring",
                Some("/run/user/7/keyring"),
            ),
            ("SSH_AUTH_SOCK", "/tmp/gone", None),
            ("SSH_AUTH_SOCK", "/tmp/../tmp/ssh-1/agent.1", None),
            (
                "DBUS_SESSION_BUS_ADDRESS",
                "unix:path=/run/user/7/bus,guid=0123",
                Some("unix:path=/.kapsule/host/run/user/7/bus"),
            ),
            ("DBUS_SESSION_BUS_ADDRESS", "unix:abstract=/tmp/x", None),
            ("DBUS_SESSION_BUS_ADDRESS", "tcp:host=x", None),
            ("OTHER", "/tmp/gone", Some("/tmp/gone")),
        ];
        for (name, value, expected) in cases {
            let found = translated(root, ALL, name, value);
            assert_eq!(found.as_deref(), expected, "{name}={value}");
        }
    }

    #[test]
    fn the_session_bus_is_reached_by_a_program_of_the_host_where_that_is() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        socket(root, "/.kapsule/host/run/user/7/bus");
        socket(root, "/.kapsule/host/tmp/dbus-1");
        let name = "DBUS_SESSION_BUS_ADDRESS";
        let bus = || translated(root, ALL, name, "unix:path=/run/user/7/bus").unwrap();
        assert_eq!(bus(), "unix:path=/.kapsule/host/run/user/7/bus");
        socket(root, "/.kapsule/host/run/user/7/kapsule/bus");
        assert_eq!(bus(), "unix:path=/.kapsule/host/run/user/7/kapsule/bus");
        // It leads to that bus and to no other.
        let other = translated(root, ALL, name, "unix:path=/tmp/dbus-1").unwrap();
        assert_eq!(other, "unix:path=/.kapsule/host/tmp/dbus-1");
    }

    #[test]
    fn what_is_not_given_stays_outside_and_what_the_guest_has_is_its_own() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        for path in [
            "/tmp/.X11-unix/X9",
            "/run/user/7/wayland-9",
            "/run/user/7/agent",
            "/.kapsule/host/run/user/7/bus",
        ] {
            socket(root, path);
        }
        symlink("X9", root.join("tmp/.X11-unix/X0")).unwrap();
        let none = SessionShares::default();
        for (name, value, expected) in [
            ("DISPLAY", ":0", None),
            ("DISPLAY", ":9.0", Some(":9.0")),
            ("DISPLAY", "localhost:10.0", None),
            ("WAYLAND_DISPLAY", "wayland-0", None),
            ("WAYLAND_DISPLAY", "wayland-9", Some("wayland-9")),
            (
                "WAYLAND_DISPLAY",
                "/run/user/7/wayland-9",
                Some("/run/user/7/wayland-9"),
            ),
            (
                "SSH_AUTH_SOCK",
                "/run/user/7/agent",
                Some("/run/user/7/agent"),
            ),
            ("SSH_AUTH_SOCK", "/run/user/7/other", None),
            (
                "DBUS_SESSION_BUS_ADDRESS",
                "unix:path=/run/user/7/bus",
                None,
            ),
        ] {
            let found = translated(root, none, name, value);
            assert_eq!(found.as_deref(), expected, "{name}={value}");
        }
    }

    #[test]
    fn the_look_is_added_behind_what_there_is() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        std::fs::create_dir_all(root.join(".kapsule/share")).unwrap();
        let guest = Guest {
            root,
            runtime: "/run/user/7".into(),
        };
        let spec: GuestSpec = serde_json::from_str(
            r#"{"version":1,"container":"dev","owner":{"uid":7,"gid":7,"name":"alice",
                "group":"alice","home":"/home/alice","home_mounted":true,"shell":"/bin/sh"},
                "host_runtime_dir":"/.kapsule/host/run/user/7","session":{"look":true}}"#,
        )
        .unwrap();
        let mut environment = Environment::new();
        guest.offer(&mut environment, &spec);
        let dirs = |environment: &Environment| {
            String::from_utf8(environment[b"XDG_DATA_DIRS".as_slice()].clone()).unwrap()
        };
        assert_eq!(
            dirs(&environment),
            "/usr/local/share:/usr/share:/.kapsule/share"
        );
        environment.insert(b"XDG_DATA_DIRS".to_vec(), b"/opt/share".to_vec());
        guest.offer(&mut environment, &spec);
        guest.offer(&mut environment, &spec);
        assert_eq!(dirs(&environment), "/opt/share:/.kapsule/share");
        assert!(!environment.contains_key(b"DBUS_SESSION_BUS_ADDRESS".as_slice()));
    }
}
