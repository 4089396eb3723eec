// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! A private `dbus-daemon`, and on it somebody who answers as the service does.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use futures_util::StreamExt as _;
use zbus::OwnedFd;
use zbus::message::Type;
use zbus::{Connection, MessageStream};

use crate::agent::Agent;

const CONFIG: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path=@folder@/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow eavesdrop="false"/>
  </policy>
</busconfig>
"#;

/// What the service does when a session is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// Opens one; the test is its agent.
    Opens,
    /// Never answers.
    Hangs,
    /// Fails with this error of `org.kde.kapsule.Error`.
    Fails(&'static str),
}

/// A bus with a service.
pub(crate) struct Bus {
    daemon: Child,
    folder: tempfile::TempDir,
    sessions: Receiver<(String, UnixStream)>,
}

impl Drop for Bus {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

impl Bus {
    pub(crate) fn start(service: Service) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bus.conf");
        let path = folder.path().to_str().unwrap();
        std::fs::write(&file, CONFIG.replace("@folder@", path)).unwrap();
        let mut daemon = Command::new("dbus-daemon")
            .arg("--config-file")
            .arg(&file)
            .args(["--nofork", "--print-address"])
            .stdout(Stdio::piped())
            // It complains that it may not open more files, each time.
            .stderr(Stdio::null())
            .spawn()
            .expect("dbus-daemon is needed (package dbus)");
        let mut address = String::new();
        BufReader::new(daemon.stdout.take().unwrap())
            .read_line(&mut address)
            .unwrap();
        let (sender, sessions) = channel();
        let (ready, is_ready) = channel();
        let address = format!("unix:path={path}/bus");
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(serve(&address, service, &sender, &ready));
        });
        is_ready.recv_timeout(Duration::from_secs(10)).unwrap();
        Self {
            daemon,
            folder,
            sessions,
        }
    }

    pub(crate) fn address(&self) -> String {
        format!("unix:path={}/bus", self.folder.path().display())
    }

    /// The agent of the session that was asked for, and for whom.
    pub(crate) fn agent(&self) -> Agent {
        let (user, socket) = self
            .sessions
            .recv_timeout(Duration::from_secs(10))
            .expect("a session is asked for");
        Agent::new(user, socket)
    }
}

async fn serve(
    address: &str,
    service: Service,
    sessions: &Sender<(String, UnixStream)>,
    ready: &Sender<()>,
) {
    let connection: Connection = zbus::connection::Builder::address(address)
        .build()
        .await
        .unwrap();
    connection.request_name("org.kde.kapsule").await.unwrap();
    let mut messages = MessageStream::from(&connection);
    ready.send(()).unwrap();
    while let Some(Ok(message)) = messages.next().await {
        let header = message.header();
        if header.message_type() != Type::MethodCall {
            continue;
        }
        let member = header.member().unwrap().to_string();
        match (member.as_str(), service) {
            (_, Service::Hangs) => {}
            ("GetConfig", _) => {
                let config = HashMap::from([("default_container", "dev")]);
                connection.reply(&header, &config).await.unwrap();
            }
            ("OpenSession", Service::Opens) => {
                let (_, as_root): (String, bool) = message.body().deserialize().unwrap();
                let (client, agent) = UnixStream::pair().unwrap();
                let client = OwnedFd::from(std::os::fd::OwnedFd::from(client));
                let answer = ("dev", client, "standard");
                connection.reply(&header, &answer).await.unwrap();
                // The test may have ended already.
                let user = if as_root { "root" } else { "owner" };
                let _ = sessions.send((user.to_owned(), agent));
            }
            (_, Service::Fails(name)) => {
                let name = format!("org.kde.kapsule.Error.{name}");
                let name = zbus::names::ErrorName::try_from(name).unwrap();
                let text = "it cannot be.\nReally";
                connection.reply_error(&header, name, &text).await.unwrap();
            }
            other => panic!("not a question that the test knows: {other:?}"),
        }
    }
}
