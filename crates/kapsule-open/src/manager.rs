// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The host's `xdg-open`, run by the user's service manager on the host as a service of its own: with the
//! environment of the desktop, and in nobody's way when it ends.

use std::ffi::OsStr;
use std::time::{SystemTime, UNIX_EPOCH};

use zbus::{Connection, Variant};

const NAME: &str = "org.freedesktop.systemd1";
const PATH: &str = "/org/freedesktop/systemd1";
const INTERFACE: &str = "org.freedesktop.systemd1.Manager";

/// Has it run `xdg-open` with this, a link or a path of the host.
pub(crate) async fn open(bus: &Connection, target: &OsStr) -> zbus::Result<()> {
    let target = target.to_str().ok_or_else(|| {
        zbus::Error::Failure("the path is no UTF-8, which D-Bus needs it to be".to_owned())
    })?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let unit = format!(
        "app-kapsule-open-{}-{}.service",
        std::process::id(),
        now.map_or(0, |it| it.as_nanos())
    );
    // `env` finds it where the manager's own programs are looked for. A `$` in a link is one.
    let command = vec![(
        "/usr/bin/env",
        vec!["/usr/bin/env", "xdg-open", target],
        vec!["no-env-expand"],
    )];
    let properties = vec![
        ("Description", Variant::from("Opened from a container")),
        ("Type", Variant::from("exec")),
        // The program that opens it may outlive what has started it.
        ("ExitType", Variant::from("cgroup")),
        ("CollectMode", Variant::from("inactive-or-failed")),
        ("Slice", Variant::from("app.slice")),
        ("ExecStartEx", Variant::new(command)),
    ];
    let auxiliary: Vec<(&str, Vec<(&str, Variant<'_>)>)> = Vec::new();
    let arguments = (unit.as_str(), "fail", properties, auxiliary);
    bus.call_method(
        Some(NAME),
        PATH,
        Some(INTERFACE),
        "StartTransientUnit",
        &arguments,
    )
    .await?;
    Ok(())
}
