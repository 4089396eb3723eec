// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The daemon on a bus of its own: a real `dbus-daemon` with the installed policy. Incus is not
//! there, so that what needs it fails, in the way that clients are to see.

mod introspection;
mod operations;
mod testbus;

use std::collections::HashMap;

use kapsule_dbus::containers::Containers1Proxy;
use kapsule_dbus::error as names;
use kapsule_dbus::manager::ManagerProxy;
use kapsule_dbus::operation::OperationProxy;
use testbus::TestBus;

const NOBODY: u32 = 65534;

/// The name of the error that a method ended with.
fn error_name<T: std::fmt::Debug>(result: zbus::Result<T>) -> String {
    match result.unwrap_err() {
        zbus::Error::MethodError(name, _, _) => name.to_string(),
        other => panic!("not an answer: {other}"),
    }
}

#[tokio::test]
async fn answers_what_needs_no_incus() {
    let Some(bus) = TestBus::start().await else {
        return;
    };
    let manager = ManagerProxy::new(&bus.connect(0).await).await.unwrap();
    assert_eq!(manager.version().await.unwrap(), kapsule_core::VERSION);
    assert_eq!(
        manager.get_create_schema().await.unwrap(),
        kapsule_core::options::schema_json()
    );
    let config = manager.get_config().await.unwrap();
    assert!(
        config.contains_key("default_container") && config.contains_key("default_image"),
        "{config:?}"
    );
    assert!(manager.list_operations().await.unwrap().is_empty());
    assert!(!manager.is_user_setup("dev", 12345).await.unwrap());
    assert!(!manager.is_user_setup("../dev", 0).await.unwrap());
}

#[tokio::test]
async fn errors_have_names_and_tell_what_to_do() {
    let Some(bus) = TestBus::start().await else {
        return;
    };
    let client = bus.connect(0).await;
    let manager = ManagerProxy::new(&client).await.unwrap();
    assert_eq!(
        error_name(manager.get_container_info("../x").await),
        names::INVALID_ARGUMENT
    );
    assert_eq!(
        error_name(manager.get_container_info("dev").await),
        names::INCUS_UNAVAILABLE
    );
    assert_eq!(
        error_name(manager.list_containers().await),
        names::INCUS_UNAVAILABLE
    );
    assert_eq!(
        error_name(manager.list_images().await),
        names::INCUS_UNAVAILABLE
    );
    let containers = Containers1Proxy::new(&client).await.unwrap();
    assert_eq!(
        error_name(containers.get_info("x/y").await),
        names::INVALID_ARGUMENT
    );
    assert_eq!(
        error_name(containers.list().await),
        names::INCUS_UNAVAILABLE
    );

    let (success, text, command) = manager
        .prepare_enter("no such name", &[], "/")
        .await
        .unwrap();
    assert!(!success && !text.is_empty() && command.is_empty());
}

#[tokio::test]
async fn nobody_is_set_up_as_somebody_else() {
    let Some(bus) = TestBus::start().await else {
        return;
    };
    let manager = ManagerProxy::new(&bus.connect(NOBODY).await).await.unwrap();
    let nobody = crate::users::lookup(NOBODY).await.unwrap();
    let home = nobody.home.to_str().unwrap();
    for (uid, gid, name, home) in [
        (0, nobody.gid, nobody.name.as_str(), home),
        (NOBODY, 0, nobody.name.as_str(), home),
        (NOBODY, nobody.gid, "root", home),
        (NOBODY, nobody.gid, nobody.name.as_str(), "/root"),
    ] {
        let answer = manager.setup_user("dev", uid, gid, name, home).await;
        assert_eq!(
            error_name(answer),
            names::ACCESS_DENIED,
            "{uid} {gid} {name} {home}"
        );
    }
    assert!(
        manager
            .setup_user("dev", NOBODY, nobody.gid, &nobody.name, home)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn without_polkit_only_root_may() {
    let Some(bus) = TestBus::start().await else {
        return;
    };
    for (uid, expected) in [(NOBODY, "polkit"), (0, "a container name")] {
        let client = bus.connect(uid).await;
        let manager = ManagerProxy::new(&client).await.unwrap();
        let path = manager
            .create_container("a_b", "", &HashMap::new())
            .await
            .unwrap();
        let operation = OperationProxy::builder(&client)
            .path(path)
            .build()
            .await
            .unwrap();
        testbus::until(async || operation.status().await.unwrap() == "failed").await;
        let error = operation.error_message().await.unwrap();
        assert!(error.contains(expected), "{uid}: {error}");
    }
}

#[tokio::test]
async fn connections_that_end_are_forgotten() {
    let Some(bus) = TestBus::start().await else {
        return;
    };
    let (one, other) = (bus.connect(0).await, bus.connect(NOBODY).await);
    for client in [&one, &other] {
        ManagerProxy::new(client)
            .await
            .unwrap()
            .list_operations()
            .await
            .unwrap();
    }
    assert_eq!(bus.callers.count(), 2);
    assert_eq!(bus.callers.listeners(NOBODY).len(), 1, "not root's");
    assert!(bus.callers.listeners(1).is_empty());
    other.close().await.unwrap();
    testbus::until(async || {
        bus.callers.forget_ended().await;
        bus.callers.count() == 1
    })
    .await;
    assert_eq!(bus.callers.listeners(0).len(), 1);
}
