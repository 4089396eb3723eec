// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The socket, and what is said over it before there are messages.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::process::Command;

use crate::buses::{Buses, HANG};

fn answer(buses: &Buses, said: &[u8]) -> String {
    let mut stream = UnixStream::connect(buses.path("mux")).unwrap();
    stream.set_read_timeout(Some(HANG)).unwrap();
    stream.write_all(said).unwrap();
    let mut answer = [0; 200];
    let length = stream.read(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[test]
fn the_user_that_a_client_claims_has_to_be_the_one_it_is() {
    let buses = Buses::start();
    let uid = rustix::process::getuid().as_raw();
    let hex = |uid: u32| -> String {
        let digits = uid.to_string();
        digits.bytes().map(|byte| format!("{byte:02x}")).collect()
    };
    let own = format!("\0AUTH EXTERNAL {}\r\n", hex(uid));
    assert!(answer(&buses, own.as_bytes()).starts_with("OK "));
    let other = format!("\0AUTH EXTERNAL {}\r\n", hex(uid + 1));
    let said = answer(&buses, other.as_bytes());
    assert!(!said.starts_with("OK"), "{said}");
    let said = answer(&buses, b"\0AUTH ANONYMOUS\r\n");
    assert!(!said.starts_with("OK"), "{said}");
    let mode = std::fs::metadata(buses.path("mux")).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
}

/// None of these disturbs the next client.
#[test]
fn clients_that_talk_nonsense_are_let_go() {
    let buses = Buses::start();
    let uid: String = rustix::process::getuid()
        .as_raw()
        .to_string()
        .bytes()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let begun = format!("\0AUTH EXTERNAL {uid}\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n");
    let nonsense: &[&[u8]] = &[
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        &[0xff; 5000],
        // A header that tells of a body of 4 GiB, and one with a wrong version.
        b"l\x01\x00\x01\xff\xff\xff\xff\x01\x00\x00\x00\x00\x00\x00\x00",
        b"l\x01\x00\x09\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00",
    ];
    for said in nonsense {
        for begin in [b"".as_slice(), begun.as_bytes()] {
            let mut stream = UnixStream::connect(buses.path("mux")).unwrap();
            let _ = stream.write_all(&[begin, said].concat());
        }
    }
    let listed = buses.busctl(&[
        "call",
        "org.freedesktop.DBus",
        "/",
        "org.freedesktop.DBus",
        "ListNames",
    ]);
    assert!(listed.contains("org.freedesktop.DBus"), "{listed}");
}

#[test]
fn it_ends_cleanly_and_replaces_only_a_dead_socket() {
    let mut buses = Buses::start();
    let second = || {
        Command::new(env!("CARGO_BIN_EXE_kapsule-dbus-mux"))
            .arg("--listen")
            .arg(buses.path("mux"))
            .args(["--container-bus", "unix:path=/nonexistent"])
            .args(["--host-bus", &buses.address("host")])
            .output()
            .unwrap()
    };
    let refused = second();
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("somebody listens there already"), "{said}");
    let id = rustix::process::Pid::from_raw(buses.mux_id().cast_signed()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    assert!(buses.wait_for_mux().success());
    assert!(!buses.path("mux").exists());
    // A file that is no socket is somebody's.
    std::fs::write(buses.path("mux"), "precious").unwrap();
    let refused = Command::new(env!("CARGO_BIN_EXE_kapsule-dbus-mux"))
        .arg("--listen")
        .arg(buses.path("mux"))
        .args(["--container-bus", "unix:path=/nonexistent"])
        .args(["--host-bus", &buses.address("host")])
        .output()
        .unwrap();
    assert!(!refused.status.success());
    assert_eq!(std::fs::read(buses.path("mux")).unwrap(), b"precious");
}
