// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What Kapsule writes into an instance's configuration, and reads back: all state of a container
//! lives there, so that the daemon can be killed at any moment.

use std::collections::BTreeMap;

use kapsule_core::container::Mode;
use kapsule_core::image::ImageRef;
use kapsule_core::isolation::Isolation;
use kapsule_core::options::{OptionValue, Options, find};
use kapsule_proto::folder::FolderId;

use crate::users::User;

/// Incus configuration: keys and values.
pub(crate) type Config = BTreeMap<String, String>;

pub(crate) const STATE: &str = "user.kapsule.state";
pub(crate) const STATE_CREATING: &str = "creating";
pub(crate) const STATE_READY: &str = "ready";
const OWNER: &str = "user.kapsule.owner";
const IMAGE: &str = "user.kapsule.image";
const ISOLATION: &str = "user.kapsule.isolation";
const NETWORK: &str = "user.kapsule.network";
const HOST_ROOTFS: &str = "user.kapsule.host-rootfs";
const MOUNT_HOME: &str = "user.kapsule.mount-home";
const CUSTOM_MOUNTS: &str = "user.kapsule.custom-mounts";
/// JSON: the kinds of USB device that it is given.
const DEVICES: &str = "user.kapsule.devices";
const GPU: &str = "user.kapsule.gpu";
/// JSON: the folders that an administrator agreed to share, by their paths on the host.
const CONSENTED_MOUNTS: &str = "user.kapsule.consented-mounts";
/// The switches that can be changed at any time, by the option's key and the key here.
const CHANGEABLE: &[(&str, &str)] = &[
    ("display", "user.kapsule.display"),
    ("sound", "user.kapsule.sound"),
    ("session_bus", "user.kapsule.session-bus"),
    ("session_mode", "user.kapsule.session-mode"),
    ("dbus_mux", "user.kapsule.dbus-mux"),
    ("agents", "user.kapsule.agents"),
    ("look", "user.kapsule.look"),
    ("host_settings", "user.kapsule.host-settings"),
    ("ports", "user.kapsule.ports"),
];
const NVIDIA: &str = "user.kapsule.nvidia-drivers";

/// The key that tells that a user is set up inside.
pub(crate) fn mapped_key(uid: u32) -> String {
    format!("user.kapsule.host-users.{uid}.mapped")
}

/// Keeps a privileged container from making file systems read-only, or writable, for the host: some
/// inits remount `/` and `/sys` at their start and end, and there these are the host's. A mount can
/// still be made read-only for itself (`MS_BIND`, bit 4096, beside `MS_REMOUNT`, bit 32). The second
/// line is the other system call for it; programs go back to the first where it is missing.
const NO_REMOUNTS: &str = "mount errno 1 [3,32,SCMP_CMP_MASKED_EQ,4128]\nfspick errno 38";

/// How LXC is told to leave a container in the host's network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HostNetwork {
    /// Without a network of its own.
    NoneOfItsOwn,
    /// In the namespaces of whoever starts it. For Incus 6, which refuses the other.
    KeptNamespace,
}

impl HostNetwork {
    /// What this version of Incus accepts.
    pub(crate) fn for_version(version: &str) -> Self {
        let major = version.split('.').next().and_then(|it| it.parse().ok());
        if major.is_some_and(|major: u32| major >= 7) {
            Self::NoneOfItsOwn
        } else {
            Self::KeptNamespace
        }
    }

    fn line(self) -> &'static str {
        match self {
            Self::NoneOfItsOwn => "lxc.net.0.type = none",
            Self::KeptNamespace => "lxc.namespace.keep = net user",
        }
    }
}

/// The configuration of a new instance.
pub(crate) fn new_instance(
    owner: &User,
    image: &ImageRef,
    options: &Options,
    host_network: HostNetwork,
) -> Config {
    let mut config = Config::new();
    let mut set = |key: &str, value: String| config.insert(key.to_owned(), value);

    // Every start of the container goes through the agent, whoever starts it: see the agent's
    // `boot`, which ends by becoming the guest's own init.
    let mut lxc = vec![format!(
        "lxc.init.cmd = {} boot",
        kapsule_proto::paths::AGENT
    )];
    match options.isolation {
        Isolation::Standard => {
            set("security.nesting", "true".to_owned());
            set("raw.idmap", idmap(owner.uid, owner.gid));
        }
        Isolation::Privileged => {
            set("security.nesting", "true".to_owned());
            set("security.privileged", "true".to_owned());
            lxc.push(host_network.line().to_owned());
            lxc.push("lxc.cgroup2.devices.allow = a".to_owned());
            set("security.syscalls.deny", NO_REMOUNTS.to_owned());
        }
        Isolation::Sealed => {
            // Numbers on the host that nobody else has, also no other container.
            set("security.idmap.isolated", "true".to_owned());
            set("security.nesting", "false".to_owned());
            // Incus' own socket inside.
            set("security.guestapi", "false".to_owned());
        }
    }
    set("raw.lxc", lxc.join("\n"));

    set(ISOLATION, options.isolation.to_string());
    set(NETWORK, options.network.to_string());
    set(STATE, STATE_CREATING.to_owned());
    set(OWNER, owner.uid.to_string());
    set(IMAGE, image.to_string());
    set(HOST_ROOTFS, options.host_rootfs.to_string());
    set(MOUNT_HOME, options.mount_home.to_string());
    if !options.custom_mounts.is_empty() {
        set(
            CUSTOM_MOUNTS,
            serde_json::Value::from(options.custom_mounts.clone()).to_string(),
        );
    }
    set(GPU, options.gpu.to_string());
    set(NVIDIA, (options.gpu && options.nvidia_drivers).to_string());
    config.extend(changeable(options));
    config
}

/// The part of the configuration that says what can be changed at any time.
pub(crate) fn changeable(options: &Options) -> Config {
    let values = options.to_map();
    let switches = CHANGEABLE.iter().map(|(option, key)| {
        let on = values.get(*option) == Some(&OptionValue::Boolean(true));
        ((*key).to_owned(), on.to_string())
    });
    let mut config: Config = switches.collect();
    if let Ok(devices) = serde_json::to_string(&options.devices) {
        config.insert(DEVICES.to_owned(), devices);
    }
    config
}

/// Writes down which folders an administrator agreed to share.
pub(crate) fn note_consented(config: &mut Config, folders: &BTreeMap<String, FolderId>) {
    if let Ok(text) = serde_json::to_string(folders)
        && !folders.is_empty()
    {
        config.insert(CONSENTED_MOUNTS.to_owned(), text);
    }
}

/// The folders that an administrator agreed to share, by their paths on the host.
pub(crate) fn consented_mounts(config: &Config) -> BTreeMap<String, FolderId> {
    config
        .get(CONSENTED_MOUNTS)
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

/// The user keeps their numbers inside; everyone else is shifted.
fn idmap(uid: u32, gid: u32) -> String {
    if uid == gid {
        format!("both {uid} {uid}")
    } else {
        format!("uid {uid} {uid}\ngid {gid} {gid}")
    }
}

/// Whether the daemon was interrupted while it made this instance.
pub(crate) fn is_unfinished(config: &Config) -> bool {
    config
        .get(STATE)
        .is_some_and(|state| state == STATE_CREATING)
}

/// Whether the instance is one of Kapsule's.
pub(crate) fn is_ours(config: &Config) -> bool {
    config.contains_key(OWNER)
}

/// The image reference that it was created from, or nothing.
pub(crate) fn image_reference(config: &Config) -> String {
    config.get(IMAGE).cloned().unwrap_or_default()
}

/// The image in words.
pub(crate) fn image_description(config: &Config) -> String {
    ["image.description", "image.os"]
        .iter()
        .find_map(|key| config.get(*key))
        .cloned()
        .unwrap_or_else(|| "unknown".to_owned())
}

/// The options, read back.
pub(crate) fn options(config: &Config) -> Options {
    let is = |key: &str, default: bool| config.get(key).map_or(default, |value| value == "true");
    let isolation = isolation(config);
    // Of one made before there was the option, the sealed ones are without.
    let changeable = |option: &str| {
        let key = CHANGEABLE.iter().find(|(known, _)| *known == option);
        let default = find(option).is_some_and(|option| option.default_on);
        key.is_some_and(|(_, key)| is(key, default && isolation != Isolation::Sealed))
    };
    Options {
        isolation,
        network: is(NETWORK, true),
        display: changeable("display"),
        sound: changeable("sound"),
        session_bus: changeable("session_bus"),
        agents: changeable("agents"),
        look: changeable("look"),
        // One that has the host's network never has this.
        ports: isolation == Isolation::Standard && changeable("ports"),
        session_mode: changeable("session_mode"),
        dbus_mux: changeable("dbus_mux"),
        host_rootfs: is(HOST_ROOTFS, false),
        mount_home: is(MOUNT_HOME, true),
        custom_mounts: config
            .get(CUSTOM_MOUNTS)
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default(),
        devices: config
            .get(DEVICES)
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default(),
        gpu: is(GPU, false),
        nvidia_drivers: is(NVIDIA, false),
        host_settings: changeable("host_settings"),
    }
}

/// How far it is kept apart from the host. Containers from before there were levels are standard
/// ones; and what Incus does counts more than what is written beside it.
pub(crate) fn isolation(config: &Config) -> Isolation {
    if config
        .get("security.privileged")
        .is_some_and(|value| value == "true")
    {
        return Isolation::Privileged;
    }
    config
        .get(ISOLATION)
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

/// How it takes part in the user's session.
pub(crate) fn mode(config: &Config) -> Mode {
    let options = options(config);
    match (options.dbus_mux, options.session_mode) {
        (true, _) => Mode::DbusMux,
        (false, true) => Mode::Session,
        (false, false) => Mode::Default,
    }
}

/// Whether that user is set up inside.
pub(crate) fn is_mapped(config: &Config, uid: u32) -> bool {
    config
        .get(&mapped_key(uid))
        .is_some_and(|value| value == "true")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use kapsule_core::options::{resolve, schema};

    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let user = User::for_tests(1000, 100);
        let image = "local:debian".parse().unwrap();
        let mut given = BTreeMap::new();
        given.insert(
            "custom_mounts".to_owned(),
            OptionValue::Array(vec!["~/src".to_owned()]),
        );
        given.insert("mount_home".to_owned(), OptionValue::Boolean(false));
        given.insert("sound".to_owned(), OptionValue::Boolean(false));
        let devices = vec!["0403:6001".to_owned()];
        given.insert("devices".to_owned(), OptionValue::Array(devices));
        let options_in = resolve(&given, &BTreeMap::new(), Isolation::Standard).unwrap();
        let config = new_instance(&user, &image, &options_in, HostNetwork::NoneOfItsOwn);
        assert_eq!(options(&config), options_in);
        assert!(is_ours(&config) && is_unfinished(&config));
        assert_eq!(image_reference(&config), "local:debian");
        assert_eq!(mode(&config), Mode::Default);
        assert_eq!(config["raw.idmap"], "uid 1000 1000\ngid 100 100");
        assert!(!config.contains_key("security.privileged"));
    }

    #[test]
    fn what_can_be_changed_is_what_the_schema_says() {
        let options = schema().iter().flat_map(|section| section.options);
        let mut keys: Vec<&str> = options
            .filter(|option| option.changeable)
            .map(|option| option.key)
            .collect();
        let switches = CHANGEABLE.iter().map(|(option, _)| *option);
        let mut known: Vec<&str> = switches.chain(["devices"]).collect();
        keys.sort_unstable();
        known.sort_unstable();
        assert_eq!(known, keys);
    }

    fn config_of(level: Isolation, host_network: HostNetwork) -> Config {
        let options = resolve(&BTreeMap::new(), &BTreeMap::new(), level).unwrap();
        let image = "local:debian".parse().unwrap();
        let config = new_instance(&User::for_tests(1000, 1000), &image, &options, host_network);
        assert_eq!(super::options(&config), options);
        config
    }

    #[test]
    fn each_level_has_its_own_walls() {
        let standard = config_of(Isolation::Standard, HostNetwork::NoneOfItsOwn);
        assert_eq!(standard["raw.lxc"].lines().count(), 1, "{standard:?}");
        assert!(!standard.contains_key("security.idmap.isolated"));

        let sealed = config_of(Isolation::Sealed, HostNetwork::NoneOfItsOwn);
        assert_eq!(sealed["security.idmap.isolated"], "true");
        assert_eq!(sealed["security.nesting"], "false");
        assert_eq!(sealed["security.guestapi"], "false");
        for key in ["raw.idmap", "security.privileged"] {
            assert!(!sealed.contains_key(key), "{key}");
        }

        let privileged = config_of(Isolation::Privileged, HostNetwork::NoneOfItsOwn);
        assert_eq!(privileged["security.privileged"], "true");
        assert!(!privileged.contains_key("raw.idmap"));
        let lxc = &privileged["raw.lxc"];
        assert!(
            lxc.starts_with("lxc.init.cmd = ") && lxc.contains("\nlxc.net.0.type = none\n"),
            "{lxc}"
        );
        let older = config_of(Isolation::Privileged, HostNetwork::KeptNamespace);
        let lxc = &older["raw.lxc"];
        assert!(
            lxc.contains("\nlxc.namespace.keep = net user\n") && !lxc.contains("net.0"),
            "{lxc}"
        );
    }

    #[test]
    fn incus_6_and_7_want_different_words() {
        for (version, expected) in [
            ("6.0.4", HostNetwork::KeptNamespace),
            ("7.0.2", HostNetwork::NoneOfItsOwn),
            ("10.1", HostNetwork::NoneOfItsOwn),
        ] {
            assert_eq!(HostNetwork::for_version(version), expected, "{version}");
        }
    }

    #[test]
    fn containers_from_before_are_standard_and_incus_has_the_last_word() {
        let mut config = Config::new();
        assert_eq!(isolation(&config), Isolation::Standard);
        assert!(super::options(&config).network);
        config.insert(ISOLATION.to_owned(), "sealed".to_owned());
        assert_eq!(isolation(&config), Isolation::Sealed);
        config.insert("security.privileged".to_owned(), "true".to_owned());
        assert_eq!(isolation(&config), Isolation::Privileged);
    }
}
