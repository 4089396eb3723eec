// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What the bus itself tells about names.

use futures_util::StreamExt as _;
use zbus::fdo::DBusProxy;
use zbus::names::BusName;

use crate::buses::{Buses, block_on};

#[test]
fn lists_hold_both() {
    let buses = Buses::start();
    block_on(async {
        let host = buses.connect("host").await;
        host.request_name("org.example.Host").await.unwrap();
        let container = buses.connect("container").await;
        container.request_name("org.example.Inside").await.unwrap();
        // What shows itself on the user's screen stays the host's.
        container
            .request_name("org.freedesktop.Notifications")
            .await
            .unwrap();
        let client = buses.connect("mux").await;
        let bus = DBusProxy::new(&client).await.unwrap();
        let inside = format!(":k.{}", &container.unique_name().unwrap()[1..]);
        loop {
            let names = bus.list_names().await.unwrap();
            let has = |wanted: &str| names.iter().any(|name| name.as_str() == wanted);
            assert!(has("org.example.Host") && has(client.unique_name().unwrap()));
            assert!(!has("org.freedesktop.Notifications"));
            if has("org.example.Inside") && has(&inside) {
                break;
            }
        }
        let activatable = bus.list_activatable_names().await.unwrap();
        assert!(
            activatable
                .iter()
                .any(|name| name.as_str() == "org.example.Startable")
        );
    });
}

#[test]
fn owners_and_their_credentials_are_asked_of_the_right_bus() {
    let buses = Buses::start();
    block_on(async {
        let container = buses.connect("container").await;
        container.request_name("org.example.Inside").await.unwrap();
        let client = buses.connect("mux").await;
        let bus = DBusProxy::new(&client).await.unwrap();
        let name = || BusName::try_from("org.example.Inside").unwrap();
        while !bus.name_has_owner(name()).await.unwrap() {}
        let owner = bus.get_name_owner(name()).await.unwrap();
        assert_eq!(
            owner.as_str(),
            format!(":k.{}", &container.unique_name().unwrap()[1..])
        );
        let credentials = bus
            .get_connection_credentials(BusName::from(owner.as_ref()))
            .await
            .unwrap();
        assert_eq!(credentials.process_id(), Some(std::process::id()));
        assert_eq!(
            bus.get_connection_unix_user(name()).await.unwrap(),
            rustix::process::getuid().as_raw()
        );
        let own = BusName::from(client.unique_name().unwrap().as_ref());
        assert_eq!(
            bus.get_connection_unix_process_id(own).await.unwrap(),
            buses.mux_id()
        );
    });
}

#[test]
fn changes_of_owners_arrive_once_from_each_side() {
    let buses = Buses::start();
    block_on(async {
        let client = buses.connect("mux").await;
        let bus = DBusProxy::new(&client).await.unwrap();
        let mut changes = bus.receive_name_owner_changed().await.unwrap();
        let host = buses.connect("host").await;
        host.request_name("org.example.Host").await.unwrap();
        let container = buses.connect("container").await;
        container.request_name("org.example.Inside").await.unwrap();
        host.release_name("org.example.Host").await.unwrap();
        container.release_name("org.example.Inside").await.unwrap();
        let mut seen = Vec::new();
        while seen.len() < 4 {
            let change = changes.next().await.unwrap();
            let change = change.args().unwrap();
            if change.name().starts_with("org.example.") {
                let name = change.name().to_string();
                let owner = change.new_owner().as_ref().map(ToString::to_string);
                seen.push((name, owner));
            }
        }
        seen.sort();
        let owner = |connection: &zbus::Connection| connection.unique_name().unwrap().to_string();
        let inside = format!(":k.{}", &owner(&container)[1..]);
        assert_eq!(
            seen,
            [
                ("org.example.Host".to_owned(), None),
                ("org.example.Host".to_owned(), Some(owner(&host))),
                ("org.example.Inside".to_owned(), None),
                ("org.example.Inside".to_owned(), Some(inside)),
            ]
        );
    });
}

#[test]
fn a_client_hears_of_its_own_names() {
    let buses = Buses::start();
    block_on(async {
        let client = buses.connect("mux").await;
        let bus = DBusProxy::new(&client).await.unwrap();
        let mut acquired = bus.receive_name_acquired().await.unwrap();
        for name in ["org.example.Behind", "org.example.Local"] {
            client.request_name(name).await.unwrap();
            loop {
                let signal = acquired.next().await.unwrap();
                let heard = signal.args().unwrap().name().to_string();
                // Never the name that the container's bus has for it.
                assert!(!heard.starts_with(":k."), "{heard}");
                if heard == name {
                    break;
                }
            }
        }
    });
}
