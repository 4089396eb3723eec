// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `kapsule config set` and `unset`: in the user's own file, which this program changes itself, or for
//! all users, which is the service's to do and an administrator's to allow.

use std::io;
use std::path::{Path, PathBuf};

use kapsule_core::settings::{SettingError, SettingKey, edit, files};

use crate::bus::Bus;
use crate::error::{CommandError, ErrorKind};
use crate::ui;

/// Change a setting
///
/// The keys are default_container and default_image; environment.pass and environment.drop; and,
/// for all users only, servers.NAME, storage.pool and network.subnets.
#[derive(Debug, clap::Args)]
pub(crate) struct SetArgs {
    /// For all users; for administrators
    #[arg(long)]
    system: bool,
    /// What to set: KEY, or SECTION.KEY
    key: String,
    /// What to set it to
    value: String,
}

/// Leave a setting to the files below, or to what is built in
#[derive(Debug, clap::Args)]
pub(crate) struct UnsetArgs {
    /// What was set for all users; for administrators
    #[arg(long)]
    system: bool,
    /// What to leave: KEY, or SECTION.KEY
    key: String,
}

pub(super) async fn set(args: SetArgs, bus: &Bus) -> Result<(), CommandError> {
    let key = key(&args.key, args.system)?;
    key.check(&args.value).map_err(usage)?;
    if !args.system {
        let path = own_file()?;
        let text = read(&path)?.unwrap_or_default();
        return write(&path, &edit::set(&text, &key, &args.value));
    }
    let admin = bus.admin().await?;
    let name = key.to_string();
    let decides = bus
        .ask(async || admin.set_system_default(&name, &args.value).await)
        .await?;
    if !decides.is_empty() {
        ui::warning(&format!(
            "{} says otherwise, and counts more",
            ui::escape(&decides)
        ));
    }
    Ok(())
}

pub(super) async fn unset(args: UnsetArgs, bus: &Bus) -> Result<(), CommandError> {
    let key = key(&args.key, args.system)?;
    if !args.system {
        let path = own_file()?;
        let text = read(&path)?.unwrap_or_default();
        let text = edit::unset(&text, &key).ok_or_else(|| {
            let path = ui::escape(&path.to_string_lossy());
            CommandError::failed(format!("{key} is not set in {path}"))
        })?;
        return write(&path, &text);
    }
    let admin = bus.admin().await?;
    let name = key.to_string();
    bus.ask(async || admin.unset_system_default(&name).await)
        .await
}

fn key(text: &str, system: bool) -> Result<SettingKey, CommandError> {
    let key: SettingKey = text.parse().map_err(usage)?;
    if system || key.is_users() {
        return Ok(key);
    }
    Err(CommandError::usage(format!(
        "{key} holds for all users, and is not yours to set"
    ))
    .hint(format!(
        "as an administrator: kapsule config set --system {key} …"
    )))
}

fn usage(error: SettingError) -> CommandError {
    CommandError::usage(ui::escape(&error.to_string()))
}

fn own_file() -> Result<PathBuf, CommandError> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    home.filter(|home| home.is_absolute())
        .map(|home| home.join(files::OF_USER))
        .ok_or_else(|| CommandError::failed("HOME does not say where your home folder is"))
}

fn read(path: &Path) -> Result<Option<String>, CommandError> {
    files::read_text(path).map_err(|error| failed("read", path, error))
}

fn write(path: &Path, text: &str) -> Result<(), CommandError> {
    files::replace(path, text).map_err(|error| failed("change", path, error))
}

fn failed(doing: &str, path: &Path, error: io::Error) -> CommandError {
    let path = ui::escape(&path.to_string_lossy());
    CommandError::new(ErrorKind::Failed, error).context(format!("cannot {doing} {path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_everybodys_is_said_to_be() {
        assert!(key("default_image", false).is_ok());
        assert!(key("storage.pool", true).is_ok());
        let error = key("storage.pool", false).unwrap_err();
        assert!(error.to_string().contains("all users"), "{error}");
        assert_eq!(key("nonsense", true).unwrap_err().code(), 2);
    }
}
