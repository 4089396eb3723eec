// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Calls to the bus itself (`org.freedesktop.DBus`, see the D-Bus specification's "Message Bus
//! Messages"): which of the two buses answers.

use zbus::Structure;
use zbus::message::{Message, Type};

use crate::names::{DRIVER, Names, Side};

/// What becomes of a call to the bus.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// One bus answers.
    Ask(Side),
    /// The host's answer, with the container's names added.
    ListNames,
    /// The same with the names that can be started.
    ListActivatable,
    /// Both are told; the host answers.
    AddMatch(String),
    /// Both are told; the host answers.
    RemoveMatch(String),
    /// The container's bus is asked for a name, or to take it back.
    OwnInContainer,
}

/// Whether a message goes to the bus itself.
pub(crate) fn is_for_driver(message: &Message) -> bool {
    message.message_type() == Type::MethodCall
        && message
            .header()
            .destination()
            .is_some_and(|name| name.as_str() == DRIVER)
}

/// Plans a call to the bus.
pub(crate) fn plan(message: &Message, names: &Names) -> Plan {
    let header = message.header();
    if header
        .interface()
        .is_some_and(|interface| interface.as_str() != DRIVER)
    {
        return Plan::Ask(Side::Host);
    }
    let argument = || first_text(message).unwrap_or_default();
    match header.member().map_or("", |member| member.as_str()) {
        "ListNames" => Plan::ListNames,
        "ListActivatableNames" => Plan::ListActivatable,
        "AddMatch" => Plan::AddMatch(argument()),
        "RemoveMatch" => Plan::RemoveMatch(argument()),
        "RequestName" | "ReleaseName" => match names.side(&argument()) {
            Side::Host => Plan::Ask(Side::Host),
            Side::Container => Plan::OwnInContainer,
        },
        "GetAdtAuditSessionData"
        | "GetConnectionCredentials"
        | "GetConnectionSELinuxSecurityContext"
        | "GetConnectionUnixProcessID"
        | "GetConnectionUnixUser"
        | "GetNameOwner"
        | "ListQueuedOwners"
        | "NameHasOwner"
        | "StartServiceByName" => Plan::Ask(names.side(&argument())),
        // What programs of the container tell the bus about programs that it will start.
        "ReloadConfig" | "UpdateActivationEnvironment" => Plan::Ask(Side::Container),
        _ => Plan::Ask(Side::Host),
    }
}

/// Whether signals of the container's bus could fit a match rule.
pub(crate) fn could_match_container(rule: &str, names: &Names) -> bool {
    match value(rule, "sender") {
        None => true,
        Some(DRIVER) => value(rule, "arg0").is_none_or(|name| !names.is_hosts_for_good(name)),
        Some(sender) => !names.is_hosts_for_good(sender),
    }
}

/// The value of a key in a match rule. Quoted as everybody does; a rule that is quoted in another
/// way is taken for one without the key, which only costs a needless rule.
fn value<'r>(rule: &'r str, key: &str) -> Option<&'r str> {
    let begin = format!("{key}='");
    rule.split(',')
        .find_map(|part| part.trim_start().strip_prefix(&begin)?.strip_suffix('\''))
}

/// The first argument, if it is a text.
pub(crate) fn first_text(message: &Message) -> Option<String> {
    let body = message.body();
    let body: Structure<'_> = body.deserialize().ok()?;
    match body.fields().first()? {
        zbus::Variant::Str(text) => Some(text.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(member: &str, argument: &str) -> Message {
        Message::method_call("/org/freedesktop/DBus", member)
            .destination(DRIVER)
            .interface(DRIVER)
            .build(&argument)
            .unwrap()
    }

    #[test]
    fn who_has_the_name_answers() {
        let names = Names::default();
        let plan = |member: &str, argument: &str| plan(&call(member, argument), &names);
        assert_eq!(plan("GetNameOwner", "org.example.A"), Plan::Ask(Side::Host));
        assert_eq!(
            plan("GetNameOwner", "org.freedesktop.systemd1"),
            Plan::Ask(Side::Container)
        );
        assert_eq!(
            plan("GetConnectionUnixUser", ":k.1.3"),
            Plan::Ask(Side::Container)
        );
        assert_eq!(plan("RequestName", "org.example.A"), Plan::Ask(Side::Host));
        assert_eq!(
            plan("RequestName", "org.freedesktop.systemd1"),
            Plan::OwnInContainer
        );
        assert_eq!(plan("ListNames", ""), Plan::ListNames);
        assert_eq!(plan("Whatever", "x"), Plan::Ask(Side::Host));
    }

    #[test]
    fn rules_for_what_is_always_the_hosts_stay_there() {
        let names = Names::default();
        for there in [
            "type='signal'",
            "type='signal',sender='org.freedesktop.systemd1'",
            "type='signal',sender='org.example.Maybe'",
            "sender=':k.1.4'",
            "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged'",
            "sender='org.freedesktop.DBus',arg0='org.example.Maybe'",
        ] {
            assert!(could_match_container(there, &names), "{there}");
        }
        for host in [
            "type='signal',sender='org.freedesktop.Notifications'",
            "sender=':1.4'",
            "sender='org.freedesktop.DBus',arg0='org.kde.StatusNotifierWatcher'",
        ] {
            assert!(!could_match_container(host, &names), "{host}");
        }
    }
}
