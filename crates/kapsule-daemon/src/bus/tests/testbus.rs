// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! A private `dbus-daemon` with the service on it.

use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use zbus::fdo::RequestNameFlags;
use zbus::{Connection, connection};

use crate::caller::Callers;
use crate::ops::Operations;
use crate::service::Service;
use crate::{as_user, users};

/// As on the system bus: nobody may send method calls to anybody, unless the service's own policy
/// lets them.
const CONFIG: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path=@folder@/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Properties"/>
  </policy>
  <include>@policy@</include>
</busconfig>
"#;

pub(super) struct TestBus {
    bus: Child,
    folder: tempfile::TempDir,
    pub(super) callers: Callers,
    pub(super) operations: Operations,
    /// Held so that the service stays.
    _service: Connection,
}

impl Drop for TestBus {
    fn drop(&mut self) {
        let _ = self.bus.kill();
        let _ = self.bus.wait();
    }
}

impl TestBus {
    /// Nothing, with a note, where the tests cannot run: they take on other users' identities.
    pub(super) async fn start() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: needs root");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder.path(), open).unwrap();
        let policy = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../data/org.kde.kapsule.conf"
        );
        let config = CONFIG
            .replace("@folder@", folder.path().to_str().unwrap())
            .replace("@policy@", policy);
        let file = folder.path().join("bus.conf");
        std::fs::write(&file, config).unwrap();
        let mut bus = Command::new("dbus-daemon")
            .arg("--config-file")
            .arg(&file)
            .args(["--nofork", "--print-address"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("dbus-daemon is needed (package dbus)");
        let mut address = String::new();
        BufReader::new(bus.stdout.take().unwrap())
            .read_line(&mut address)
            .unwrap();

        let socket = folder.path().join("bus");
        let connection = connect(socket, 0).await;
        let callers = Callers::new(&connection).await.unwrap();
        let (operations, events) = Operations::new();
        let incus = incus::Client::new(folder.path().join("no-incus"));
        let service = Service::new(
            incus,
            folder.path().join("state"),
            PathBuf::from("/nonexistent"),
        );
        super::super::serve(
            &connection,
            callers.clone(),
            service,
            operations.clone(),
            events,
        )
        .await
        .unwrap();
        connection
            .request_name_with_flags(kapsule_dbus::BUS_NAME, RequestNameFlags::DO_NOT_QUEUE)
            .await
            .unwrap();
        Some(Self {
            bus,
            folder,
            callers,
            operations,
            _service: connection,
        })
    }

    /// A client of this user.
    pub(super) async fn connect(&self, uid: u32) -> Connection {
        connect(self.folder.path().join("bus"), uid).await
    }
}

/// The kernel tells the bus the effective user of the thread that connects.
async fn connect(socket: PathBuf, uid: u32) -> Connection {
    let user = users::lookup(uid).await.unwrap();
    let stream = as_user::run(&user, Duration::from_secs(5), "connecting", || {
        UnixStream::connect(socket)
    })
    .await
    .unwrap()
    .unwrap();
    connection::Builder::unix_stream(stream)
        .user_id(uid)
        .build()
        .await
        .unwrap()
}

/// Waits for something that is to come soon.
pub(super) async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting)
        .await
        .expect("it did not come");
}
