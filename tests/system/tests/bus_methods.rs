// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Each method of the contract, called with a stock client.

use kapsule_system_tests::bus::{CONTAINERS, Ended, ROOT_PATH, values};
use kapsule_system_tests::container::{Container, IMAGE, common};
use kapsule_system_tests::host::{ALICE, BOB, shared};
use serde_json::Value;

fn completed() -> Ended {
    Ended {
        status: "completed".to_owned(),
        error: String::new(),
    }
}

#[test]
fn a_containers_life() {
    let Some(_host) = shared() else { return };
    let container = Container::planned(ALICE, "t-bus");
    let name = container.name;
    // A variant in a variant is what some clients send.
    let options = [
        "4",
        "gpu",
        "v",
        "v",
        "b",
        "false",
        "mount_home",
        "b",
        "true",
        "host_rootfs",
        "v",
        "b",
        "false",
        "custom_mounts",
        "as",
        "0",
    ];
    assert_eq!(
        ALICE.operate(
            "CreateContainer",
            &[&["ssa{sv}", name, IMAGE][..], &options].concat()
        ),
        completed()
    );

    let info = ALICE.answer("GetContainerInfo", &["s", name], "(sssss)");
    let fields: Vec<&str> = info[0]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(
        (fields[0], fields[1], fields[4]),
        (name, "Running", "Default"),
        "{info}"
    );
    assert!(!fields[2].is_empty() && fields[3].contains('T'), "{info}");
    let list = ALICE.answer("ListContainers", &[], "a(sssss)");
    assert!(list[0].as_array().unwrap().contains(&info[0]), "{list}");
    let newer = ALICE.call_at(ROOT_PATH, &format!("{CONTAINERS}.GetInfo"), &["s", name]);
    let newer: Value = serde_json::from_str(values(&newer, "s")[0].as_str().unwrap()).unwrap();
    assert_eq!(
        (&newer["options"]["gpu"], &newer["options"]["host_rootfs"]),
        (&Value::Bool(false), &Value::Bool(false)),
        "{newer}"
    );
    let list = ALICE.call_at(ROOT_PATH, &format!("{CONTAINERS}.List"), &[]);
    let list: Value = serde_json::from_str(values(&list, "s")[0].as_str().unwrap()).unwrap();
    assert!(
        list.as_array()
            .unwrap()
            .iter()
            .any(|one| one["name"] == name),
        "{list}"
    );

    assert_eq!(
        ALICE.answer("IsUserSetup", &["su", name, "1000"], "b")[0],
        true
    );
    assert_eq!(
        ALICE.answer("IsUserSetup", &["su", name, "1001"], "b")[0],
        false
    );
    assert_eq!(
        ALICE.answer("IsUserSetup", &["su", "t-nothing", "1000"], "b")[0],
        false
    );
    assert_eq!(
        ALICE.operate(
            "SetupUser",
            &["suuss", name, "1000", "1000", "alice", "/home/alice"]
        ),
        completed()
    );

    // Nothing to do is not a failure.
    assert_eq!(ALICE.operate("StartContainer", &["s", name]), completed());
    let refused = ALICE.operate("DeleteContainer", &["sb", name, "false"]);
    assert_eq!(refused.status, "failed");
    assert!(refused.error.contains("running"), "{}", refused.error);
    assert_eq!(
        ALICE.operate("StopContainer", &["sb", name, "false"]),
        completed()
    );
    assert_eq!(
        ALICE.answer("GetContainerInfo", &["s", name], "(sssss)")[0][1],
        "Stopped"
    );
    assert_eq!(
        ALICE.operate("StopContainer", &["sb", name, "true"]),
        completed()
    );
    let session = ALICE.error_name(&format!("{CONTAINERS}.OpenSession"), &[name, "false"]);
    assert_eq!(session, "org.kde.kapsule.Error.NotRunning");
    assert_eq!(ALICE.operate("StartContainer", &["s", name]), completed());
    let restart = ALICE.call_at(
        ROOT_PATH,
        &format!("{CONTAINERS}.Restart"),
        &["sb", name, "true"],
    );
    let path = values(&restart, "o")[0].as_str().unwrap().to_owned();
    assert_eq!(ALICE.property(&path, "Type"), "restart");
    assert_eq!(ALICE.finish(&path), completed());
    assert_eq!(
        ALICE.operate("DeleteContainer", &["sb", name, "true"]),
        completed()
    );
    assert_eq!(
        ALICE
            .operate("DeleteContainer", &["sb", name, "true"])
            .status,
        "failed"
    );
}

#[test]
fn an_empty_image_is_the_default_one() {
    let Some(_host) = shared() else { return };
    let container = Container::planned(ALICE, "t-default-image");
    assert_eq!(
        ALICE.operate("CreateContainer", &["ssa{sv}", container.name, "", "0"]),
        completed()
    );
    assert_eq!(container.info()["image_reference"], "local:debian");
}

#[test]
fn prepare_enter_gives_a_command_that_enters() {
    let Some(_host) = shared() else { return };
    let name = common().name;
    let prepared = ALICE.answer(
        "PrepareEnter",
        &["sass", name, "2", "printf", "a b\n", "/usr"],
        "(bsas)",
    );
    assert_eq!(
        (&prepared[0][0], &prepared[0][1]),
        (&Value::Bool(true), &Value::from("")),
        "{prepared}"
    );
    let argv: Vec<&str> = prepared[0][2]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(ALICE.run(&argv).ended(0), "a b\n");
    let prepared = ALICE.answer(
        "PrepareEnter",
        &["sass", name, "1", "pwd", "/usr"],
        "(bsas)",
    );
    let argv: Vec<&str> = prepared[0][2]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(ALICE.run(&argv).ok(), "/usr");
    let missing = ALICE.answer("PrepareEnter", &["sass", "t-nothing", "0", ""], "(bsas)");
    assert_eq!(missing[0][0], false);
    assert!(
        missing[0][1].as_str().unwrap().contains("t-nothing"),
        "{missing}"
    );
    assert_eq!(missing[0][2], serde_json::json!([]));
}

#[test]
fn the_configuration() {
    let Some(_host) = shared() else { return };
    let config = ALICE.answer("GetConfig", &[], "a{ss}");
    assert_eq!(
        config[0],
        serde_json::json!({
            "default_container": "dev",
            "default_image": "local:debian",
            "isolation": "standard",
        })
    );
}

#[test]
fn images() {
    let Some(_host) = shared() else { return };
    common();
    let list = ALICE.answer("ListImages", &[], "s");
    let list: Value = serde_json::from_str(list[0].as_str().unwrap()).unwrap();
    let debian = list
        .as_array()
        .unwrap()
        .iter()
        .find(|image| image["aliases"].to_string().contains("\"debian\""));
    let debian = debian.unwrap();
    for key in [
        "architecture",
        "auto_update",
        "cached",
        "created_at",
        "fingerprint",
        "properties",
        "public",
        "size",
        "type",
        "uploaded_at",
        "profiles",
        "expires_at",
        "last_used_at",
        "filename",
    ] {
        assert!(debian.get(key).is_some(), "{key}: {debian}");
    }
    // None was downloaded, which is not a failure.
    assert_eq!(ALICE.operate("RefreshImages", &["s", ""]), completed());
    let unknown = ALICE.operate("RefreshImages", &["s", "t-nowhere:x"]);
    assert_eq!(unknown.status, "failed");
    assert!(
        unknown.error.contains("Unknown server alias") && unknown.error.contains("Known aliases"),
        "{}",
        unknown.error
    );
    // Root's image is everybody's to use and root's to delete.
    for user in [ALICE, BOB] {
        let refused = user.operate("DeleteImage", &["s", "debian"]);
        assert_eq!(refused.status, "failed", "{refused:?}");
    }
    assert_eq!(
        ALICE.operate("DeleteImage", &["s", "t-nothing"]).status,
        "failed"
    );
}
