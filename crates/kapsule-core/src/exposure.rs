// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What a container can see and do, in plain sentences made from its options: the same for the
//! command line, for D-Bus and for settings dialogs.
//!
//! A sentence has no subject; it is about the container: "cannot see the host's files".

use serde::{Deserialize, Serialize};

use crate::container::Mount;
use crate::device::UsbId;
use crate::isolation::Isolation;
use crate::options::Options;

/// What a sentence is about. The order is that in which they are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topic {
    /// The owner's home.
    Home,
    /// The host's files as a whole.
    Files,
    /// A folder of the host.
    Folder,
    /// The owner's session: display, sound, buses, agents.
    Session,
    /// What is as on the host: look, clock, language, trust.
    Settings,
    /// The network.
    Network,
    /// What listens inside.
    Ports,
    /// Graphics and other devices.
    Devices,
    /// Who the container's root is.
    Root,
    /// Containers inside the container.
    Nesting,
    /// The kernel.
    Kernel,
    /// A subject that this version does not know.
    #[serde(other)]
    Other,
}

/// One thing about a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// What it is about.
    pub topic: Topic,
    /// Whether something of the host is open to the container by it.
    pub open: bool,
    /// The sentence, without subject and full stop.
    pub text: String,
}

/// The sentences about a container with these options, which sees these folders of the host
/// beside its owner's home and the host's file system.
#[must_use]
pub fn describe(options: &Options, folders: &[Mount]) -> Vec<Fact> {
    let level = options.isolation;
    let mut facts = vec![home(options), files(options)];
    facts.extend(folders.iter().map(folder));
    facts.extend(session(options));
    facts.extend(settings(options));
    facts.push(network(level, options.network));
    facts.extend(ports(level, options.ports));
    facts.extend([devices(level, options.gpu)]);
    facts.extend(usb_devices(&options.devices));
    facts.extend([
        root(level),
        nesting(level),
        Fact {
            topic: Topic::Kernel,
            open: true,
            text: "runs on the host's kernel: a fault in that is a way out".to_owned(),
        },
    ]);
    facts
}

fn fact(topic: Topic, open: bool, text: &str) -> Fact {
    Fact {
        topic,
        open,
        text: text.to_owned(),
    }
}

fn home(options: &Options) -> Fact {
    let (open, text) = match (options.mount_home, options.host_rootfs) {
        (true, _) => (true, "can read and write your home folder"),
        (false, true) => (
            true,
            "has a home folder of its own, and finds yours among the host's files",
        ),
        (false, false) => (false, "cannot see your home folder, and has one of its own"),
    };
    fact(Topic::Home, open, text)
}

fn files(options: &Options) -> Fact {
    let text = match (options.host_rootfs, options.isolation) {
        (false, _) => "cannot see the host's files",
        (true, Isolation::Privileged) => {
            "can read and write all of the host's files, under /.kapsule/host"
        }
        (true, _) => "can read and write the host's files with your rights, under /.kapsule/host",
    };
    fact(Topic::Files, options.host_rootfs, text)
}

fn folder(mount: &Mount) -> Fact {
    let how = if mount.readonly {
        "can read"
    } else {
        "can read and write"
    };
    let place = if mount.source == mount.path {
        mount.source.clone()
    } else {
        format!("{}, as {}", mount.source, mount.path)
    };
    Fact {
        topic: Topic::Folder,
        open: true,
        text: format!("{how} {place}"),
    }
}

fn session(options: &Options) -> Vec<Fact> {
    if options.isolation == Isolation::Sealed {
        let text = "cannot reach your session: no display, sound, session bus or agents";
        return vec![fact(Topic::Session, false, text)];
    }
    let parts = [
        (
            options.display,
            "your display",
            "can show windows on your display",
        ),
        (options.sound, "your sound", "can play and record sound"),
        (
            options.gives_session_bus(),
            "your session bus",
            "can use your session bus: notifications, opening links, starting programs on the host",
        ),
        (
            options.agents,
            "your agents",
            "can use your ssh-agent and gpg-agent",
        ),
    ];
    let given = parts.iter().filter(|(on, ..)| *on);
    let mut facts: Vec<Fact> = given
        .map(|(.., text)| fact(Topic::Session, true, text))
        .collect();
    let kept: Vec<&str> = parts
        .iter()
        .filter(|(on, ..)| !on)
        .map(|(_, what, _)| *what)
        .collect();
    if !kept.is_empty() {
        // The folder of the sockets is there all the same: it is the same one for all of them.
        let text = format!(
            "is not given {}, though a program that looks for it under /.kapsule/host finds it",
            kept.join(", ")
        );
        facts.push(fact(Topic::Session, true, &text));
    }
    facts
}

/// Where they are on; a container of its own look and clock is nothing to tell about.
fn settings(options: &Options) -> Vec<Fact> {
    [
        (
            options.look && options.host_rootfs,
            "has the host's fonts, icons and themes",
        ),
        (
            options.host_settings,
            "follows the host's clock, language, proxies and trusted authorities",
        ),
    ]
    .into_iter()
    .filter(|(on, _)| *on)
    .map(|(_, text)| fact(Topic::Settings, false, text))
    .collect()
}

fn network(level: Isolation, on: bool) -> Fact {
    let text = match (level, on) {
        (Isolation::Privileged, _) => "shares the host's network, and can change it",
        (_, false) => "has no network",
        (Isolation::Standard, true) => {
            "has a network of its own, and reaches the internet, the host and what the host reaches"
        }
        (Isolation::Sealed, true) => {
            "reaches the internet, but not the host, your local network or other containers"
        }
    };
    fact(Topic::Network, on || level == Isolation::Privileged, text)
}

/// Nothing where it goes without saying.
fn ports(level: Isolation, on: bool) -> Option<Fact> {
    match (level, on) {
        (Isolation::Standard, true) => Some(fact(
            Topic::Ports,
            true,
            "can be reached by programs on this computer, at the ports of localhost that it listens on",
        )),
        (Isolation::Standard, false) => Some(fact(
            Topic::Ports,
            false,
            "cannot listen on ports of your localhost",
        )),
        (Isolation::Privileged | Isolation::Sealed, _) => None,
    }
}

fn devices(level: Isolation, gpu: bool) -> Fact {
    match (level, gpu) {
        (Isolation::Privileged, _) => fact(Topic::Devices, true, "can use the host's devices"),
        (_, true) => fact(
            Topic::Devices,
            true,
            "can use the graphics devices, where there are any",
        ),
        (_, false) => fact(
            Topic::Devices,
            false,
            "cannot use the host's graphics devices",
        ),
    }
}

fn usb_devices(devices: &[UsbId]) -> Option<Fact> {
    let kinds: Vec<String> = devices.iter().map(UsbId::to_string).collect();
    (!kinds.is_empty()).then(|| Fact {
        topic: Topic::Devices,
        open: true,
        text: format!(
            "can use USB devices of the kind {}, whenever they are plugged in",
            kinds.join(", ")
        ),
    })
}

fn root(level: Isolation) -> Fact {
    match level {
        Isolation::Privileged => fact(
            Topic::Root,
            true,
            "its root is the host's root, and can do everything to this computer",
        ),
        Isolation::Standard => fact(
            Topic::Root,
            false,
            "its root is nobody on the host, and reaches what you reach and no more",
        ),
        Isolation::Sealed => fact(
            Topic::Root,
            false,
            "its root and its users, also the one with your name, are nobody on the host",
        ),
    }
}

fn nesting(level: Isolation) -> Fact {
    match level {
        Isolation::Sealed => fact(
            Topic::Nesting,
            false,
            "is not set up to run containers of its own, such as Docker's",
        ),
        Isolation::Standard | Isolation::Privileged => {
            fact(Topic::Nesting, false, "can run Podman and Docker")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::options::resolve;

    fn facts(options: &str) -> Vec<Fact> {
        let given = serde_json::from_str(options).unwrap();
        let options = resolve(&given, &BTreeMap::new(), Isolation::Standard).unwrap();
        describe(&options, &[])
    }

    /// What is open, and all the texts in one.
    fn told(options: &str) -> (Vec<Topic>, String) {
        let facts = facts(options);
        let open = facts.iter().filter(|fact| fact.open);
        let texts: Vec<&str> = facts.iter().map(|fact| fact.text.as_str()).collect();
        (open.map(|fact| fact.topic).collect(), texts.join("\n"))
    }

    #[test]
    fn a_standard_container() {
        use Topic::{Devices, Files, Home, Kernel, Network, Ports, Session};
        let (open, text) = told("{}");
        assert_eq!(
            open,
            [
                Home, Files, Session, Session, Session, Session, Network, Ports, Devices, Kernel
            ]
        );
        for line in [
            "can read and write your home folder",
            "can read and write the host's files with your rights, under /.kapsule/host",
            "can show windows on your display",
            "can use your ssh-agent and gpg-agent",
            "has the host's fonts, icons and themes",
            "follows the host's clock, language",
            "its root is nobody on the host",
            "can run Podman and Docker",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        assert!(!text.contains("is not given"), "{text}");
        // What is not in its place is still there.
        let (open, text) = told(r#"{"mount_home":false}"#);
        assert!(open.contains(&Home), "{open:?}");
        assert!(
            text.contains("finds yours among the host's files"),
            "{text}"
        );
        let (open, text) = told(
            r#"{"mount_home":false,"host_rootfs":false,"gpu":false,"network":false,"ports":false,
                "display":false,"sound":false,"session_bus":false,"agents":false}"#,
        );
        assert_eq!(open, [Session, Kernel]);
        for line in [
            "cannot see your home folder",
            "cannot see the host's files",
            "has no network",
            "cannot use the host's graphics devices",
            "is not given your display, your sound, your session bus, your agents, though",
            "cannot listen on ports of your localhost",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }

    #[test]
    fn a_privileged_container() {
        use Topic::{Devices, Files, Home, Kernel, Network, Root, Session};
        let (open, text) = told(r#"{"isolation":"privileged","gpu":false}"#);
        assert_eq!(
            open,
            [
                Home, Files, Session, Session, Session, Session, Network, Devices, Root, Kernel
            ]
        );
        for line in [
            "shares the host's network",
            "can use the host's devices",
            "its root is the host's root",
            "can read and write all of the host's files",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }

    #[test]
    fn a_sealed_container() {
        let (open, text) = told(r#"{"isolation":"sealed"}"#);
        assert!(!text.contains("fonts") && !text.contains("clock"), "{text}");
        assert_eq!(open, [Topic::Network, Topic::Kernel]);
        for line in [
            "cannot see your home folder",
            "cannot see the host's files",
            "cannot reach your session",
            "reaches the internet, but not the host",
            "are nobody on the host",
            "is not set up to run containers of its own",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        let (open, text) = told(r#"{"isolation":"sealed","network":false,"gpu":true}"#);
        assert_eq!(open, [Topic::Devices, Topic::Kernel]);
        assert!(text.contains("has no network"), "{text}");
    }

    #[test]
    fn devices_are_named() {
        let (open, text) = told(r#"{"devices":["0403:6001","1d6b:0002"],"gpu":false}"#);
        assert!(open.contains(&Topic::Devices), "{open:?}");
        assert!(
            text.contains("of the kind 0403:6001, 1d6b:0002, whenever"),
            "{text}"
        );
    }

    #[test]
    fn folders_are_named() {
        let mount = |path: &str, readonly| Mount {
            source: "/srv".to_owned(),
            path: path.to_owned(),
            readonly,
        };
        assert_eq!(
            folder(&mount("/srv", false)).text,
            "can read and write /srv"
        );
        assert_eq!(folder(&mount("/mnt", true)).text, "can read /srv, as /mnt");
    }

    #[test]
    fn a_topic_of_a_later_version_is_no_error() {
        let fact: Fact =
            serde_json::from_str(r#"{"topic":"quantum","open":true,"text":"x"}"#).unwrap();
        assert_eq!(fact.topic, Topic::Other);
    }
}
