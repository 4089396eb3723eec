// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The configuration in force, and changing that of all users. Which files there are, what they may say and which one wins stands
//! in [`kapsule_core::settings`].
//!
//! A file that cannot be used is skipped, never fatal: a typo in a user's file must not lock the
//! user out. Nothing is kept between calls, so that a change counts at once.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kapsule_core::settings::{Fragment, SettingError, SettingKey, Settings, edit, files};

use crate::error::{Error, ErrorKind, Result};
use crate::users::User;
use crate::{as_user, threads};

/// How long a user's home may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the file that is written here begins with.
const HEADER: &str = "# Written by `kapsule config set --system`, which also changes it.\n";

/// The settings in force, and what was not understood on the way to them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Configuration {
    pub(crate) settings: Settings,
    /// Sentences for the user: which of *their* file was ignored, and why. What is wrong with
    /// the system's files goes to the log.
    pub(crate) warnings: Vec<String>,
}

/// The settings for a user. Takes two seconds at most.
pub(crate) async fn settings_for(user: &User) -> Configuration {
    let path = user.home.join(files::OF_USER);
    let reading = path.clone();
    let answer = as_user::run(user, PATIENCE, "reading the settings", move || {
        files::read(&reading)
    })
    .await;
    let mut fragments = Vec::new();
    let mut warnings = Vec::new();
    match answer {
        Ok(Ok(None)) => {}
        Ok(Ok(Some(fragment))) => {
            let fragment = fragment.restricted_to_user();
            for warning in &fragment.warnings {
                warnings.push(format!("{}: {warning}", path.display()));
            }
            fragments.push(fragment);
        }
        Ok(Err(why)) => warnings.push(format!("{} is ignored: {why}", path.display())),
        Err(error) => warnings.push(format!("{} is ignored: {error}", path.display())),
    }
    for warning in &warnings {
        tracing::warn!(uid = user.uid, "{warning}");
    }
    fragments.extend(system_fragments().await);
    Configuration {
        settings: Settings::merge(&fragments),
        warnings,
    }
}

/// The settings without any user's.
pub(crate) async fn system_settings() -> Settings {
    Settings::merge(&system_fragments().await)
}

async fn system_fragments() -> Vec<Fragment> {
    let work = || read_system(&files::SYSTEM.map(PathBuf::from));
    read_or_nothing(threads::run(0, PATIENCE, "reading the system's settings", work).await)
}

fn read_or_nothing(answer: Result<Vec<Fragment>>) -> Vec<Fragment> {
    answer.unwrap_or_else(|error| {
        tracing::warn!("{error}; the built-in settings are used");
        Vec::new()
    })
}

/// What the files in these folders say, the highest in rank first.
fn read_system(folders: &[PathBuf]) -> Vec<Fragment> {
    let mut fragments = Vec::new();
    for path in system_files(folders) {
        match files::read(&path) {
            Ok(None) => {}
            Ok(Some(fragment)) => {
                for warning in &fragment.warnings {
                    tracing::warn!("{}: {warning}", path.display());
                }
                fragments.push(fragment);
            }
            Err(why) => tracing::warn!("{} is ignored: {why}", path.display()),
        }
    }
    fragments
}

fn system_files(folders: &[PathBuf]) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for folder in folders {
        let (files, listed) = files::in_folder(folder);
        if let Err(error) = listed {
            tracing::warn!("drop-ins of {} are ignored: {error}", folder.display());
        }
        all.extend(files);
    }
    all
}

/// Sets a key for all users, or leaves it to the files below when there is no value. Gives the file
/// that still decides otherwise, if there is one higher in rank.
///
/// # Errors
/// `InvalidArgument` for a key or value that cannot be; `NotFound` when a key is not set there;
/// `Failed` when the file cannot be read or written.
pub(crate) async fn set_for_all(key: &str, value: Option<&str>) -> Result<Option<PathBuf>> {
    let key: SettingKey = key
        .parse()
        .map_err(|error: SettingError| Error::invalid(error.to_string()))?;
    if let Some(value) = value {
        key.check(value)
            .map_err(|error| Error::invalid(error.to_string()))?;
    }
    let value = value.map(str::to_owned);
    let folders = files::SYSTEM.map(PathBuf::from);
    threads::run(0, PATIENCE, "changing the system's settings", move || {
        set_in(Path::new(files::WRITTEN), &folders, &key, value.as_deref())
    })
    .await?
}

fn set_in(
    file: &Path,
    folders: &[PathBuf],
    key: &SettingKey,
    value: Option<&str>,
) -> Result<Option<PathBuf>> {
    let failed = |error: io::Error| Error::failed(format!("{}: {error}", file.display()));
    let old = files::read_text(file).map_err(failed)?;
    let new = match value {
        Some(value) => edit::set(old.as_deref().unwrap_or(HEADER), key, value),
        None => old.and_then(|old| edit::unset(&old, key)).ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("{key} is not set in {}", file.display()),
            )
        })?,
    };
    if let Some(folder) = file.parent().filter(|folder| !folder.exists()) {
        std::fs::create_dir_all(folder).map_err(failed)?;
        // The daemon's umask closes what it makes. These settings are for everybody to read.
        std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).map_err(failed)?;
    }
    files::replace(file, &new).map_err(failed)?;
    let decides = system_files(folders).into_iter().find(|path| {
        let text = files::read_text(path).ok().flatten();
        text.is_some_and(|text| edit::get(&text, key).is_some())
    });
    Ok(decides.filter(|path| path != file && value.is_some()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::chown;

    use super::*;
    use crate::users;

    #[test]
    fn drop_ins_win_over_the_file_and_the_administrator_over_the_distribution() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        put(
            "lib/kapsule.conf",
            "[kapsule]\ndefault_container=lib\ndefault_image=local:lib\n[storage]\npool=lib",
        );
        put(
            "lib/kapsule.conf.d/50-vendor.conf",
            "[kapsule]\ndefault_image=local:vendor\n",
        );
        put("etc/kapsule.conf", "[kapsule]\ndefault_container=etc\n");
        put("etc/kapsule.conf.d/10-a.conf", "[storage]\npool=a\n");
        put("etc/kapsule.conf.d/20-b.conf", "[storage]\npool=b\n");
        put("etc/kapsule.conf.d/30-broken.conf", "[storage\npool=c\n");
        put("etc/kapsule.conf.d/40-note.txt", "[storage]\npool=d\n");
        put("etc/kapsule.conf.d/50-huge.conf", &"#".repeat(70_000));
        let fragments = read_system(&["etc", "lib"].map(|name| root.path().join(name)));
        let settings = Settings::merge(&fragments);
        assert_eq!(settings.default_container, "etc");
        assert_eq!(settings.default_image, "local:vendor");
        assert_eq!(settings.pool, "b");
        assert_eq!(read_system(&[root.path().join("none")]), []);
    }

    #[test]
    fn settings_for_all_go_to_one_file() {
        let root = tempfile::tempdir().unwrap();
        let folders = ["etc", "lib"].map(|name| root.path().join(name));
        let file = folders[0].join("kapsule.conf.d/90-kapsule-config.conf");
        let set = |key: &str, value| set_in(&file, &folders, &key.parse().unwrap(), value);
        let pool = || Settings::merge(&read_system(&folders)).pool;
        assert_eq!(set("storage.pool", Some("fast")).unwrap(), None);
        assert_eq!(pool(), "fast");
        assert_eq!(set("default_image", Some("local:x")).unwrap(), None);
        assert_eq!(pool(), "fast");
        // Somebody has written a file that ranks higher.
        let higher = folders[0].join("kapsule.conf.d/99-mine.conf");
        std::fs::write(&higher, "[storage]\npool = mine\n").unwrap();
        assert_eq!(set("storage.pool", Some("slow")).unwrap(), Some(higher));
        assert_eq!(pool(), "mine");
        assert_eq!(set("storage.pool", None).unwrap(), None);
        let error = set("storage.pool", None).unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
        assert!(std::fs::read_to_string(&file).unwrap().starts_with(HEADER));
        // What is no text is not written over.
        std::fs::write(&file, b"\xff").unwrap();
        assert!(set("storage.pool", Some("x")).is_err());
        assert_eq!(std::fs::read(&file).unwrap(), b"\xff");
    }

    #[tokio::test]
    async fn a_users_file_is_read_as_the_user_and_never_waited_for() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: needs root");
            return;
        }
        let home = tempfile::tempdir().unwrap();
        let mut user = users::lookup(65534).await.unwrap();
        user.home = home.path().to_owned();
        let folder = home.path().join(".config/kapsule");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::set_permissions(home.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let file = folder.join("kapsule.conf");

        let absent = settings_for(&user).await;
        assert_eq!(absent.warnings, [""; 0]);

        std::fs::write(
            &file,
            "[kapsule]\ndefault_container = mine\n[storage]\npool=stolen\n",
        )
        .unwrap();
        let mine = settings_for(&user).await;
        assert_eq!(mine.settings.default_container, "mine");
        assert_eq!(mine.settings.pool, absent.settings.pool);

        // A link to what only root can read leads nowhere.
        let secret = home.path().join("secret");
        std::fs::write(&secret, "[kapsule]\ndefault_container = secret\n").unwrap();
        std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).unwrap();
        chown(&secret, Some(0), Some(0)).unwrap();
        let replace = |make: &dyn Fn()| {
            let _ = std::fs::remove_file(&file);
            make();
        };
        replace(&|| std::os::unix::fs::symlink(&secret, &file).unwrap());
        let linked = settings_for(&user).await;
        assert_eq!(linked.settings, absent.settings);
        assert_eq!(linked.warnings.len(), 1, "{:?}", linked.warnings);
        assert!(
            linked.warnings[0].contains("denied"),
            "{:?}",
            linked.warnings
        );

        let fifo = || {
            use rustix::fs::{CWD, FileType, Mode};
            rustix::fs::mknodat(CWD, &file, FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap();
        };
        replace(&fifo);
        let began = std::time::Instant::now();
        let waiting = settings_for(&user).await;
        assert!(began.elapsed() < PATIENCE, "waited for a writer");
        assert_eq!(waiting.settings, absent.settings);
        assert_eq!(waiting.warnings.len(), 1, "{:?}", waiting.warnings);

        replace(&|| std::fs::write(&file, "[kapsule\nnonsense").unwrap());
        let malformed = settings_for(&user).await;
        assert_eq!(malformed.settings, absent.settings);
        assert!(
            malformed.warnings[0].contains("malformed"),
            "{:?}",
            malformed.warnings
        );
    }
}
