// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What listens inside is on the host's localhost, as long as it listens.

use kapsule_system_tests::container::{Container, provided};
use kapsule_system_tests::host::{ALICE, BOB, Host, ROOT, alone, shared};
use kapsule_system_tests::process::Session;
use serde_json::{Value, json};

/// Runs a web server inside, as the owner: BusyBox' httpd, with the container's name as its only page.
fn serve(container: &Container, unit: &str, address: &str) {
    container.sh(&format!(
        "mkdir -p ~/t-web-{name} && hostname > ~/t-web-{name}/index.html &&
         systemd-run --user --quiet --collect --unit={unit} busybox httpd -f -p '{address}' -h ~/t-web-{name}",
        name = container.name
    ));
}

fn stop(container: &Container, unit: &str) {
    container.sh(&format!("systemctl --user stop {unit}"));
}

/// What a user of the host finds at an address.
fn fetched(user: Session, address: &str) -> String {
    let got = user.run([
        "curl",
        "--silent",
        "--max-time",
        "20",
        &format!("http://{address}/"),
    ]);
    match got.status {
        0 => got.ok(),
        // Nothing listens there, or what did has just gone.
        _ => String::new(),
    }
}

fn wait_for(host: &Host, address: &str, page: &str) {
    let what = format!("{page:?} at {address}");
    host.wait_until(&what, || fetched(ALICE, address) == page);
}

/// What is told about a container's ports.
fn told(container: &Container) -> Value {
    container.info()["localhost"].clone()
}

#[test]
fn a_port_is_there_while_something_listens() {
    let Some(host) = shared() else { return };
    let container = Container::create(ALICE, "t-ports", &["--no-mount-home"]);
    for (unit, address) in [
        ("t-v4", "127.0.0.1:18081"),
        ("t-all4", "0.0.0.0:18082"),
        ("t-v6", "[::1]:18083"),
        ("t-all6", "[::]:18084"),
    ] {
        let port = &address[address.len() - 5..];
        serve(&container, unit, address);
        for from in ["127.0.0.1", "[::1]", "localhost"] {
            wait_for(&host, &format!("{from}:{port}"), "t-ports");
        }
        stop(&container, unit);
        host.wait_until("it goes", || {
            fetched(ALICE, &format!("localhost:{port}")).is_empty()
        });
    }
    // Of another user inside, and one that is not for everybody.
    container.sh(
        "echo root > /tmp/index.html; for port in 18085 80; do
             sudo systemd-run --quiet --collect --unit=t-root-$port busybox httpd -f -p $port -h /tmp
         done",
    );
    wait_for(&host, "localhost:18085", "root");
    assert_eq!(
        told(&container),
        json!({"offered": [18085], "left_out": [{"port": 80, "reason": "low"}], "more": 0})
    );
    let text = ALICE.kapsule(["info", container.name]).ok();
    assert!(
        text.contains("18085 on localhost, not 80 (below 1024)"),
        "{text}"
    );
    // Nothing but the loopback has it.
    let listening = ROOT
        .sh("ss -Htln 'sport = :18085' | awk '{print $4}' | sort")
        .ok();
    assert_eq!(listening, "127.0.0.1:18085\n[::1]:18085");
    // The host's localhost is one for all its users.
    assert_eq!(fetched(BOB, "localhost:18085"), "root");
}

#[test]
fn much_goes_through_and_nothing_is_lost() {
    let Some(host) = shared() else { return };
    let container = Container::create(ALICE, "t-ports-much", &["--no-mount-home"]);
    serve(&container, "t-much", "127.0.0.1:18101");
    wait_for(&host, "localhost:18101", container.name);
    let inside = container
        .sh("cd ~/t-web-t-ports-much && head -c 100000000 /dev/urandom > much && sha256sum < much");
    let sum = || {
        ALICE
            .sh("curl --silent --fail http://localhost:18101/much | sha256sum")
            .ok()
    };
    assert_eq!(sum(), inside);
    // Many at once, more than there are places.
    let many = "for n in $(seq 400); do curl --silent --fail --max-time 100 http://localhost:18101/ & done | sort | uniq -c; wait";
    assert_eq!(ALICE.sh(many).ok().trim(), "400 t-ports-much");
    assert_eq!(sum(), inside);
}

#[test]
fn first_come_first_served() {
    let Some(host) = shared() else { return };
    let first = Container::create(ALICE, "t-ports-first", &["--no-mount-home"]);
    let second = Container::create(ALICE, "t-ports-second", &["--no-mount-home"]);
    serve(&first, "t-web", "127.0.0.1:18111");
    wait_for(&host, "localhost:18111", first.name);
    serve(&second, "t-web", "127.0.0.1:18111");
    let taken = json!([{"port": 18111, "reason": "container", "container": "t-ports-first"}]);
    host.wait_until("the second is told", || told(&second)["left_out"] == taken);
    assert_eq!(fetched(ALICE, "localhost:18111"), first.name);
    ALICE.kapsule(["stop", "--force", first.name]).ok();
    wait_for(&host, "localhost:18111", second.name);

    // The host's own programs are served first, too.
    let unit = "--unit=t-ports-host";
    ROOT.run([
        "systemd-run",
        unit,
        "systemd-socket-activate",
        "--listen=127.0.0.1:18112",
        "--accept",
        "cat",
    ])
    .ok();
    host.wait_until("the host listens", || {
        !ROOT.sh("ss -Htln 'sport = :18112'").ok().is_empty()
    });
    serve(&second, "t-other", "127.0.0.1:18112");
    let taken = json!([{"port": 18112, "reason": "host"}]);
    host.wait_until("it is told", || told(&second)["left_out"] == taken);
    ROOT.run(["systemctl", "stop", "t-ports-host.service"]).ok();
    wait_for(&host, "localhost:18112", second.name);
}

#[test]
fn only_where_it_is_wanted() {
    let Some(host) = shared() else { return };
    let off = Container::create(ALICE, "t-ports-off", &["--no-mount-home", "--no-ports"]);
    let sealed = Container::create(ALICE, "t-ports-sealed", &["--isolation", "sealed"]);
    let on = Container::create(ALICE, "t-ports-on", &["--no-mount-home"]);
    serve(&off, "t-web", "127.0.0.1:18121");
    serve(&sealed, "t-web", "127.0.0.1:18122");
    serve(&on, "t-web", "127.0.0.1:18123");
    wait_for(&host, "localhost:18123", on.name);
    // What came before that would be there by now.
    for port in [18121, 18122] {
        assert_eq!(fetched(ALICE, &format!("localhost:{port}")), "");
    }
    // Changed at once, both ways.
    ALICE.kapsule(["set", off.name, "--ports"]).ok();
    wait_for(&host, "localhost:18121", off.name);
    ALICE.kapsule(["set", off.name, "--no-ports"]).ok();
    host.wait_until("it goes", || fetched(ALICE, "localhost:18121").is_empty());
    for level in ["sealed", "privileged"] {
        let refused = ALICE.kapsule(["create", "t-ports-no", "--isolation", level, "--ports"]);
        let text = refused.failed();
        assert!(text.contains("'ports' cannot be used"), "{level}: {text}");
    }
}

#[test]
fn another_users_are_theirs() {
    let Some(host) = shared() else { return };
    let hers = Container::create(ALICE, "t-ports-own", &["--no-mount-home"]);
    let his = Container::create(BOB, "t-ports-own", &["--no-mount-home"]);
    serve(&hers, "t-web", "127.0.0.1:18131");
    serve(&his, "t-web", "127.0.0.1:18132");
    wait_for(&host, "localhost:18131", hers.name);
    wait_for(&host, "localhost:18132", his.name);
    assert_eq!(told(&hers)["offered"], json!([18131]));
    assert_eq!(told(&his)["offered"], json!([18132]));
    let owner = |port: u16| {
        let found = format!("ss -Htlne 'sport = :{port}' | grep -o 'uid:[0-9]*' | sort -u");
        ROOT.sh(&found).ok()
    };
    assert_eq!(
        (owner(18131), owner(18132)),
        ("uid:1000".into(), "uid:1001".into())
    );
}

/// Each part may go and come back.
#[test]
fn restarts_of_all_that_takes_part() {
    let Some(host) = alone() else { return };
    let small = provided("busybox");
    let container = Container::create(ALICE, "t-ports-again", &["--no-mount-home"]);
    let without_systemd = Container::create(
        ALICE,
        "t-ports-small",
        &["--no-mount-home", "--image", &small],
    );
    let serve_both = || {
        serve(&container, "t-web", "127.0.0.1:18141");
        without_systemd.sh("mkdir -p /tmp/web; hostname > /tmp/web/index.html; httpd -p 127.0.0.1:18142 -h /tmp/web");
    };
    let both = |after: &str| {
        host.wait_until(after, || {
            fetched(ALICE, "localhost:18141") == container.name
                && fetched(ALICE, "[::1]:18142") == without_systemd.name
        });
    };
    serve_both();
    both("the start");
    // A download that has begun goes on without the daemon.
    ROOT.sh("systemctl kill --signal=KILL kapsule-daemon.service")
        .ok();
    assert_eq!(fetched(ALICE, "localhost:18141"), container.name);
    both("a restart of the daemon");
    ALICE
        .sh("systemctl --user kill --signal=KILL kapsule-ports.service")
        .ok();
    both("a restart of the helper");
    for name in [container.name, without_systemd.name] {
        ALICE.kapsule(["restart", "--force", name]).ok();
        host.wait_until("its port goes with it", || {
            let port = if name == container.name {
                "18141"
            } else {
                "18142"
            };
            fetched(ALICE, &format!("localhost:{port}")).is_empty()
        });
    }
    serve_both();
    both("a restart of the containers");
    // Nobody tells the daemon of it.
    ROOT.run([
        "incus",
        "--project",
        "kapsule-1000",
        "restart",
        "--force",
        container.name,
        without_systemd.name,
    ])
    .ok();
    serve_both();
    both("a restart behind the daemon's back");
    ROOT.run(["systemctl", "restart", "user@1000.service"]).ok();
    both("a login");
}
