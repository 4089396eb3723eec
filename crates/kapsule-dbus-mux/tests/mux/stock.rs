// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The same answers through the multiplexer as from a bus, to sd-bus, libdbus and GDBus.

use std::process::Command;

use zbus::interface;

use crate::buses::{Buses, block_on};

struct Numbers;

#[interface(name = "org.example.Numbers")]
impl Numbers {
    fn add(&self, one: u32, other: u32) -> u32 {
        one + other
    }
}

/// Runs `test` while a service is on both buses, in a thread of its own.
fn with_services(buses: &Buses, test: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        block_on(async {
            let mut connections = Vec::new();
            for (bus, name) in [
                ("host", "org.example.Host"),
                ("container", "org.example.Inside"),
            ] {
                let connection = buses.connect(bus).await;
                let server = connection.object_server();
                server.at("/numbers", Numbers).await.unwrap();
                connection.request_name(name).await.unwrap();
                connections.push(connection);
            }
            let running = scope.spawn(test);
            while !running.is_finished() {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            running.join().unwrap();
        });
    });
}

fn is_there(program: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok();
    if !there {
        eprintln!("skipped {program}: it is not installed");
    }
    there
}

#[test]
fn busctl() {
    if !is_there("busctl") {
        return;
    }
    let buses = Buses::start();
    with_services(&buses, || {
        for name in ["org.example.Host", "org.example.Inside"] {
            let sum = [
                "call",
                name,
                "/numbers",
                "org.example.Numbers",
                "Add",
                "uu",
                "40",
                "2",
            ];
            assert_eq!(buses.busctl(&sum), "u 42\n", "{name}");
            let shown = buses.busctl(&["introspect", name, "/numbers"]);
            assert!(shown.contains(".Add"), "{name}: {shown}");
            let status = buses.busctl(&["status", name]);
            assert!(
                status.contains(&format!("PID={}", std::process::id())),
                "{name}: {status}"
            );
        }
        let listed = buses.busctl(&["list", "--no-legend"]);
        assert!(listed.contains("org.example.Host") && listed.contains("org.example.Inside"));
    });
}

/// The answer to `Hello` comes first, always: sd-bus gives up otherwise.
#[test]
fn many_short_connections() {
    if !is_there("busctl") {
        return;
    }
    let buses = Buses::start();
    with_services(&buses, || {
        let buses = &buses;
        std::thread::scope(|scope| {
            for name in ["org.example.Host", "org.example.Inside"] {
                scope.spawn(move || {
                    for turn in 0..100 {
                        let sum = [
                            "call",
                            name,
                            "/numbers",
                            "org.example.Numbers",
                            "Add",
                            "uu",
                            "1",
                            "2",
                        ];
                        let output = buses.run("busctl", &sum);
                        let errors = String::from_utf8_lossy(&output.stderr);
                        assert_eq!(output.stdout, b"u 3\n", "{name} {turn}: {errors}");
                    }
                });
            }
        });
    });
}

#[test]
fn dbus_send() {
    if !is_there("dbus-send") {
        return;
    }
    let buses = Buses::start();
    with_services(&buses, || {
        for name in ["org.example.Host", "org.example.Inside"] {
            let destination = format!("--dest={name}");
            let call = [
                "--session",
                "--print-reply=literal",
                &destination,
                "/numbers",
                "org.example.Numbers.Add",
                "uint32:20",
                "uint32:22",
            ];
            let output = buses.run("dbus-send", &call);
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert_eq!(said.trim(), "uint32 42", "{name}");
        }
    });
}

#[test]
fn gdbus() {
    if !is_there("gdbus") {
        return;
    }
    let buses = Buses::start();
    with_services(&buses, || {
        for name in ["org.example.Host", "org.example.Inside"] {
            let call = [
                "call",
                "--session",
                "--dest",
                name,
                "--object-path",
                "/numbers",
                "--method",
                "org.example.Numbers.Add",
                "40",
                "2",
            ];
            let output = buses.run("gdbus", &call);
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.stdout, b"(uint32 42,)\n", "{name}: {errors}");
            let wait = ["wait", "--session", "--timeout", "10", name];
            assert!(buses.run("gdbus", &wait).status.success(), "{name}");
        }
    });
}
