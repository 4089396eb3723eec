// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Two buses as dbus-daemon makes them, and the multiplexer between them.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use zbus::{Connection, connection};

/// How long anything here may take before it counts as hanging.
pub(crate) const HANG: Duration = Duration::from_secs(20);

const CONFIG: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path=@socket@</listen>
  <auth>EXTERNAL</auth>
  <servicedir>@services@</servicedir>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#;

/// Two buses and the multiplexer. The container's bus can start `org.example.Startable`.
pub(crate) struct Buses {
    pub(crate) folder: tempfile::TempDir,
    host: Child,
    container: Option<Child>,
    mux: Child,
}

impl Drop for Buses {
    fn drop(&mut self) {
        let container = self.container.iter_mut();
        for child in [&mut self.mux, &mut self.host].into_iter().chain(container) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Buses {
    /// Both, and a multiplexer for which `org.example.Local` is the container's.
    pub(crate) fn start() -> Self {
        let mut buses = Self::without_container();
        buses.start_container();
        buses
    }

    /// As [`start`](Self::start), but the container's bus is not there yet.
    pub(crate) fn without_container() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let host = bus(folder.path(), "host");
        let address = |name| format!("unix:path={}", folder.path().join(name).display());
        let mux = Command::new(env!("CARGO_BIN_EXE_kapsule-dbus-mux"))
            .arg("--listen")
            .arg(folder.path().join("mux"))
            .args(["--container-bus", &address("container")])
            .args(["--host-bus", &address("host")])
            .args(["--container-name", "org.example.Local"])
            .spawn()
            .unwrap();
        let buses = Self {
            host,
            container: None,
            mux,
            folder,
        };
        buses.wait_for("the socket", || buses.path("mux").exists());
        buses
    }

    pub(crate) fn start_container(&mut self) {
        let services = self.path("container.services");
        std::fs::create_dir_all(&services).unwrap();
        std::fs::write(
            services.join("org.example.Startable.service"),
            // Owns the name for as long as its input is open.
            "[D-BUS Service]\nName=org.example.Startable\nExec=/bin/false\n",
        )
        .unwrap();
        self.container = Some(bus(self.folder.path(), "container"));
        // The multiplexer has seen it.
        self.wait_for("the names of the container's bus", || {
            self.busctl(&[
                "call",
                "org.freedesktop.DBus",
                "/",
                "org.freedesktop.DBus",
                "ListActivatableNames",
            ])
            .contains("org.example.Startable")
        });
    }

    pub(crate) fn end_container(&mut self) {
        let mut container = self.container.take().unwrap();
        container.kill().unwrap();
        container.wait().unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn address(&self, name: &str) -> String {
        format!("unix:path={}", self.path(name).display())
    }

    /// A connection to `host`, `container` or `mux`.
    pub(crate) async fn connect(&self, name: &str) -> Connection {
        let address = self.address(name);
        connection::Builder::address(address.as_str())
            .method_timeout(HANG)
            .build()
            .await
            .unwrap()
    }

    /// What busctl, connected to the multiplexer, prints; nothing when it fails.
    pub(crate) fn busctl(&self, arguments: &[&str]) -> String {
        let output = self.run("busctl", arguments);
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a stock client whose session bus is the multiplexer.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(program);
        if program == "busctl" {
            command.arg(format!("--address={}", self.address("mux")));
        }
        command
            .args(arguments)
            .env("DBUS_SESSION_BUS_ADDRESS", self.address("mux"))
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    fn wait_for(&self, what: &str, mut is_there: impl FnMut() -> bool) {
        let began = Instant::now();
        while !is_there() {
            assert!(began.elapsed() < HANG, "{what} does not come");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The multiplexer's process id.
    pub(crate) fn mux_id(&self) -> u32 {
        self.mux.id()
    }

    pub(crate) fn wait_for_mux(&mut self) -> std::process::ExitStatus {
        self.mux.wait().unwrap()
    }
}

fn bus(folder: &Path, name: &str) -> Child {
    let socket = folder.join(name);
    let _ = std::fs::remove_file(&socket);
    let config = folder.join(format!("{name}.conf"));
    let services = folder.join(format!("{name}.services"));
    let text = CONFIG
        .replace("@socket@", socket.to_str().unwrap())
        .replace("@services@", services.to_str().unwrap());
    std::fs::write(&config, text).unwrap();
    let mut daemon = Command::new("dbus-daemon")
        .arg("--config-file")
        .arg(&config)
        .args(["--nofork", "--print-address"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(daemon.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    daemon
}

/// Runs a test's asynchronous part.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(async { tokio::time::timeout(4 * HANG, future).await.unwrap() })
}
