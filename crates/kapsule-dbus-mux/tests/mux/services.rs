// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Services in front of the multiplexer and behind it.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use futures_util::StreamExt as _;
use zbus::message::Header;
use zbus::object_server::SignalEmitter;
use zbus::{Connection, OwnedFd, interface, proxy};

use crate::buses::{Buses, block_on};

struct Echo;

#[interface(name = "org.example.Echo", proxy(default_path = "/echo"))]
impl Echo {
    /// Who calls, and what they said.
    fn say(&self, text: String, #[zbus(header)] header: Header<'_>) -> (String, String) {
        (header.sender().unwrap().to_string(), text)
    }

    async fn slowly(&self, text: String) -> String {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        text
    }

    /// Writes into what it is given.
    fn write(&self, file: OwnedFd) {
        let mut file = std::fs::File::from(std::os::fd::OwnedFd::from(file));
        file.write_all(b"written by the service").unwrap();
    }

    /// Gives something to read from.
    fn read(&self) -> OwnedFd {
        let (read, mut write) = std::io::pipe().unwrap();
        write.write_all(b"from the service").unwrap();
        std::os::fd::OwnedFd::from(read).into()
    }

    async fn shout(&self, text: String, #[zbus(signal_emitter)] emitter: SignalEmitter<'_>) {
        emitter.heard(&text).await.unwrap();
    }

    #[zbus(signal)]
    async fn heard(emitter: &SignalEmitter<'_>, text: &str) -> zbus::Result<()>;

    #[zbus(property)]
    fn answer(&self) -> u32 {
        42
    }
}

/// Offers the service under a name.
async fn offer(connection: &Connection, name: &str) {
    connection.object_server().at("/echo", Echo).await.unwrap();
    connection.request_name(name.to_owned()).await.unwrap();
}

/// Everything that a client can do with a service.
async fn all_works(client: &Connection, name: &'static str, own_name: &str) {
    let echo = EchoProxy::builder(client)
        .destination(name)
        .build()
        .await
        .unwrap();
    let (sender, text) = echo.say("a text".to_owned()).await.unwrap();
    assert_eq!(text, "a text");
    assert_eq!(sender, own_name, "{name}");
    assert_eq!(echo.slowly("late".to_owned()).await.unwrap(), "late");
    assert_eq!(echo.answer().await.unwrap(), 42);

    let (mut read, write) = std::io::pipe().unwrap();
    let write = std::os::fd::OwnedFd::from(write);
    echo.write(OwnedFd::from(write)).await.unwrap();
    let mut text = String::new();
    read.read_to_string(&mut text).unwrap();
    assert_eq!(text, "written by the service", "{name}");
    let read = std::os::fd::OwnedFd::from(echo.read().await.unwrap());
    text.clear();
    std::fs::File::from(read).read_to_string(&mut text).unwrap();
    assert_eq!(text, "from the service", "{name}");

    let mut heard = echo.receive_heard().await.unwrap();
    echo.shout("hear".to_owned()).await.unwrap();
    assert_eq!(heard.next().await.unwrap().args().unwrap().text(), &"hear");
    echo.shout("again".to_owned()).await.unwrap();
    // Not the first one twice.
    assert_eq!(heard.next().await.unwrap().args().unwrap().text(), &"again");

    let unknown = client
        .call_method(
            Some(name),
            "/echo",
            Some("org.example.Echo"),
            "Missing",
            &(),
        )
        .await;
    assert!(
        matches!(
            unknown,
            Err(zbus::Error::MethodError(..) | zbus::Error::FDO(_))
        ),
        "{unknown:?}"
    );
}

#[test]
fn services_of_the_host_and_of_the_container() {
    let buses = Buses::start();
    block_on(async {
        let host = buses.connect("host").await;
        offer(&host, "org.example.Host").await;
        let container = buses.connect("container").await;
        offer(&container, "org.example.Inside").await;
        let client = buses.connect("mux").await;
        let own = client.unique_name().unwrap().to_string();
        all_works(&client, "org.example.Host", &own).await;
        wait_until_owned(&client, "org.example.Inside").await;
        // Inside, it has a name of that bus.
        let seen = name_seen(&client, "org.example.Inside").await;
        assert_ne!(seen, own);
        all_works(&client, "org.example.Inside", &seen).await;
    });
}

async fn name_seen(client: &Connection, name: &'static str) -> String {
    let echo = EchoProxy::builder(client)
        .destination(name)
        .build()
        .await
        .unwrap();
    echo.say("who am I".to_owned()).await.unwrap().0
}

async fn wait_until_owned(client: &Connection, name: &str) {
    let bus = zbus::fdo::DBusProxy::new(client).await.unwrap();
    while !bus.name_has_owner(name.try_into().unwrap()).await.unwrap() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What the existing multiplexer cannot do: a service behind it is called, by whoever it may be.
#[test]
fn a_service_behind_it_is_called_from_everywhere() {
    let buses = Buses::start();
    block_on(async {
        let service = buses.connect("mux").await;
        offer(&service, "org.example.Behind").await;
        let local = buses.connect("mux").await;
        offer(&local, "org.example.Local").await;
        let other = buses.connect("mux").await;
        let own = other.unique_name().unwrap().to_string();

        // A name that nobody claims for the container is the host's: tray icons, players.
        let host = buses.connect("host").await;
        let hosts = host.unique_name().unwrap().to_string();
        all_works(&host, "org.example.Behind", &hosts).await;
        all_works(&other, "org.example.Behind", &own).await;

        let container = buses.connect("container").await;
        let containers = container.unique_name().unwrap().to_string();
        // To the service, the caller is one of the container's.
        let seen = format!(":k.{}", &containers[1..]);
        all_works(&container, "org.example.Local", &seen).await;
        let seen = name_seen(&other, "org.example.Local").await;
        assert!(seen.starts_with(":k."), "{seen}");
        all_works(&other, "org.example.Local", &seen).await;
        assert!(!has_owner(&host, "org.example.Local").await);
    });
}

async fn has_owner(connection: &Connection, name: &str) -> bool {
    let bus = zbus::fdo::DBusProxy::new(connection).await.unwrap();
    bus.name_has_owner(name.try_into().unwrap()).await.unwrap()
}

/// When a client goes, so do its names, on both buses.
#[test]
fn names_go_with_their_client() {
    let buses = Buses::start();
    block_on(async {
        let client = buses.connect("mux").await;
        client.request_name("org.example.Behind").await.unwrap();
        client.request_name("org.example.Local").await.unwrap();
        let host = buses.connect("host").await;
        let container = buses.connect("container").await;
        assert!(has_owner(&host, "org.example.Behind").await);
        assert!(has_owner(&container, "org.example.Local").await);
        assert!(client.release_name("org.example.Local").await.unwrap());
        assert!(!has_owner(&container, "org.example.Local").await);
        client.request_name("org.example.Local").await.unwrap();
        client.close().await.unwrap();
        while has_owner(&host, "org.example.Behind").await
            || has_owner(&container, "org.example.Local").await
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
}

#[proxy(interface = "org.example.Nothing", default_path = "/nothing")]
trait Nothing {
    fn nothing(&self) -> zbus::Result<()>;
}

/// Without the container's bus, the host's works, and what is the container's is an error at once.
#[test]
fn the_containers_bus_may_come_later_and_go() {
    let mut buses = Buses::without_container();
    block_on(async {
        let host = buses.connect("host").await;
        offer(&host, "org.example.Host").await;
        let client = buses.connect("mux").await;
        let own = client.unique_name().unwrap().to_string();
        all_works(&client, "org.example.Host", &own).await;
        let local = NothingProxy::builder(&client)
            .destination("org.example.Local")
            .build()
            .await
            .unwrap();
        let error = local.nothing().await.unwrap_err().to_string();
        assert!(error.contains("cannot be reached"), "{error}");
    });
    buses.start_container();
    block_on(async {
        let container = buses.connect("container").await;
        offer(&container, "org.example.Inside").await;
        let client = buses.connect("mux").await;
        wait_until_owned(&client, "org.example.Inside").await;
        assert!(
            name_seen(&client, "org.example.Inside")
                .await
                .starts_with(':')
        );
    });
    buses.end_container();
    block_on(async {
        let client = buses.connect("mux").await;
        let host = buses.connect("host").await;
        offer(&host, "org.example.HostToo").await;
        let own = client.unique_name().unwrap().to_string();
        all_works(&client, "org.example.HostToo", &own).await;
    });
}
