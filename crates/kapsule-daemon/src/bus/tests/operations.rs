// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The life of an operation as clients see it, and what others do not see.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use kapsule_dbus::error as names;
use kapsule_dbus::manager::ManagerProxy;
use kapsule_dbus::operation::{OperationLog1Proxy, OperationProxy};
use zbus::fdo::{ObjectManagerProxy, PropertiesProxy};
use zbus::names::InterfaceName;
use zbus::{Connection, Message, MessageStream};

use super::testbus::{TestBus, until};
use super::{NOBODY, error_name};
use crate::ops::{LINGER, OperationKind, OperationSpec, Reporter};

/// The next message from the daemon: the member of a signal, or `reply`.
async fn next(messages: &mut MessageStream) -> (String, Message) {
    loop {
        let message = tokio::time::timeout(Duration::from_secs(10), messages.next())
            .await
            .expect("nothing comes")
            .unwrap()
            .unwrap();
        let header = message.header();
        let from_bus = header
            .sender()
            .is_some_and(|sender| sender == "org.freedesktop.DBus");
        let kind = header.message_type();
        if from_bus || kind == zbus::message::Type::MethodCall {
            continue;
        }
        let what = match header.member() {
            Some(member) => member.to_string(),
            None => "reply".to_owned(),
        };
        drop(header);
        return (what, message);
    }
}

async fn operation_at(client: &Connection, path: &str) -> OperationProxy<'static> {
    OperationProxy::builder(client)
        .path(path.to_owned())
        .cache_properties(zbus::proxy::CacheProperties::No)
        .build()
        .await
        .unwrap()
}

#[tokio::test]
async fn everything_comes_after_the_answer_and_in_order() {
    let Some(bus) = TestBus::start().await else {
        return;
    };
    let client = bus.connect(0).await;
    let manager = ManagerProxy::new(&client).await.unwrap();
    let mut messages = MessageStream::from(&client);
    // Known to fail before anything of Incus is needed: the fastest there is.
    let path = manager
        .create_container("a_b", "", &HashMap::new())
        .await
        .unwrap();
    let mut seen = Vec::new();
    let mut completed = None;
    loop {
        let (what, message) = next(&mut messages).await;
        if what == "Completed" {
            completed = Some((message, Instant::now()));
        }
        let last = what == "InterfacesRemoved";
        seen.push(what);
        if last {
            break;
        }
    }
    assert_eq!(
        seen,
        [
            "InterfacesAdded",
            "reply",
            "PropertiesChanged",
            "Completed",
            "InterfacesRemoved"
        ]
    );
    let (message, at) = completed.unwrap();
    let (success, text): (bool, String) = message.body().deserialize().unwrap();
    assert!(!success && text.contains("container name"), "{text}");
    assert!(
        at.elapsed() >= LINGER - Duration::from_millis(100),
        "it could be asked about for a while"
    );
    let gone = operation_at(&client, path.as_str()).await.status().await;
    assert!(gone.is_err(), "{gone:?}");
    assert!(bus.operations.known(None).is_empty());
}

#[tokio::test]
async fn a_late_client_finds_out() {
    let Some(bus) = TestBus::start().await else {
        return;
    };
    let client = bus.connect(0).await;
    let manager = ManagerProxy::new(&client).await.unwrap();
    let path = manager.delete_container("dev", false).await.unwrap();
    let operation = operation_at(&client, path.as_str()).await;
    until(async || operation.status().await.unwrap() == "failed").await;
    assert_eq!(operation.kind().await.unwrap(), "delete");
    assert_eq!(operation.target().await.unwrap(), "dev");
    assert!(operation.description().await.unwrap().contains("dev"));
    assert!(
        path.as_str()
            .ends_with(&format!("/{}", operation.id().await.unwrap()))
    );
    assert!(!operation.error_message().await.unwrap().is_empty());
    assert!(!operation.cancel().await.unwrap(), "it is over");
    assert!(
        manager.list_operations().await.unwrap().is_empty(),
        "nor does it run"
    );
    let log = OperationLog1Proxy::builder(&client)
        .path(path)
        .build()
        .await
        .unwrap();
    assert!(log.get_messages().await.is_ok());
}

#[tokio::test]
async fn others_see_nothing_of_it() {
    let Some(bus) = TestBus::start().await else {
        return;
    };
    let (owner, other) = (bus.connect(0).await, bus.connect(NOBODY).await);
    let theirs = ManagerProxy::new(&other).await.unwrap();
    assert!(theirs.list_operations().await.unwrap().is_empty());
    let manager_of = async |client: &Connection| {
        ObjectManagerProxy::builder(client)
            .destination(kapsule_dbus::BUS_NAME)
            .path(kapsule_dbus::ROOT_PATH)
            .build()
            .await
            .unwrap()
    };
    let mut messages = MessageStream::from(&other);
    let listening = zbus::MatchRule::builder()
        .sender(kapsule_dbus::BUS_NAME)
        .build()
        .unwrap();
    let listening = MessageStream::for_match_rule(listening, &other, None)
        .await
        .unwrap();

    let manager = ManagerProxy::new(&owner).await.unwrap();
    let path = manager.stop_container("secret", true).await.unwrap();
    let seen = manager_of(&owner)
        .await
        .get_managed_objects()
        .await
        .unwrap();
    assert_eq!(seen.keys().collect::<Vec<_>>(), [&path]);
    assert!(
        seen[&path].contains_key("org.kde.kapsule.Operation"),
        "{seen:?}"
    );
    let target = &seen[&path]["org.kde.kapsule.Operation"]["Target"];
    assert_eq!(target.downcast_ref::<&str>().unwrap(), "secret");
    until(async || {
        operation_at(&owner, path.as_str())
            .await
            .status()
            .await
            .unwrap()
            == "failed"
    })
    .await;

    assert!(
        manager_of(&other)
            .await
            .get_managed_objects()
            .await
            .unwrap()
            .is_empty()
    );
    let operation = operation_at(&other, path.as_str()).await;
    assert_eq!(error_name(operation.cancel().await), names::ACCESS_DENIED);
    let denied = operation.target().await.unwrap_err().to_string();
    assert!(denied.contains("another user"), "{denied}");
    let log = OperationLog1Proxy::builder(&other)
        .path(path.clone())
        .build()
        .await
        .unwrap();
    assert_eq!(error_name(log.get_messages().await), names::ACCESS_DENIED);
    let properties = PropertiesProxy::builder(&other)
        .destination(kapsule_dbus::BUS_NAME)
        .path(path)
        .build()
        .await
        .unwrap();
    let interface = InterfaceName::try_from("org.kde.kapsule.Operation").unwrap();
    assert!(properties.get_all(interface).await.unwrap().is_empty());

    // All that came to the other are answers to their own calls.
    drop(listening);
    theirs.get_create_schema().await.unwrap();
    while let Ok(Some(Ok(message))) =
        tokio::time::timeout(Duration::from_millis(100), messages.next()).await
    {
        let header = message.header();
        let of_service = header
            .path()
            .is_some_and(|path| path.starts_with(kapsule_dbus::ROOT_PATH));
        let signal = header.message_type() == zbus::message::Type::Signal;
        assert!(!(signal && of_service), "{message:?}");
    }
}

/// A change of a user's containers, made by an administrator: the two hear of it, and nobody else.
#[tokio::test]
async fn a_change_is_told_to_the_owner_and_who_made_it() {
    const OTHER: u32 = 1;
    let Some(bus) = TestBus::start().await else {
        return;
    };
    let clients = [
        bus.connect(0).await,
        bus.connect(NOBODY).await,
        bus.connect(OTHER).await,
    ];
    let mut streams = Vec::new();
    for client in &clients {
        let matching = zbus::MatchRule::builder()
            .msg_type(zbus::message::Type::Signal)
            .sender(kapsule_dbus::BUS_NAME)
            .build()
            .unwrap();
        streams.push(
            MessageStream::for_match_rule(matching, client, None)
                .await
                .unwrap(),
        );
        // What existing clients do first.
        let manager = ManagerProxy::new(client).await.unwrap();
        manager.version().await.unwrap();
    }
    let spec = OperationSpec::new(OperationKind::Stop, "dev", 0).about(NOBODY);
    let work = async |reporter: Reporter| {
        reporter.containers_changed();
        Ok(())
    };
    bus.operations.start(spec, async { Ok(()) }, work).unwrap();
    let [of_root, of_owner, of_other] = &mut streams[..] else {
        panic!("three clients");
    };
    assert_eq!(
        next(of_root).await.0,
        "ContainersChanged",
        "who asked for it"
    );
    assert_eq!(next(of_root).await.0, "PropertiesChanged");
    assert_eq!(next(of_root).await.0, "Completed");
    assert_eq!(next(of_owner).await.0, "ContainersChanged", "the owner");
    // An answer that is sent later has come, and nothing before it.
    for (client, stream) in [(&clients[1], of_owner), (&clients[2], of_other)] {
        let manager = ManagerProxy::new(client).await.unwrap();
        manager.get_create_schema().await.unwrap();
        let more = tokio::time::timeout(Duration::from_millis(100), stream.next()).await;
        assert!(more.is_err(), "{more:?}");
    }
}
