// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The options that there are, as data.

use super::{Choice, OptionSpec, OptionType, Section};
use crate::isolation;

const BOOLEAN: OptionSpec = OptionSpec {
    key: "",
    option_type: OptionType::Boolean,
    title: "",
    description: "",
    default_on: false,
    default_text: "",
    choices: &[],
    item_format: None,
    requires: None,
    unavailable: None,
    caller_only: false,
    changeable: false,
};

/// On unless somebody says otherwise, and changed at any time.
const SHARED: OptionSpec = OptionSpec {
    default_on: true,
    changeable: true,
    ..BOOLEAN
};

/// The format of what names a kind of USB device: a [`UsbId`](crate::device::UsbId).
pub const USB_ID: &str = "usb-id";

const LEVELS: &[Choice] = &[
    Choice {
        value: "standard",
        title: "Standard",
        description: "Shares your home, your files and your session, with no more rights than you have.",
        unavailable: None,
    },
    Choice {
        value: "sealed",
        title: "Sealed",
        description: "Sees nothing of yours and reaches only the internet: for programs that you do not trust.",
        unavailable: None,
    },
    Choice {
        value: "privileged",
        title: "Privileged",
        description: "Has the host's network and devices and can control the whole computer; an administrator has to agree.",
        unavailable: None,
    },
    Choice {
        value: "vm",
        title: "Virtual machine",
        description: "Runs a kernel of its own.",
        unavailable: Some("this version of Kapsule cannot make virtual machines yet"),
    },
];

pub(super) const SECTIONS: &[Section] = &[
    Section {
        id: "isolation",
        title: "Isolation",
        options: &[
            OptionSpec {
                key: isolation::KEY,
                option_type: OptionType::String,
                title: "Isolation",
                description: "How far the container is kept apart from the host.",
                default_text: "standard",
                choices: LEVELS,
                ..BOOLEAN
            },
            OptionSpec {
                key: "network",
                title: "Network",
                description: "Let the container reach the network.",
                default_on: true,
                ..BOOLEAN
            },
            OptionSpec {
                key: "ports",
                title: "Ports on localhost",
                description: "Let what listens on a TCP port inside be reached at the host's localhost.",
                ..SHARED
            },
        ],
    },
    Section {
        id: "session",
        title: "Desktop session",
        options: &[
            OptionSpec {
                key: "display",
                title: "Display",
                description: "Let programs show their windows on your screen (Wayland and X11).",
                ..SHARED
            },
            OptionSpec {
                key: "sound",
                title: "Sound",
                description: "Let programs play and record sound (PipeWire and PulseAudio).",
                ..SHARED
            },
            OptionSpec {
                key: "session_bus",
                title: "Session bus",
                description: "Let programs use the session bus of the host: notifications, keyrings, and opening links there.",
                ..SHARED
            },
            OptionSpec {
                key: "agents",
                title: "Key agents",
                description: "Let programs use your ssh-agent and gpg-agent.",
                ..SHARED
            },
            OptionSpec {
                key: "look",
                title: "Look",
                description: "Offer the host's fonts, icons, cursors and colour schemes to programs, where the host's files are shown.",
                ..SHARED
            },
        ],
    },
    Section {
        id: "dbus",
        title: "Session bus",
        options: &[
            OptionSpec {
                key: "session_mode",
                title: "Own session bus",
                description: "Let programs use the container's own user manager and session bus instead of the host's.",
                changeable: true,
                ..BOOLEAN
            },
            OptionSpec {
                key: "dbus_mux",
                title: "Reach host services from the own bus",
                description: "Show programs one session bus with the services of the container and of the host.",
                requires: Some("session_mode"),
                changeable: true,
                ..BOOLEAN
            },
        ],
    },
    Section {
        id: "mounts",
        title: "Files",
        options: &[
            OptionSpec {
                key: "host_rootfs",
                title: "Host files",
                description: "Show the host's file system under /.kapsule/host, with the owner's own rights.",
                default_on: true,
                ..BOOLEAN
            },
            OptionSpec {
                key: "mount_home",
                title: "Home folder",
                description: "Share the owner's home folder with the container.",
                default_on: true,
                ..BOOLEAN
            },
            OptionSpec {
                key: "custom_mounts",
                option_type: OptionType::Array,
                title: "More folders",
                description: "Host folders to share at the same path inside. A leading ~/ is the owner's home.",
                item_format: Some("directory-path"),
                ..BOOLEAN
            },
        ],
    },
    Section {
        id: "gpu",
        title: "Graphics",
        options: &[
            OptionSpec {
                key: "gpu",
                title: "Graphics card",
                description: "Give the container the host's graphics devices, where there are any.",
                default_on: true,
                ..BOOLEAN
            },
            OptionSpec {
                key: "nvidia_drivers",
                title: "NVIDIA drivers",
                description: "Make the host's NVIDIA user-space drivers usable inside.",
                requires: Some("gpu"),
                unavailable: Some("this version of Kapsule cannot pass on NVIDIA drivers yet"),
                ..BOOLEAN
            },
        ],
    },
    Section {
        id: "devices",
        title: "Devices",
        options: &[OptionSpec {
            key: "devices",
            option_type: OptionType::Array,
            title: "USB devices",
            description: "USB and serial devices to use inside whenever they are plugged in, by vendor and product (0403:6001); an administrator has to agree.",
            item_format: Some(USB_ID),
            caller_only: true,
            changeable: true,
            ..BOOLEAN
        }],
    },
    Section {
        id: "host",
        title: "Settings of the host",
        options: &[OptionSpec {
            key: "host_settings",
            title: "Clock, language and trust",
            description: "Follow the host's time zone, locale, proxies and certificate authorities.",
            ..SHARED
        }],
    },
];
