// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Reads the configuration files. Which there are, what they may say and which one wins stands
//! in [`kapsule_core::settings`].
//!
//! A file that cannot be used is skipped, never fatal: a typo in a user's file must not lock the
//! user out. Nothing is kept between calls, so that a change counts at once.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use kapsule_core::settings::{Fragment, MAX_FILE, Settings};

use crate::error::Result;
use crate::users::User;
use crate::{as_user, threads};

/// How long a user's home may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Most drop-in files that are read from one directory.
const MAX_DROP_INS: usize = 100;

/// The directories of the administrator and of the distribution, the higher in rank first.
const SYSTEM: [&str; 2] = ["/etc/kapsule", "/usr/lib/kapsule"];

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
    let path = user.home.join(".config/kapsule/kapsule.conf");
    let reading = path.clone();
    let answer = as_user::run(user, PATIENCE, "reading the settings", move || {
        read(&reading)
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
    let work = || read_system(&SYSTEM.map(PathBuf::from));
    read_or_nothing(threads::run(0, PATIENCE, "reading the system's settings", work).await)
}

fn read_or_nothing(answer: Result<Vec<Fragment>>) -> Vec<Fragment> {
    answer.unwrap_or_else(|error| {
        tracing::warn!("{error}; the built-in settings are used");
        Vec::new()
    })
}

/// What the files in these directories say, the highest in rank first.
fn read_system(directories: &[PathBuf]) -> Vec<Fragment> {
    let mut fragments = Vec::new();
    for directory in directories {
        let mut files = drop_ins(&directory.join("kapsule.conf.d"));
        files.push(directory.join("kapsule.conf"));
        for path in files {
            match read(&path) {
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
    }
    fragments
}

/// The `*.conf` files in a directory, the last name first.
fn drop_ins(directory: &Path) -> Vec<PathBuf> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!("{} is ignored: {error}", directory.display());
            }
            return Vec::new();
        }
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "conf")
        })
        .collect();
    files.sort_unstable_by(|a, b| b.cmp(a));
    files.truncate(MAX_DROP_INS);
    files
}

/// What one file says; nothing when there is none.
fn read(path: &Path) -> std::result::Result<Option<Fragment>, String> {
    let file = match as_user::open_regular(path, MAX_FILE) {
        Ok(file) => file,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let mut bytes = Vec::new();
    // It may have grown since it was measured.
    file.take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(format!("larger than {MAX_FILE} bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|_| "not UTF-8 text".to_owned())?;
    Fragment::parse(&text)
        .map(Some)
        .map_err(|error| error.to_string())
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown};

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
