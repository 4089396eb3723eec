// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What a user can do to the service who wants it to serve nobody else.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::message::{Call, Kind};
use super::value::Value;
use crate::bus::{CONTAINERS, MANAGER, ROOT_PATH, SERVICE};

/// How long one may have to wait for the bus to take a message: a flood fills all buffers.
const PATIENCE: Duration = Duration::from_secs(2);

/// A call of the root object.
pub fn call(interface: &str, member: &str, arguments: Vec<Value>) -> Call {
    Call {
        destination: SERVICE.to_owned(),
        path: ROOT_PATH.to_owned(),
        interface: interface.to_owned(),
        member: member.to_owned(),
        arguments,
        no_reply: false,
    }
}

/// Calls that take all the service's parts, in turn.
fn any(number: usize) -> Call {
    let name = || Value::from("t-nothing");
    let manager = |member, arguments| call(MANAGER, member, arguments);
    match number % 12 {
        0 => manager("ListContainers", vec![]),
        1 => manager("ListImages", vec![]),
        2 => manager("GetConfig", vec![]),
        3 => call(CONTAINERS, "GetInfo", vec![name()]),
        4 => call(CONTAINERS, "OpenSession", vec![name(), false.into()]),
        5 => manager("StartContainer", vec![name()]),
        6 => manager("ListOperations", vec![]),
        7 => manager("GetCreateSchema", vec![]),
        8 => manager("DeleteContainer", vec![name(), true.into()]),
        9 => manager("RefreshImages", vec![name()]),
        10 => call(
            "org.freedesktop.DBus.ObjectManager",
            "GetManagedObjects",
            vec![],
        ),
        _ => call("org.freedesktop.DBus.Introspectable", "Introspect", vec![]),
    }
}

/// Calls everything on many connections as fast as it goes and reads no answer. Returns the number of
/// calls that the bus took.
///
/// # Errors
/// When not a single connection comes about.
pub fn flood(connections: usize, time: Duration, no_reply: bool) -> io::Result<usize> {
    each(connections, move |mut bus, number| {
        let end = Instant::now() + time;
        let mut sent = 0;
        while Instant::now() < end {
            let mut call = any(number + sent);
            call.no_reply = no_reply;
            if bus.send(&call).is_err() {
                // The bus takes nothing more from a connection that reads nothing, or has ended it.
                match open() {
                    Ok(new) => bus = new,
                    Err(_) => std::thread::sleep(Duration::from_millis(50)),
                }
            } else {
                sent += 1;
            }
        }
        sent
    })
}

/// Sends calls with arguments of this many bytes. Returns the number that the bus took.
///
/// # Errors
/// As [`flood`].
pub fn big(bytes: usize, connections: usize, time: Duration) -> io::Result<usize> {
    // Texts, each in a variant: what costs most to be read.
    let entry = |number: usize| {
        let value = Value::Variant(Box::new(Value::from("0123456789")));
        Value::Entry(
            Box::new(Value::from(number.to_string().as_str())),
            Box::new(value),
        )
    };
    let entries = (0..bytes / 40).map(entry).collect();
    let options = Value::Array("{sv}".to_owned(), entries);
    each(connections, move |mut bus, number| {
        let end = Instant::now() + time;
        let mut sent = 0;
        let calls = [
            call(
                MANAGER,
                "CreateContainer",
                vec!["t-big".into(), "local:debian".into(), options.clone()],
            ),
            call(
                MANAGER,
                "StartContainer",
                vec![Value::Text(vec![b'x'; bytes], 's')],
            ),
            call(
                MANAGER,
                "PrepareEnter",
                vec![
                    "t-big".into(),
                    Value::Array("s".to_owned(), vec!["x".into(); bytes / 6]),
                    "".into(),
                ],
            ),
        ];
        while Instant::now() < end {
            match bus.send(&calls[(number + sent) % calls.len()]) {
                Ok(_) => sent += 1,
                Err(_) => match open() {
                    Ok(new) => bus = new,
                    Err(_) => std::thread::sleep(Duration::from_millis(50)),
                },
            }
        }
        sent
    })
}

/// Opens connections until the bus has enough, calls once on each, and holds them. Returns how many.
///
/// # Errors
/// When not a single one comes about.
pub fn connections(most: usize, time: Duration) -> io::Result<usize> {
    let mut held = Vec::new();
    while held.len() < most {
        match open() {
            Ok(mut bus) => {
                let _ = bus.send(&any(held.len()));
                held.push(bus);
            }
            Err(error) if held.is_empty() => return Err(error),
            Err(_) => break,
        }
    }
    std::thread::sleep(time);
    Ok(held.len())
}

/// Makes the same call so often at once, on one connection, and tells how often each answer came.
///
/// # Errors
/// When an answer does not come.
pub fn at_once(call: &Call, count: usize) -> io::Result<BTreeMap<String, usize>> {
    // The bus lets a connection have about a hundred calls under way.
    const AT_A_TIME: usize = 100;
    let mut bus = open()?;
    let mut answers = BTreeMap::new();
    let (mut sent, mut answered) = (0, 0);
    while answered < count {
        while sent < count && sent - answered < AT_A_TIME {
            bus.send(call)?;
            sent += 1;
        }
        let answer = bus.receive(Duration::from_secs(120))?;
        let name = match answer.kind {
            Kind::Return => "ok".to_owned(),
            Kind::Error => answer.error,
            _ => continue,
        };
        answered += 1;
        *answers.entry(name).or_default() += 1;
    }
    Ok(answers)
}

/// Opens sessions and keeps the client's ends of them. Returns how often each answer came.
///
/// # Errors
/// As [`at_once`].
pub fn sessions(name: &str, count: usize, time: Duration) -> io::Result<BTreeMap<String, usize>> {
    let mut bus = open()?;
    bus.keep_descriptors();
    let mut answers = BTreeMap::new();
    for _ in 0..count {
        let answer = bus.call(
            &call(CONTAINERS, "OpenSession", vec![name.into(), false.into()]),
            Duration::from_secs(120),
        )?;
        let name = match answer.kind {
            Kind::Return => "ok".to_owned(),
            _ => answer.error,
        };
        *answers.entry(name).or_default() += 1;
    }
    std::thread::sleep(time);
    Ok(answers)
}

fn open() -> io::Result<Connection> {
    let bus = Connection::open()?;
    bus.write_limit(Some(PATIENCE))?;
    Ok(bus)
}

/// Runs something on each of many connections, and adds up.
fn each(
    connections: usize,
    run: impl Fn(Connection, usize) -> usize + Send + Clone + 'static,
) -> io::Result<usize> {
    let mut threads = Vec::new();
    for number in 0..connections {
        let bus = match open() {
            Ok(bus) => bus,
            Err(error) if number == 0 => return Err(error),
            Err(_) => break,
        };
        let run = run.clone();
        threads.push(std::thread::spawn(move || run(bus, number)));
    }
    Ok(threads
        .into_iter()
        .map(|thread| thread.join().unwrap_or(0))
        .sum())
}
