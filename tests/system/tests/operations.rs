// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Operations: which signals come, in which order, and what is left of them afterwards.

use kapsule_system_tests::bus::{OPERATION, ROOT_PATH, values};
use kapsule_system_tests::container::{Container, IMAGE, common, names};
use kapsule_system_tests::host::{ALICE, alone, shared};
use kapsule_system_tests::monitor::{Message, Monitor};

/// The place of the first message for which something holds.
#[track_caller]
fn place(messages: &[Message], what: &str, holds: impl Fn(&Message) -> bool) -> usize {
    match messages.iter().position(holds) {
        Some(place) => place,
        None => panic!("no {what}"),
    }
}

/// Runs a command of alice's client and returns what passed over the bus, and the operation's path.
#[track_caller]
fn watch(args: &[&str], method: &str) -> (Vec<Message>, String) {
    let monitor = Monitor::start();
    let output = ALICE.kapsule(args);
    let messages = monitor.wait_for("Completed", |message| message.is_signal("Completed"));
    let call = place(&messages, &format!("{method}: {output}"), |message| {
        message.member() == method
    });
    let answer = &messages[call..][place(&messages[call..], "answer", |message| {
        message.is_return() && message.signature() == "o"
    })];
    let path = answer.body()[0].as_str().unwrap_or_default().to_owned();
    (messages, path)
}

#[test]
fn a_create_that_succeeds() {
    let Some(_host) = alone() else { return };
    let container = Container::planned(ALICE, "t-signals");
    let (messages, path) = watch(
        &["create", container.name, "--image", IMAGE],
        "CreateContainer",
    );
    let of = |message: &Message| message.path() == path;

    let added = place(&messages, "InterfacesAdded", |message| {
        message.is_signal("InterfacesAdded")
    });
    assert_eq!(messages[added].path(), ROOT_PATH);
    assert_eq!(messages[added].signature(), "oa{sa{sv}}");
    assert_eq!(messages[added].body()[0], path.as_str());
    assert_eq!(
        messages[added].body()[1][OPERATION]["Type"]["data"],
        "create"
    );
    let answered = place(&messages, "the answer", |message| {
        message.is_return() && message.body()[0] == path.as_str()
    });
    // Nothing is said before the caller knows the path.
    let first = place(&messages, "a message", |message| {
        of(message) && message.is_signal("Message")
    });
    assert!(added < answered && answered < first);

    let success = messages
        .iter()
        .rposition(|message| of(message) && message.is_signal("Message"))
        .unwrap();
    assert_eq!(messages[success].signature(), "isi");
    assert_eq!(
        messages[success].body()[0],
        1,
        "the last message tells the success"
    );
    let changed = place(&messages, "ContainersChanged", |message| {
        message.is_signal("ContainersChanged")
    });
    assert_eq!(messages[changed].path(), ROOT_PATH);
    let properties = place(&messages, "PropertiesChanged", |message| {
        of(message) && message.is_signal("PropertiesChanged")
    });
    let body = messages[properties].body();
    assert_eq!(body[0], OPERATION);
    assert_eq!(body[1]["Status"]["data"], "completed");
    assert_eq!(body[1]["ErrorMessage"]["data"], "");
    let completed = place(&messages, "Completed", |message| {
        of(message) && message.is_signal("Completed")
    });
    assert_eq!(messages[completed].signature(), "bs");
    assert_eq!(messages[completed].body(), &serde_json::json!([true, ""]));
    assert!(
        success < changed && changed < properties && properties < completed,
        "{success} {changed} {properties} {completed}"
    );
    let after = messages[completed + 1..].iter().filter(|message| {
        // Others of her connections get their own, one after the other.
        of(message)
            && message.interface() == OPERATION
            && !message.member().is_empty()
            && message.destination() == messages[completed].destination()
    });
    assert_eq!(after.count(), 0, "something came after Completed");

    // What progress says goes up, and each bar that begins ends.
    let bars = |member: &str| -> Vec<_> {
        let all = messages.iter();
        all.filter(|message| of(message) && message.is_signal(member))
            .map(|message| message.body()[0].clone())
            .collect()
    };
    assert_eq!(
        bars("ProgressStarted").len(),
        bars("ProgressCompleted").len()
    );
    for bar in bars("ProgressStarted") {
        let values: Vec<i64> = messages
            .iter()
            .filter(|message| message.is_signal("ProgressUpdate") && message.body()[0] == bar)
            .filter_map(|message| message.body()[1].as_i64())
            .collect();
        assert!(values.is_sorted(), "{values:?}");
    }
}

#[test]
fn one_that_fails() {
    let Some(_host) = alone() else { return };
    common();
    let (messages, path) = watch(&["start", "t-nothing"], "StartContainer");
    let properties = place(&messages, "PropertiesChanged", |message| {
        message.path() == path && message.is_signal("PropertiesChanged")
    });
    assert_eq!(messages[properties].body()[1]["Status"]["data"], "failed");
    let completed = place(&messages, "Completed", |message| {
        message.path() == path && message.is_signal("Completed")
    });
    assert_eq!(messages[completed].body()[0], false);
    let text = messages[completed].body()[1].as_str().unwrap();
    assert!(text.contains("t-nothing"), "{text}");
    assert_eq!(messages[properties].body()[1]["ErrorMessage"]["data"], text);
    assert!(properties < completed);
    assert!(
        !messages
            .iter()
            .any(|message| message.is_signal("ContainersChanged"))
    );
}

#[test]
fn what_changes_nothing_says_nothing() {
    let Some(_host) = alone() else { return };
    let (messages, path) = watch(&["start", common().name], "StartContainer");
    let warned = messages.iter().any(|message| {
        message.path() == path && message.is_signal("Message") && message.body()[0] == 2
    });
    assert!(warned, "no warning");
    assert!(
        !messages
            .iter()
            .any(|message| message.is_signal("ContainersChanged"))
    );
}

#[test]
fn a_late_client_still_learns_the_end() {
    let Some(host) = shared() else { return };
    let path = ALICE.launch("StartContainer", &["s", "t-nothing"]);
    assert_eq!(ALICE.finish(&path).status, "failed");
    // As late as it may be.
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(ALICE.property(&path, "Status"), "failed");
    assert!(ALICE.property(&path, "ErrorMessage").contains("t-nothing"));
    assert_eq!(ALICE.property(&path, "Target"), "t-nothing");
    assert_eq!(ALICE.property(&path, "Type"), "start");
    assert!(path.ends_with(&format!("/{}", ALICE.property(&path, "Id"))));
    // Too late to be cancelled.
    let cancel = ALICE.call_at(&path, "org.kde.kapsule.Operation.Cancel", &[]);
    assert_eq!(values(&cancel, "b")[0], false);
    let log = ALICE.call_at(&path, "org.kde.kapsule.OperationLog1.GetMessages", &[]);
    values(&log, "a(isi)");
    let gone = || {
        ALICE
            .call_at(&path, "org.kde.kapsule.Operation.Cancel", &[])
            .status
            != 0
    };
    host.wait_until("the object goes", gone);
}

#[test]
fn the_object_stays_five_seconds() {
    let Some(_host) = alone() else { return };
    let container = Container::create(ALICE, "t-removed", &[]);
    let monitor = Monitor::start();
    // A client that is stopped in the middle keeps its connection, so that there is somebody to tell.
    let client = ALICE
        .command([
            "sh",
            "-c",
            &format!(
                "kapsule restart {} & sleep 0.4; kill -STOP $!; read line; kill -CONT $!; wait $!",
                container.name
            ),
        ])
        .start();
    let begun = monitor.wait_for("Completed", |message| message.is_signal("Completed"));
    let completed = &begun[place(&begun, "Completed", |message| {
        message.is_signal("Completed")
    })];
    // It also hears the end of what was before.
    let is_it = |message: &Message| {
        message.is_signal("InterfacesRemoved") && message.body()[0] == completed.path()
    };
    let messages = monitor.wait_for("InterfacesRemoved", is_it);
    drop(client);
    let removed = &messages[place(&messages, "InterfacesRemoved", is_it)];
    assert_eq!(removed.path(), ROOT_PATH);
    assert_eq!(removed.signature(), "oas");
    assert!(
        removed.body()[1]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one == OPERATION)
    );
    let between = removed.time() - completed.time();
    assert!(between >= 4_900_000, "{between} µs");
}

#[test]
fn cancelling_leaves_nothing() {
    let Some(host) = shared() else { return };
    // At once, and a little later.
    for wait in [0, 150, 600] {
        let container = Container::planned(ALICE, "t-cancelled");
        let path = ALICE.launch("CreateContainer", &["ssa{sv}", container.name, IMAGE, "0"]);
        std::thread::sleep(std::time::Duration::from_millis(wait));
        let cancel = ALICE.call_at(&path, "org.kde.kapsule.Operation.Cancel", &[]);
        assert_eq!(values(&cancel, "b")[0], true, "after {wait} ms");
        let ended = ALICE.finish(&path);
        // Cancelled too late it is whole, but never in between.
        match ended.status.as_str() {
            "cancelled" => {
                assert!(!ended.error.is_empty());
                assert!(
                    !names(ALICE).contains(&container.name.to_owned()),
                    "after {wait} ms"
                );
                assert!(!host.state().contains(container.name), "after {wait} ms");
            }
            "completed" => assert_eq!(container.sh("id -un"), "alice"),
            other => panic!("{other} after {wait} ms: {}", ended.error),
        }
    }
}

#[test]
fn control_c_cancels() {
    let Some(_host) = shared() else { return };
    let container = Container::planned(ALICE, "t-interrupted");
    let mut client = ALICE
        .kapsule_command(["create", container.name, "--image", IMAGE])
        .tty()
        .start();
    client.wait_for("Creating container '");
    client.write([3]);
    let output = client.wait();
    assert_eq!(output.status, 130, "{output}");
    assert!(!names(ALICE).contains(&container.name.to_owned()));
}
