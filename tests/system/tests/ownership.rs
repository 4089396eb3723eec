// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What users see of each other: nothing.

use kapsule_system_tests::bus::{CONTAINERS, ROOT_PATH};
use kapsule_system_tests::container::{Container, common, names};
use kapsule_system_tests::host::{ALICE, BOB, ROOT, shared};

#[test]
fn the_other_users_containers_are_not_there() {
    let Some(_host) = shared() else { return };
    let name = common().name;
    assert!(!names(BOB).contains(&name.to_owned()));
    assert!(!BOB.kapsule(["list"]).all().contains(name));
    for command in ["info", "start", "stop", "restart", "rm"] {
        let output = BOB.kapsule([command, name]);
        // The very words that a name gets which nobody has: not even its existence is told.
        let nothing = BOB.kapsule([command, "t-nobody"]).failed();
        assert_eq!(output.failed().replace(name, "t-nobody"), nothing);
    }
    for command in ["stop", "rm"] {
        BOB.kapsule([command, "--force", name]).failed();
    }
    assert_eq!(BOB.enter(name, ["id"]).status, 125);
    assert_eq!(common().status(), "Running");
    assert_eq!(common().sh("id -un"), "alice");
}

#[test]
fn nor_over_the_bus() {
    let Some(_host) = shared() else { return };
    let name = common().name;
    let list = BOB.answer("ListContainers", &[], "a(sssss)");
    assert!(!list.to_string().contains(name), "{list}");
    assert_eq!(
        BOB.error_name("org.kde.kapsule.Manager.GetContainerInfo", &[name]),
        "org.kde.kapsule.Error.NotFound"
    );
    for (method, args) in [("GetInfo", &[name][..]), ("OpenSession", &[name, "false"])] {
        assert_eq!(
            BOB.error_name(&format!("{CONTAINERS}.{method}"), args),
            "org.kde.kapsule.Error.NotFound"
        );
    }
    let prepared = BOB.answer("PrepareEnter", &["sass", name, "0", ""], "(bsas)");
    assert_eq!(prepared[0][0], false, "{prepared}");
    for uid in ["1000", "1001"] {
        assert_eq!(BOB.answer("IsUserSetup", &["su", name, uid], "b")[0], false);
    }
    for (member, args) in [
        ("StartContainer", &["s", name][..]),
        ("StopContainer", &["sb", name, "true"]),
        ("DeleteContainer", &["sb", name, "true"]),
        (
            "SetupUser",
            &["suuss", name, "1001", "1001", "bob", "/home/bob"],
        ),
    ] {
        let ended = BOB.operate(member, args);
        assert_eq!(ended.status, "failed", "{member}");
        assert!(
            ended.error.contains(name) && !ended.error.contains("alice"),
            "{member}: {}",
            ended.error
        );
    }
    // Bob acts in alice's name.
    for args in [
        [name, "1000", "1000", "alice", "/home/alice"],
        [name, "1001", "1001", "bob", "/home/alice"],
        [name, "0", "0", "root", "/root"],
    ] {
        let output = BOB.call("SetupUser", &[&["suuss"][..], &args].concat());
        assert!(output.failed().contains("identity"), "{output}");
    }
    assert_eq!(common().status(), "Running");
}

#[test]
fn operations_are_their_owners() {
    let Some(_host) = shared() else { return };
    let container = Container::planned(ALICE, "t-watched");
    let create = ["ssa{sv}", container.name, "local:debian", "0"];
    let path = ALICE.launch("CreateContainer", &create);
    for property in ["Target", "Status", "Description", "ErrorMessage"] {
        let get = [
            "busctl",
            "--system",
            "get-property",
            "org.kde.kapsule",
            &path,
            "org.kde.kapsule.Operation",
            property,
        ];
        let output = BOB.run(get);
        assert!(!output.failed().contains(container.name), "{output}");
    }
    let all = [
        "busctl",
        "--system",
        "call",
        "org.kde.kapsule",
        &path,
        "org.freedesktop.DBus.Properties",
        "GetAll",
        "s",
        "org.kde.kapsule.Operation",
    ];
    assert!(
        !BOB.run(all).all().contains(container.name),
        "GetAll tells bob"
    );
    BOB.call_at(&path, "org.kde.kapsule.Operation.Cancel", &[])
        .failed();
    BOB.call_at(&path, "org.kde.kapsule.OperationLog1.GetMessages", &[])
        .failed();
    assert!(!BOB.call("ListOperations", &[]).ok().contains(&path));
    let managed = BOB
        .call_at(
            ROOT_PATH,
            "org.freedesktop.DBus.ObjectManager.GetManagedObjects",
            &[],
        )
        .ok();
    assert!(
        !managed.contains(&path) && !managed.contains(container.name),
        "{managed}"
    );
    let introspected = BOB
        .run(["busctl", "--system", "introspect", "org.kde.kapsule", &path])
        .all();
    assert!(!introspected.contains(container.name), "{introspected}");
    // Bob's try to cancel had no effect.
    assert_eq!(ALICE.finish(&path).status, "completed");
}

#[test]
fn both_may_use_the_same_name() {
    let Some(_host) = shared() else { return };
    let mine = Container::create(ALICE, "t-same", &[]);
    let theirs = Container::create(BOB, "t-same", &[]);
    assert_eq!(
        mine.sh("id -un; echo mine | sudo tee /var/tmp/whose"),
        "alice\nmine"
    );
    assert_eq!(
        theirs.sh("id -un; id -u; sudo id -u; echo $HOME; test -e /var/tmp/whose || echo none"),
        "bob\n1001\n0\n/home/bob\nnone"
    );
    BOB.kapsule(["rm", "--force", theirs.name]).ok();
    assert_eq!(mine.sh("cat /var/tmp/whose"), "mine");

    // Different bridges, and no way from one to the other.
    let config = mine.incus_config();
    assert_eq!(
        config["expanded_devices"]["eth0"]["network"], "kap1000",
        "{config}"
    );
}

#[test]
fn a_container_is_no_way_to_the_other_users_files() {
    let Some(_host) = shared() else { return };
    ALICE
        .sh("mkdir -p ~/t-private && chmod 700 ~/t-private && echo secret > ~/t-private/file")
        .ok();
    let theirs = Container::create(BOB, "t-spy", &[]);
    for script in [
        "cat /.kapsule/host/home/alice/t-private/file",
        "sudo cat /.kapsule/host/home/alice/t-private/file",
        "sudo ls /home/alice/t-private",
        "sudo useradd -o -u 1000 -m -d /tmp/a t && sudo -u '#1000' cat /.kapsule/host/home/alice/t-private/file",
        "sudo cat /.kapsule/host/var/lib/kapsule/containers/1000/t-common/spec.json",
        "sudo ls /.kapsule/host/run/user/1000",
    ] {
        BOB.enter(theirs.name, ["sh", "-c", script]).failed();
    }
    ALICE.sh("rm -r ~/t-private").ok();
}

#[test]
fn sockets_are_closed_to_others() {
    let Some(_host) = shared() else { return };
    let agent = format!(
        "/var/lib/kapsule/containers/1000/{}/agent.sock",
        common().name
    );
    ROOT.run(["test", "-S", &agent]).ok();
    let connect = |path: &str, kind: &str| {
        format!(
            "perl -MSocket -e 'socket(S, AF_UNIX, {kind}, 0) or exit 9; connect(S, pack_sockaddr_un(\"{path}\")) or do {{ print $!; exit 3 }}; exit 0'"
        )
    };
    let tried = BOB.sh(&connect(&agent, "SOCK_SEQPACKET"));
    assert_eq!(tried.ended(3), "Permission denied", "{tried}");
    BOB.run(["ls", "/var/lib/kapsule/containers/1000"]).failed();
    BOB.run(["ls", "/var/lib/kapsule/containers"]).failed();
    // Incus: whoever may talk to it is root on the host.
    for user in [ALICE, BOB] {
        for socket in [
            "/var/lib/incus/unix.socket",
            "/var/lib/incus/unix.socket.user",
        ] {
            let tried = user.sh(&connect(socket, "SOCK_STREAM"));
            assert_eq!(tried.status, 3, "{socket}: {tried}");
        }
        user.run(["incus", "list"]).failed();
        let groups = user.run(["id", "-nG"]).ok();
        assert!(!groups.contains("incus"), "{groups}");
    }
}

#[test]
fn root_manages_its_own() {
    let Some(_host) = shared() else { return };
    assert!(!names(ROOT).contains(&common().name.to_owned()));
}
