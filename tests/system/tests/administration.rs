// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What an administrator sees and does of other users' things, having said so.

use kapsule_system_tests::bus::{ROOT_PATH, path_in, values};
use kapsule_system_tests::container::{Container, common};
use kapsule_system_tests::host::{ALICE, BOB, ROOT, alone, shared};
use kapsule_system_tests::monitor::Monitor;

#[test]
fn root_sees_all_with_a_flag_and_its_own_without() {
    let Some(_host) = shared() else { return };
    let bobs = Container::create(BOB, "t-bobs", &[]);
    let all = ROOT.kapsule(["list", "--all-users", "--json"]).json();
    let owner_of = |name: &str| {
        let mut all = all.as_array().into_iter().flatten();
        let found = all.find(|container| container["name"] == name)?;
        Some((
            found["owner"].as_u64()?,
            found["owner_name"].as_str()?.to_owned(),
        ))
    };
    assert_eq!(
        owner_of(common().name),
        Some((1000, "alice".to_owned())),
        "{all}"
    );
    assert_eq!(owner_of(bobs.name), Some((1001, "bob".to_owned())), "{all}");
    let table = ROOT.kapsule(["list", "--all-users"]).ok();
    assert!(table.starts_with("OWNER"), "{table}");
    let own = ROOT.kapsule(["list"]).all();
    assert!(!own.contains("OWNER") && !own.contains(bobs.name), "{own}");

    let info = ROOT
        .kapsule(["info", "--owner", "bob", "--json", bobs.name])
        .json();
    assert_eq!(info["owner"], 1001);
    ROOT.kapsule(["info", bobs.name]).failed();
    ROOT.kapsule(["info", "--owner", "alice", bobs.name])
        .failed();
    let unknown = ROOT
        .kapsule(["info", "--owner", "t-nobody", bobs.name])
        .failed();
    assert!(unknown.contains("t-nobody"), "{unknown}");
}

#[test]
fn root_manages_another_users_container() {
    let Some(_host) = shared() else { return };
    let mine = Container::create(ALICE, "t-managed", &[]);
    let theirs = Container::create(BOB, "t-managed", &[]);
    for command in ["stop", "rm"] {
        // Not alice's, and none of root's own.
        ROOT.kapsule([command, "--force", theirs.name]).failed();
    }
    ROOT.kapsule(["stop", "--owner", "bob", "--force", theirs.name])
        .ok();
    assert_eq!(
        (theirs.status().as_str(), mine.status().as_str()),
        ("Stopped", "Running")
    );
    ROOT.kapsule(["start", "--owner", "1001", theirs.name]).ok();
    assert_eq!(theirs.sh("id -un"), "bob", "it is bob's as before");
    ROOT.kapsule(["restart", "--owner", "bob", "--force", theirs.name])
        .ok();
    assert_eq!(theirs.status(), "Running");
    ROOT.kapsule(["set", "--owner", "bob", theirs.name, "--no-ports"])
        .ok();
    assert_eq!(
        (
            &theirs.info()["options"]["ports"],
            &mine.info()["options"]["ports"]
        ),
        (&false.into(), &true.into())
    );
    ROOT.kapsule(["set", theirs.name, "--ports"]).failed();
    let device = |what: &str| {
        ROOT.kapsule(["device", what, "--owner", "bob", theirs.name, "1209:0001"])
            .ok();
        let devices = |it: &Container| it.info()["options"]["devices"].to_string();
        (devices(&theirs), devices(&mine))
    };
    assert_eq!(
        device("add"),
        (r#"["1209:0001"]"#.to_owned(), "[]".to_owned())
    );
    assert_eq!(device("remove"), ("[]".to_owned(), "[]".to_owned()));
    ROOT.kapsule(["rm", "--owner", "bob", theirs.name]).failed();
    ROOT.kapsule(["rm", "--owner", "bob", "--force", theirs.name])
        .ok();
    BOB.kapsule(["info", theirs.name]).failed();
    assert_eq!(mine.sh("id -un"), "alice");
}

#[test]
fn another_users_container_is_not_entered() {
    let Some(_host) = shared() else { return };
    let name = common().name;
    for user in [ROOT, BOB] {
        let output = user.kapsule(["enter", "--owner", "alice", name, "--", "id"]);
        assert_eq!(output.status, 125, "{output}");
        assert!(output.all().contains("cannot be entered"), "{output}");
        assert_eq!(output.text(), "", "{output}");
    }
}

#[test]
fn an_administrators_work_is_the_administrators() {
    let Some(_host) = alone() else { return };
    let container = Container::create(BOB, "t-watched", &[]);
    let monitor = Monitor::start();
    let started = ROOT.call_at(
        ROOT_PATH,
        "org.kde.kapsule.Admin1.Stop",
        &["ssb", "bob", container.name, "true"],
    );
    let path = path_in(&started);
    // The owner has no part in it, but for what has become of the container.
    let denied = BOB.call_at(&path, "org.kde.kapsule.Operation.Cancel", &[]);
    denied.failed();
    assert!(!BOB.call("ListOperations", &[]).ok().contains(&path));
    assert_eq!(ROOT.finish(&path).status, "completed");
    let description = ROOT.property(&path, "Description");
    assert_eq!(description, "Stop container t-watched of user 1001");
    let messages = monitor.wait_for("Completed", |it| {
        it.path() == path && it.is_signal("Completed")
    });
    for message in messages.iter().filter(|it| it.is_signal_of_service()) {
        assert!(
            !message.destination().is_empty(),
            "for everybody: {message:?}"
        );
    }
    assert_eq!(container.status(), "Stopped");
}

#[test]
fn root_sees_and_cancels_operations_of_others() {
    let Some(_host) = shared() else { return };
    let container = Container::planned(ALICE, "t-cancelled");
    let create = ["ssa{sv}", container.name, "local:debian", "0"];
    let path = ALICE.launch("CreateContainer", &create);
    let list = || ROOT.call_at(ROOT_PATH, "org.kde.kapsule.Admin1.ListOperations", &[]);
    let all = values(&list(), "a(ouss)");
    let found = all[0]
        .as_array()
        .into_iter()
        .flatten()
        .find(|it| it[0] == path.as_str());
    // It may be over already; what is seen of it has to be right.
    if let Some(found) = found {
        assert_eq!(found[1], 1000, "{all}");
        assert_eq!(found[2], "Create container t-cancelled", "{all}");
    }
    // Not among root's own.
    assert!(!ROOT.call("ListOperations", &[]).ok().contains(&path));
    let cancel = ["o", path.as_str()];
    let method = "org.kde.kapsule.Admin1.CancelOperation";
    BOB.call_at(ROOT_PATH, method, &cancel).failed();
    let cancelled = ROOT.call_at(ROOT_PATH, method, &cancel).status == 0;
    let status = ALICE.finish(&path).status;
    assert!(
        status == "cancelled" || (!cancelled && status == "completed"),
        "{status}"
    );
    let gone = ROOT.call_at(ROOT_PATH, method, &["o", "/org/kde/kapsule/operations/0"]);
    gone.failed();
}
