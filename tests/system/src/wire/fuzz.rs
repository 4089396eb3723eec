// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Random calls of everything that introspection shows, on every object path.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::introspection::{Method, Object};
use super::message::{Call, Kind};
use super::random::Values;
use crate::bus::{ROOT_PATH, SERVICE};

/// An answer that takes longer does not come any more. Opening a session of a container that boots
/// may take half a minute.
const HANG: Duration = Duration::from_secs(90);

/// How many connections call at the same time.
const CALLERS: u64 = 4;

/// What came of it: how often each answer was given.
pub type Tally = BTreeMap<String, u64>;

/// Calls for this long. The same seed makes the same calls, although what they meet may differ.
///
/// # Errors
/// When a call is not answered, or the service has died or says that it is at fault.
pub fn run(seed: u64, time: Duration) -> io::Result<Tally> {
    let end = Instant::now() + time;
    let callers: Vec<_> = (0..CALLERS)
        .map(|number| std::thread::spawn(move || one(seed.wrapping_add(number), end)))
        .collect();
    let mut all = Tally::new();
    for caller in callers {
        let tally = caller
            .join()
            .map_err(|_| io::Error::other("the fuzzer itself panicked"))??;
        for (what, count) in tally {
            *all.entry(what).or_default() += count;
        }
    }
    Ok(all)
}

fn one(seed: u64, end: Instant) -> io::Result<Tally> {
    let mut values = Values::new(seed);
    let mut bus = Connection::open()?;
    let mut tally = Tally::new();
    let objects = objects(&mut bus)?;
    let methods: Vec<Method> = objects
        .iter()
        .flat_map(|(_, object)| object.methods.iter().cloned())
        .collect();
    let mut paths: Vec<String> = objects.into_iter().map(|(path, _)| path).collect();
    // Operations come and go, others' among them.
    paths.extend((1..200).map(|number| format!("{ROOT_PATH}/operations/{number}")));
    paths.push("/nowhere".to_owned());
    while Instant::now() < end {
        let Some(method) = values.random.pick(&methods).cloned() else {
            return Err(io::Error::other("introspection shows no method"));
        };
        let mut path = ROOT_PATH.to_owned();
        if method.interface.contains("Operation") || values.random.one_in(10) {
            path = values.random.pick(&paths).cloned().unwrap_or(path);
        }
        let call = Call {
            destination: SERVICE.to_owned(),
            path,
            interface: match values.random.one_in(50) {
                true => String::new(),
                false => method.interface,
            },
            member: method.name,
            arguments: values.arguments(&method.arguments),
            no_reply: values.random.one_in(50),
        };
        *tally.entry(answer(&mut bus, &call)?).or_default() += 1;
    }
    Ok(tally)
}

/// Makes a call and gives the name of what was answered.
fn answer(bus: &mut Connection, call: &Call) -> io::Result<String> {
    if call.no_reply {
        return Ok(match bus.send(call) {
            Ok(_) => "(not asked for)".to_owned(),
            Err(_) => reconnect(bus)?,
        });
    }
    match bus.call(call, HANG) {
        Ok(answer) if answer.kind == Kind::Return => Ok("(a result)".to_owned()),
        Ok(answer) => {
            let dead = [
                "NoReply",
                "ServiceUnknown",
                "NameHasNoOwner",
                "Spawn",
                "TimedOut",
            ];
            if dead.iter().any(|name| answer.error.contains(name))
                || answer.text().contains("internal error")
            {
                return Err(at_fault(
                    call,
                    &format!("{}: {}", answer.error, answer.text()),
                ));
            }
            Ok(answer.error)
        }
        Err(error) if is_timeout(&error) => Err(at_fault(call, "no answer")),
        // The bus closes the connection on messages that are none.
        Err(_) => reconnect(bus),
    }
}

fn reconnect(bus: &mut Connection) -> io::Result<String> {
    *bus = Connection::open()?;
    Ok("(the bus hung up)".to_owned())
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock
    )
}

fn at_fault(call: &Call, why: &str) -> io::Error {
    let mut shown = format!("{:?}", call.arguments);
    let mut end = shown.len().min(2000);
    while !shown.is_char_boundary(end) {
        end -= 1;
    }
    shown.truncate(end);
    io::Error::other(format!(
        "{} {}.{} {shown}: {why}",
        call.path, call.interface, call.member
    ))
}

/// Every object, from the root down.
fn objects(bus: &mut Connection) -> io::Result<Vec<(String, Object)>> {
    let mut found: Vec<(String, Object)> = Vec::new();
    let mut paths = vec!["/".to_owned()];
    while let Some(path) = paths.pop() {
        let call = Call {
            destination: SERVICE.to_owned(),
            path: path.clone(),
            interface: "org.freedesktop.DBus.Introspectable".to_owned(),
            member: "Introspect".to_owned(),
            ..Call::default()
        };
        let answer = bus.call(&call, HANG)?;
        if answer.kind != Kind::Return {
            continue;
        }
        let object = Object::parse(&answer.text());
        for child in &object.children {
            paths.push(format!("{}/{child}", path.trim_end_matches('/')));
        }
        found.push((path, object));
        if found.len() > 300 {
            break;
        }
    }
    // Those of operations are there only while one is.
    for (interface, name, arguments) in [
        ("org.kde.kapsule.Operation", "Cancel", vec![]),
        ("org.kde.kapsule.OperationLog1", "GetMessages", vec![]),
        ("org.freedesktop.DBus.Properties", "Get", vec!["s", "s"]),
        ("org.freedesktop.DBus.Properties", "GetAll", vec!["s"]),
        (
            "org.freedesktop.DBus.Properties",
            "Set",
            vec!["s", "s", "v"],
        ),
    ] {
        let method = Method {
            interface: interface.to_owned(),
            name: name.to_owned(),
            arguments: arguments.into_iter().map(str::to_owned).collect(),
        };
        found.push((
            ROOT_PATH.to_owned(),
            Object {
                methods: vec![method],
                ..Object::default()
            },
        ));
    }
    Ok(found)
}
