// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! Every field this crate reads must be in what Incus sends, with the type this crate expects.
//!
//! The fields are taken from the types themselves, so none can be forgotten here; a field Incus renames or drops,
//! which the client would silently read as its default, fails this test.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use incus::{
    Image, ImageAliasEntry, InstanceFull, Network, NetworkState, OperationInfo, ProjectInfo,
    Server, Snapshot, SnapshotPost, StoragePool,
};
use serde::Serialize;
use serde_json::Value;

use crate::fixture::with_project;

/// Asks Incus without the client under test. HTTP/1.0, so that the body is neither chunked nor kept open.
fn get(socket: &Path, target: &str) -> Value {
    let mut stream = UnixStream::connect(socket).unwrap();
    write!(stream, "GET {target} HTTP/1.0\r\nHost: incus\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let mut answer: Value = serde_json::from_str(body).unwrap();
    assert_eq!(answer["type"], "sync", "{target}: {answer}");
    answer["metadata"].take()
}

/// Compares what the crate writes for a default value with what Incus sent; `optional` are fields Incus may leave out.
fn check<T: Serialize + Default>(what: &str, sent: &Value, optional: &[&str]) {
    let known = serde_json::to_value(T::default()).unwrap();
    let mut faults = Vec::new();
    compare(what, &known, sent, optional, &mut faults);
    assert!(faults.is_empty(), "{faults:#?}\nin {sent:#}");
}

fn compare(what: &str, known: &Value, sent: &Value, optional: &[&str], faults: &mut Vec<String>) {
    let Some(known) = known.as_object() else {
        return;
    };
    for (field, expected) in known {
        let what = format!("{what}.{field}");
        match &sent[field] {
            Value::Null if sent.get(field).is_some() && !expected.is_string() => {}
            Value::Null if optional.contains(&field.as_str()) => {}
            Value::Null => faults.push(format!("{what} is not there")),
            found if kind(found) == kind(expected) => {
                compare(&what, expected, found, optional, faults)
            }
            // An absent time is `null` with this crate and Go's zero time with Incus.
            Value::String(_) if expected.is_null() => {}
            found => faults.push(format!("{what} is {}, not {}", kind(found), kind(expected))),
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

#[tokio::test]
async fn fields_are_what_incus_sends() {
    with_project(async |test| {
        test.running("demo").await;
        test.project
            .create_snapshot("demo", &SnapshotPost::new("s"))
            .await
            .unwrap()
            .wait()
            .await
            .unwrap();
        let name = test.name();
        let get = |target: &str| get(&test.socket, target);

        check::<Server>("Server", &get("/1.0"), &[]);
        check::<incus::StorageDriver>(
            "StorageDriver",
            &get("/1.0")["environment"]["storage_supported_drivers"][0],
            &[],
        );
        check::<ProjectInfo>("Project", &get(&format!("/1.0/projects/{name}")), &[]);
        check::<StoragePool>(
            "StoragePool",
            &get(&format!("/1.0/storage-pools/{name}")),
            &[],
        );
        check::<Network>("Network", &get("/1.0/networks/lo"), &[]);
        check::<NetworkState>("NetworkState", &get("/1.0/networks/lo/state"), &[]);

        let full = &get(&format!("/1.0/instances?recursion=2&project={name}"))[0];
        check::<InstanceFull>("InstanceFull", full, &["allocated_time"]);
        let lo = &full["state"]["network"]["lo"];
        if lo.is_null() {
            println!("NOT CHECKED: interfaces of instances; this host has no netnsid_getifaddrs");
        } else {
            check::<incus::InstanceNetwork>("InstanceNetwork", lo, &[]);
        }
        let address = &get("/1.0/networks/lo/state")["addresses"][0];
        check::<incus::InstanceAddress>("InstanceAddress", address, &[]);
        check::<Snapshot>("Snapshot", &full["snapshots"][0], &[]);

        let alias = get(&format!("/1.0/images/aliases/{name}"));
        check::<ImageAliasEntry>("ImageAliasesEntry", &alias, &[]);
        let fingerprint = alias["target"].as_str().unwrap();
        check::<Image>(
            "Image",
            &get(&format!("/1.0/images/{fingerprint}")),
            &["update_source"],
        );

        let change = incus::StateChange::kill();
        let operation = test.project.change_state("demo", &change).await.unwrap();
        check::<OperationInfo>(
            "Operation",
            &get(&format!("/1.0/operations/{}", operation.id())),
            &[],
        );
        operation.wait().await.unwrap();
    })
    .await;
}
