// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What the service offers on the bus, seen with a stock client and compared with the interface that
//! existing clients rely on.

use std::collections::BTreeMap;

use kapsule_system_tests::bus::{CONTAINERS, MANAGER, OPERATION, ROOT_PATH, SERVICE, values};
use kapsule_system_tests::container::Container;
use kapsule_system_tests::host::{ALICE, ROOT, shared};
use serde_json::Value;

/// Kind, name, signature of what goes in, signature of what comes out.
type Member = (&'static str, &'static str, &'static str, &'static str);

const MANAGER_MEMBERS: &[Member] = &[
    ("method", "CreateContainer", "ssa{sv}", "o"),
    ("method", "DeleteContainer", "sb", "o"),
    ("method", "DeleteImage", "s", "o"),
    ("method", "GetConfig", "", "a{ss}"),
    ("method", "GetContainerInfo", "s", "(sssss)"),
    ("method", "GetCreateSchema", "", "s"),
    ("method", "ImportImage", "ss", "o"),
    ("method", "IsUserSetup", "su", "b"),
    ("method", "ListContainers", "", "a(sssss)"),
    ("method", "ListImages", "", "s"),
    ("method", "ListOperations", "", "ao"),
    ("method", "PrepareEnter", "sass", "(bsas)"),
    ("method", "RefreshImages", "s", "o"),
    ("method", "SetupUser", "suuss", "o"),
    ("method", "StartContainer", "s", "o"),
    ("method", "StopContainer", "sb", "o"),
    ("property", "Version", "s", ""),
    ("signal", "ContainersChanged", "", ""),
];

const OPERATION_MEMBERS: &[Member] = &[
    ("method", "Cancel", "", "b"),
    ("property", "Description", "s", ""),
    ("property", "ErrorMessage", "s", ""),
    ("property", "Id", "s", ""),
    ("property", "Status", "s", ""),
    ("property", "Target", "s", ""),
    ("property", "Type", "s", ""),
    ("signal", "Completed", "bs", ""),
    ("signal", "Message", "isi", ""),
    ("signal", "ProgressCompleted", "sbs", ""),
    ("signal", "ProgressStarted", "ssii", ""),
    ("signal", "ProgressTextUpdate", "ss", ""),
    ("signal", "ProgressUpdate", "sid", ""),
];

const CONTAINERS_MEMBERS: &[Member] = &[
    ("method", "GetInfo", "s", "s"),
    ("method", "List", "", "s"),
    ("method", "OpenSession", "sb", "shs"),
    ("method", "Restart", "sb", "o"),
    ("method", "SetOptions", "sa{sv}", "o"),
    ("signal", "AgentChanged", "sb", ""),
];

fn members(path: &str, interface: &str) -> Vec<(String, String, String, String)> {
    let listed = ALICE
        .run([
            "busctl",
            "--system",
            "--json=short",
            "introspect",
            SERVICE,
            path,
            interface,
        ])
        .json();
    let mut members: Vec<_> = listed
        .as_array()
        .into_iter()
        .flatten()
        .map(|member| {
            let text = |key: &str| match &member[key] {
                Value::String(text) if text != "-" => text.clone(),
                _ => String::new(),
            };
            let kind = text("type");
            // Of a property, the other column is the value.
            let out = if kind == "method" {
                text("result_value")
            } else {
                String::new()
            };
            (
                kind,
                text("name").trim_start_matches('.').to_owned(),
                text("signature"),
                out,
            )
        })
        .filter(|(kind, ..)| kind != "interface")
        .collect();
    members.sort();
    members
}

#[track_caller]
fn assert_members(path: &str, interface: &str, expected: &[Member]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|(kind, name, input, output)| {
            (
                kind.to_string(),
                name.to_string(),
                input.to_string(),
                output.to_string(),
            )
        })
        .collect();
    assert_eq!(members(path, interface), expected, "{interface}");
}

#[test]
fn the_root_object() {
    let Some(_host) = shared() else { return };
    assert_members(ROOT_PATH, MANAGER, MANAGER_MEMBERS);
    assert_members(ROOT_PATH, CONTAINERS, CONTAINERS_MEMBERS);
    assert_members(
        ROOT_PATH,
        "org.kde.kapsule.Images1",
        &[
            ("method", "Import", "hhs", "o"),
            ("method", "ImportUnified", "hs", "o"),
        ],
    );
    assert_members(
        ROOT_PATH,
        "org.kde.kapsule.Admin1",
        &[
            ("method", "CancelOperation", "o", "b"),
            ("method", "Delete", "ssb", "o"),
            ("method", "GetInfo", "ss", "s"),
            ("method", "ListAll", "", "s"),
            ("method", "ListOperations", "", "a(ouss)"),
            ("method", "Restart", "ssb", "o"),
            ("method", "SetOptions", "ssa{sv}", "o"),
            ("method", "SetSystemDefault", "ss", "s"),
            ("method", "Start", "ss", "o"),
            ("method", "Stop", "ssb", "o"),
            ("method", "UnsetSystemDefault", "s", ""),
        ],
    );
    let introspected = ALICE
        .run([
            "gdbus",
            "introspect",
            "--system",
            "--dest",
            SERVICE,
            "--object-path",
            ROOT_PATH,
        ])
        .ok();
    for interface in ["Introspectable", "Peer", "Properties", "ObjectManager"] {
        assert!(
            introspected.contains(&format!("interface org.freedesktop.DBus.{interface} ")),
            "{introspected}"
        );
    }
    // Not its exit status, which tells when an operation's object has gone while it was looking.
    let tree = ALICE
        .run(["busctl", "--system", "--list", "tree", SERVICE])
        .all();
    assert!(tree.lines().any(|line| line == ROOT_PATH), "{tree}");
}

#[test]
fn an_operations_object() {
    let Some(_host) = shared() else { return };
    let path = ALICE.launch("StartContainer", &["s", "t-nothing"]);
    assert_members(&path, OPERATION, OPERATION_MEMBERS);
    assert_members(
        &path,
        "org.kde.kapsule.OperationLog1",
        &[
            ("method", "GetErrorName", "", "s"),
            ("method", "GetMessages", "", "a(isi)"),
        ],
    );
}

/// What the installed files say is what is there.
#[test]
fn the_installed_descriptions() {
    let Some(_host) = shared() else { return };
    let folder = "/usr/share/dbus-1/interfaces";
    let description = ROOT
        .run(["cat", &format!("{folder}/org.kde.kapsule.xml")])
        .ok();
    for (kind, name, ..) in MANAGER_MEMBERS {
        assert!(
            description.contains(&format!("<{kind} name=\"{name}\"")),
            "{name}"
        );
    }
    for annotation in [
        "Kapsule::Container",
        "QList&lt;Kapsule::Container&gt;",
        "Kapsule::EnterResult",
        "QVariantMap",
    ] {
        assert!(description.contains(annotation), "{annotation}");
    }
    let description = ROOT
        .run(["cat", &format!("{folder}/org.kde.kapsule.Operation.xml")])
        .ok();
    for (kind, name, ..) in OPERATION_MEMBERS {
        assert!(
            description.contains(&format!("<{kind} name=\"{name}\"")),
            "{name}"
        );
    }
}

#[test]
fn the_version() {
    let Some(_host) = shared() else { return };
    let get = [
        "busctl",
        "--system",
        "get-property",
        SERVICE,
        ROOT_PATH,
        MANAGER,
        "Version",
    ];
    assert_eq!(
        ALICE.run(get).ok(),
        format!("s \"{}\"", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn the_schema_of_options() {
    let Some(_host) = shared() else { return };
    let text = ALICE.answer("GetCreateSchema", &[], "s");
    let text = text[0].as_str().unwrap();
    assert!(
        !text.contains(": ") || !text.contains("\n"),
        "compact: {text}"
    );
    let schema: Value = serde_json::from_str(text).unwrap();
    assert_eq!(schema["version"], 1);
    let sections = schema["sections"].as_array().unwrap();
    let mut options = Vec::new();
    for section in sections {
        assert!(
            section["title"]
                .as_str()
                .is_some_and(|title| !title.is_empty())
        );
        for option in section["options"].as_array().unwrap() {
            for key in ["title", "description"] {
                assert!(
                    option[key].as_str().is_some_and(|text| !text.is_empty()),
                    "{option}"
                );
            }
            options.push(format!(
                "{}/{} {} {} {} {}",
                section["id"].as_str().unwrap(),
                option["key"].as_str().unwrap(),
                option["type"].as_str().unwrap(),
                option["default"],
                option["requires"],
                option["items"]["format"],
            ));
        }
    }
    let expected = [
        "isolation/isolation string \"standard\" null null",
        "isolation/network boolean true null null",
        "isolation/ports boolean true null null",
        "session/display boolean true null null",
        "session/sound boolean true null null",
        "session/session_bus boolean true null null",
        "session/agents boolean true null null",
        "session/look boolean true null null",
        "dbus/session_mode boolean false null null",
        "dbus/dbus_mux boolean false {\"session_mode\":true} null",
        "mounts/host_rootfs boolean true null null",
        "mounts/mount_home boolean true null null",
        "mounts/custom_mounts array [] null \"directory-path\"",
        "gpu/gpu boolean true null null",
        "gpu/nvidia_drivers boolean false {\"gpu\":true} null",
        "devices/devices array [] null \"usb-id\"",
        "host/host_settings boolean true null null",
    ];
    assert_eq!(options, expected);
}

#[test]
fn errors_have_names() {
    let Some(_host) = shared() else { return };
    let name = |member: &str, args: &[&str]| ALICE.error_name(&format!("{MANAGER}.{member}"), args);
    assert_eq!(
        name("GetContainerInfo", &["t-nothing"]),
        "org.kde.kapsule.Error.NotFound"
    );
    assert_eq!(
        name("GetContainerInfo", &["../x"]),
        "org.kde.kapsule.Error.InvalidArgument"
    );
    assert_eq!(
        name("SetupUser", &["t-nothing", "0", "0", "root", "/root"]),
        "org.kde.kapsule.Error.AccessDenied"
    );
    let unknown = ALICE.call("NoSuchMethod", &[]).failed();
    assert!(unknown.contains("nknown method"), "{unknown}");
    // The call of clients older than the third argument.
    let old = ALICE.call("PrepareEnter", &["sas", "dev", "0"]).failed();
    assert!(!old.contains("timed out"), "{old}");
    let nowhere = ALICE
        .call_at(
            "/org/kde/kapsule/operations/999999",
            "org.kde.kapsule.Operation.Cancel",
            &[],
        )
        .failed();
    assert!(nowhere.contains("nknown"), "{nowhere}");
}

#[test]
fn managed_objects_are_the_operations() {
    let Some(_host) = shared() else { return };
    let container = Container::planned(ALICE, "t-object");
    let path = ALICE.launch(
        "CreateContainer",
        &["ssa{sv}", container.name, "local:debian", "0"],
    );
    let method = "org.freedesktop.DBus.ObjectManager.GetManagedObjects";
    let managed = values(&ALICE.call_at(ROOT_PATH, method, &[]), "a{oa{sa{sv}}}");
    let properties = &managed[0][&path][OPERATION];
    let found: BTreeMap<&str, &Value> = ["Type", "Target", "Status", "ErrorMessage"]
        .iter()
        .map(|key| (*key, &properties[key]["data"]))
        .collect();
    let expected = serde_json::json!({ "Type": "create", "Target": container.name, "Status": "running", "ErrorMessage": "" });
    assert_eq!(serde_json::json!(found), expected, "{managed}");
    let running = ALICE.answer("ListOperations", &[], "ao");
    assert!(
        running[0]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one == path.as_str()),
        "{running}"
    );
    assert_eq!(ALICE.finish(&path).status, "completed");
    let running = ALICE.answer("ListOperations", &[], "ao");
    assert!(
        !running[0]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one == path.as_str()),
        "{running}"
    );
}
