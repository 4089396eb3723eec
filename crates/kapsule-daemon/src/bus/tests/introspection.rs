// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What the installed interface files say is what the daemon offers.

use std::collections::BTreeSet;

use kapsule_dbus::manager::ManagerProxy;
use zbus::fdo::IntrospectableProxy;

use super::testbus::TestBus;

/// The members of one interface, a line each. Comments, and annotations that only Qt's code
/// generator reads, are left out.
fn members(xml: &str, interface: &str) -> BTreeSet<String> {
    let mut text = String::new();
    let mut rest = xml;
    while let Some((before, after)) = rest.split_once("<!--") {
        text.push_str(before);
        rest = after.split_once("-->").expect("a comment ends").1;
    }
    text.push_str(rest);

    let begin = format!("<interface name=\"{interface}\">");
    let (_, body) = text
        .split_once(&begin)
        .unwrap_or_else(|| panic!("no {interface} in {xml}"));
    let (body, _) = body.split_once("</interface>").unwrap();
    let mut members = BTreeSet::new();
    let mut member = String::new();
    for tag in body.split('<').skip(1) {
        let tag = tag.split_once('>').unwrap().0.trim_end_matches('/').trim();
        let closes_or_opens_member = ["method", "signal", "property", "/"];
        if tag.contains("org.qtproject.QtDBus") {
            continue;
        }
        if closes_or_opens_member
            .iter()
            .any(|word| tag.starts_with(word))
            && !member.is_empty()
        {
            members.insert(std::mem::take(&mut member));
        }
        if !tag.starts_with('/') {
            let (element, attributes) = tag.split_once(' ').unwrap();
            let mut attributes: Vec<&str> = attributes.split_whitespace().collect();
            attributes.sort_unstable();
            member.push_str(&format!("{element} {} ", attributes.join(" ")));
        }
    }
    if !member.is_empty() {
        members.insert(member);
    }
    members
}

#[test]
fn differences_would_be_found() {
    let xml = |argument: &str| {
        format!(
            "<interface name=\"a.b\"><!-- <method> --><method name=\"M\">{argument}</method><signal name=\"S\"/></interface>"
        )
    };
    let one = members(&xml("<arg name=\"x\" type=\"s\" direction=\"in\"/>"), "a.b");
    assert_eq!(one.len(), 2, "{one:?}");
    assert_eq!(
        one,
        members(
            &xml("<arg direction=\"in\" type=\"s\" name=\"x\" />"),
            "a.b"
        )
    );
    assert_ne!(
        one,
        members(&xml("<arg name=\"x\" type=\"u\" direction=\"in\"/>"), "a.b")
    );
    assert_ne!(one, members(&xml(""), "a.b"));
}

#[tokio::test]
async fn the_installed_files_are_right() {
    let Some(bus) = TestBus::start().await else {
        return;
    };
    let client = bus.connect(0).await;
    let manager = ManagerProxy::new(&client).await.unwrap();
    let operation = manager.start_container("dev").await.unwrap();
    let root = kapsule_dbus::ROOT_PATH;
    for (path, interface, installed) in [
        (
            root,
            "org.kde.kapsule.Manager",
            include_str!("../../../../../data/interfaces/org.kde.kapsule.xml"),
        ),
        (
            root,
            "org.kde.kapsule.Containers1",
            include_str!("../../../../../data/interfaces/org.kde.kapsule.Containers1.xml"),
        ),
        (
            root,
            "org.kde.kapsule.Admin1",
            include_str!("../../../../../data/interfaces/org.kde.kapsule.Admin1.xml"),
        ),
        (
            root,
            "org.kde.kapsule.Images1",
            include_str!("../../../../../data/interfaces/org.kde.kapsule.Images1.xml"),
        ),
        (
            operation.as_str(),
            "org.kde.kapsule.Operation",
            include_str!("../../../../../data/interfaces/org.kde.kapsule.Operation.xml"),
        ),
        (
            operation.as_str(),
            "org.kde.kapsule.OperationLog1",
            include_str!("../../../../../data/interfaces/org.kde.kapsule.OperationLog1.xml"),
        ),
    ] {
        let proxy = IntrospectableProxy::builder(&client)
            .destination(kapsule_dbus::BUS_NAME)
            .path(path)
            .build()
            .await
            .unwrap();
        let live = proxy.introspect().await.unwrap();
        assert_eq!(
            members(&live, interface),
            members(installed, interface),
            "{interface}"
        );
    }
}
