// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The host's clock, language, proxies and trust, for containers to follow.
//!
//! Read from the files in which the host's own tools keep them (`timedatectl`, `localectl`,
//! `update-ca-certificates` …), and again when one of those changes. The files are the truth
//! whoever wrote them, and nobody but root can: a signal on the bus could come from anybody.
//! Each container that follows has them as `host.json` in its folder.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use kapsule_proto::host::{HOST_VERSION, HostSettings, TimeZone};
use kapsule_proto::paths::HOST_SETTINGS_FILE;
use rustix::fs::inotify;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::place::Folders;

/// Where administrators put certificates, by distribution; all that are there count.
const CERTIFICATES: &[&str] = &[
    "/usr/local/share/ca-certificates",
    "/etc/pki/ca-trust/source/anchors",
    "/etc/pki/trust/anchors",
    "/etc/ca-certificates/trust-source/anchors",
];
/// Most certificates, and the longest file of one, in bytes: what a container reads is bounded.
const MAX_CERTIFICATES: usize = 256;
const MAX_FILE: u64 = 64 * 1024;
/// Enough for a read and a message, in bytes.
const THREAD_STACK: usize = 64 * 1024;
/// What comes within this time is one change: tools replace several files.
const SETTLE: Duration = Duration::from_millis(300);

/// What is in force, and where it is written to.
#[derive(Debug, Default)]
pub(super) struct HostFollower {
    current: Mutex<HostSettings>,
}

impl HostFollower {
    fn current(&self) -> HostSettings {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.clone()
    }

    /// Reads them anew, and tells whether something is different.
    fn look(&self) -> bool {
        let new = collect(Path::new("/"));
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = *current != new;
        *current = new;
        changed
    }

    /// Gives a container what is in force now, or takes it away from one that is not to follow.
    pub(super) fn provide(&self, folder: &Path, follows: bool) {
        let done = if follows {
            self.look();
            write(folder, &self.current())
        } else {
            match fs::remove_file(folder.join(HOST_SETTINGS_FILE)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            }
        };
        if let Err(error) = done {
            // Not worth a container that does not start.
            tracing::warn!(folder = %folder.display(), %error, "cannot tell a container the host's settings");
        }
    }

    /// Follows for ever. Containers that have settings get them anew, when they change.
    pub(super) async fn follow(&self, folders: &Folders) {
        let mut changes = match watch(Path::new("/")) {
            Ok(changes) => changes,
            Err(error) => {
                tracing::warn!(%error, "cannot watch the host's settings: containers follow at their next start");
                return;
            }
        };
        self.look();
        loop {
            for folder in folders.all() {
                if folder.join(HOST_SETTINGS_FILE).exists() {
                    self.provide(&folder, true);
                }
            }
            loop {
                if changes.recv().await.is_none() {
                    return;
                }
                tokio::time::sleep(SETTLE).await;
                while changes.try_recv().is_ok() {}
                if self.look() {
                    break;
                }
            }
        }
    }
}

/// Watches the folders, as tools replace the files. Says each time that something may have changed.
fn watch(root: &Path) -> io::Result<mpsc::Receiver<()>> {
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC)?;
    let events = inotify::WatchFlags::MOVED_TO
        | inotify::WatchFlags::CREATE
        | inotify::WatchFlags::CLOSE_WRITE
        | inotify::WatchFlags::DELETE;
    inotify::add_watch(&watch, below(root, "/etc"), events)?;
    for folder in CERTIFICATES.iter().chain(&["/etc/default"]) {
        // One that is not there now is seen at the containers' next start.
        let _ = inotify::add_watch(&watch, below(root, folder), events);
    }
    let (sender, receiver) = mpsc::channel(16);
    // A thread that sleeps: Tokio has no safe way to wait for any descriptor.
    std::thread::Builder::new()
        .name("host-settings".to_owned())
        .stack_size(THREAD_STACK)
        .spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                match rustix::io::read(&watch, &mut buffer) {
                    // Full is as good: somebody is about to look.
                    Ok(_) if matches!(sender.try_send(()), Err(TrySendError::Closed(()))) => return,
                    Ok(_) | Err(rustix::io::Errno::INTR) => {}
                    Err(error) => {
                        tracing::warn!(%error, "cannot watch the host's settings any more");
                        return;
                    }
                }
            }
        })?;
    Ok(receiver)
}

fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

fn write(folder: &Path, settings: &HostSettings) -> io::Result<()> {
    let text = serde_json::to_vec(settings)?;
    let path = folder.join(HOST_SETTINGS_FILE);
    if fs::read(&path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    let new = folder.join("host.json.new");
    let mut file = fs::File::create(&new)?;
    file.set_permissions(fs::Permissions::from_mode(0o644))?;
    file.write_all(&text)?;
    fs::rename(&new, &path)
}

fn collect(root: &Path) -> HostSettings {
    let locale = variables(root, &["/etc/locale.conf", "/etc/default/locale"])
        .into_iter()
        .filter(|(name, _)| name == "LANG" || name == "LANGUAGE" || name.starts_with("LC_"))
        .collect();
    let proxies = variables(root, &["/etc/environment"])
        .into_iter()
        .filter(|(name, _)| name.to_ascii_lowercase().ends_with("_proxy"))
        .collect();
    HostSettings {
        version: HOST_VERSION,
        time_zone: time_zone(root),
        locale,
        proxies,
        certificates: certificates(root),
    }
}

/// `/etc/localtime` is a link into the tz database; without it, the zone is UTC (localtime(5)).
fn time_zone(root: &Path) -> Option<TimeZone> {
    let name = match fs::read_link(below(root, "/etc/localtime")) {
        Ok(target) => {
            let target = target.to_str()?;
            target.split_once("zoneinfo/")?.1.to_owned()
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => "UTC".to_owned(),
        // A file of its own tells no name.
        Err(_) => return None,
    };
    if !TimeZone::is_plain(&name) {
        return None;
    }
    let rules = read(&below(root, "/usr/share/zoneinfo").join(&name)).unwrap_or_default();
    Some(TimeZone { name, rules })
}

/// The assignments in the first of these files that is there; quotes around a value are not part
/// of it.
fn variables(root: &Path, files: &[&str]) -> BTreeMap<String, String> {
    let text = files
        .iter()
        .find_map(|path| String::from_utf8(read(&below(root, path)).ok()?).ok())
        .unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let line = line.trim();
            let (name, value) = line
                .strip_prefix("export ")
                .unwrap_or(line)
                .split_once('=')?;
            let value = value.trim();
            let bare = ['"', '\'']
                .iter()
                .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
            let plain =
                !name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_');
            plain.then(|| (name.to_owned(), bare.unwrap_or(value).to_owned()))
        })
        .collect()
}

fn certificates(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for folder in CERTIFICATES {
        let Ok(entries) = fs::read_dir(below(root, folder)) else {
            continue;
        };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        // In an order of their own, so that no change is seen where there is none.
        paths.sort();
        for path in paths {
            let Ok(text) =
                read(&path).and_then(|bytes| String::from_utf8(bytes).map_err(io::Error::other))
            else {
                continue;
            };
            if text.contains("-----BEGIN ")
                && !text.contains("PRIVATE KEY")
                && !found.contains(&text)
            {
                found.push(text);
            }
        }
    }
    found.truncate(MAX_CERTIFICATES);
    found
}

/// A regular file of bounded size.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let about = fs::metadata(path)?;
    if !about.is_file() || about.len() > MAX_FILE {
        return Err(io::Error::other("not a file of a setting"));
    }
    fs::read(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn host(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("etc")).unwrap();
        for (path, text) in files {
            let path = below(root.path(), path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn what_the_hosts_tools_have_written_is_found() {
        let root = host(&[
            ("/usr/share/zoneinfo/Europe/Berlin", "TZif"),
            (
                "/etc/locale.conf",
                "# x\nLANG=\"de_DE.UTF-8\"\nLC_TIME=sv_SE.UTF-8\nOTHER=x\n",
            ),
            (
                "/etc/environment",
                "export https_proxy='http://p:1'\nNO_PROXY=a,b\nPATH=/x\nbad line\n",
            ),
            (
                "/usr/local/share/ca-certificates/a.crt",
                "-----BEGIN CERTIFICATE-----\nAAAA\n",
            ),
            (
                "/usr/local/share/ca-certificates/key.pem",
                "-----BEGIN PRIVATE KEY-----\nsecret\n",
            ),
            ("/etc/pki/trust/anchors/der.crt", "\u{1}binary"),
        ]);
        symlink(
            "../usr/share/zoneinfo/Europe/Berlin",
            root.path().join("etc/localtime"),
        )
        .unwrap();
        let settings = collect(root.path());
        let zone = settings.time_zone.unwrap();
        assert_eq!(
            (zone.name.as_str(), &zone.rules[..]),
            ("Europe/Berlin", &b"TZif"[..])
        );
        let locale: Vec<_> = settings.locale.into_iter().collect();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            locale,
            [pair("LANG", "de_DE.UTF-8"), pair("LC_TIME", "sv_SE.UTF-8")]
        );
        let proxies: Vec<_> = settings.proxies.into_iter().collect();
        assert_eq!(
            proxies,
            [pair("NO_PROXY", "a,b"), pair("https_proxy", "http://p:1")]
        );
        assert_eq!(
            settings.certificates,
            ["-----BEGIN CERTIFICATE-----\nAAAA\n"]
        );
    }

    #[test]
    fn a_host_that_says_nothing_has_universal_time() {
        let root = host(&[]);
        let settings = collect(root.path());
        assert_eq!(settings.time_zone.unwrap().name, "UTC");
        assert!(settings.locale.is_empty() && settings.certificates.is_empty());
    }

    #[test]
    fn a_container_is_given_them_and_loses_them() {
        let folder = tempfile::tempdir().unwrap();
        let follower = HostFollower::default();
        let path = folder.path().join(HOST_SETTINGS_FILE);
        follower.provide(folder.path(), true);
        let written: HostSettings = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(written.version, HOST_VERSION);
        follower.provide(folder.path(), false);
        assert!(!path.exists());
        follower.provide(folder.path(), false);
    }
}
