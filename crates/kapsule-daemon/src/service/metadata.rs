// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What Kapsule writes into an instance's configuration, and reads back: all state of a container
//! lives there, so that the daemon can be killed at any moment.

use std::collections::BTreeMap;

use kapsule_core::container::Mode;
use kapsule_core::image::ImageRef;
use kapsule_core::options::Options;
use kapsule_proto::folder::FolderId;

use crate::users::User;

/// Incus configuration: keys and values.
pub(crate) type Config = BTreeMap<String, String>;

pub(crate) const STATE: &str = "user.kapsule.state";
pub(crate) const STATE_CREATING: &str = "creating";
pub(crate) const STATE_READY: &str = "ready";
const OWNER: &str = "user.kapsule.owner";
const IMAGE: &str = "user.kapsule.image";
const SESSION_MODE: &str = "user.kapsule.session-mode";
const DBUS_MUX: &str = "user.kapsule.dbus-mux";
const HOST_ROOTFS: &str = "user.kapsule.host-rootfs";
const MOUNT_HOME: &str = "user.kapsule.mount-home";
const CUSTOM_MOUNTS: &str = "user.kapsule.custom-mounts";
const GPU: &str = "user.kapsule.gpu";
/// JSON: the folders that an administrator agreed to share, by their paths on the host.
const CONSENTED_MOUNTS: &str = "user.kapsule.consented-mounts";
const NVIDIA: &str = "user.kapsule.nvidia-drivers";

/// The key that tells that a user is set up inside.
pub(crate) fn mapped_key(uid: u32) -> String {
    format!("user.kapsule.host-users.{uid}.mapped")
}

/// The configuration of a new instance with standard isolation.
pub(crate) fn new_instance(owner: &User, image: &ImageRef, options: &Options) -> Config {
    let mut config = Config::new();
    let mut set = |key: &str, value: String| config.insert(key.to_owned(), value);

    set("security.nesting", "true".to_owned());
    set("raw.idmap", idmap(owner.uid, owner.gid));
    // Every start of the container goes through the agent, whoever starts it: see the agent's
    // `boot`, which ends by becoming the guest's own init.
    set(
        "raw.lxc",
        format!("lxc.init.cmd = {} boot", kapsule_proto::paths::AGENT),
    );

    set(STATE, STATE_CREATING.to_owned());
    set(OWNER, owner.uid.to_string());
    set(IMAGE, image.to_string());
    if options.session_mode {
        set(SESSION_MODE, "true".to_owned());
    }
    if options.dbus_mux {
        set(DBUS_MUX, "true".to_owned());
    }
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
    Options {
        session_mode: is(SESSION_MODE, false),
        dbus_mux: is(DBUS_MUX, false),
        host_rootfs: is(HOST_ROOTFS, false),
        mount_home: is(MOUNT_HOME, true),
        custom_mounts: config
            .get(CUSTOM_MOUNTS)
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default(),
        gpu: is(GPU, false),
        nvidia_drivers: is(NVIDIA, false),
    }
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

/// The number on the host of a running container's root, as Incus has it: `volatile.idmap.current`
/// is a JSON array of ranges.
pub(crate) fn root_uid(config: &Config) -> Option<u32> {
    #[derive(serde::Deserialize)]
    struct Range {
        #[serde(rename = "Isuid")]
        is_uid: bool,
        #[serde(rename = "Hostid")]
        host: u32,
        #[serde(rename = "Nsid")]
        inside: u32,
    }
    let ranges: Vec<Range> = serde_json::from_str(config.get("volatile.idmap.current")?).ok()?;
    let root = ranges
        .iter()
        .find(|range| range.is_uid && range.inside == 0)?;
    // Root of the host is no guest's root here; if it were, its agent would not be one to talk to.
    Some(root.host).filter(|uid| *uid != 0)
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

    use kapsule_core::options::{OptionValue, resolve};

    use super::*;

    #[test]
    fn root_inside_is_found_in_the_map() {
        let config =
            |map: &str| Config::from([("volatile.idmap.current".to_owned(), map.to_owned())]);
        let map = r#"[{"Isuid":false,"Isgid":true,"Hostid":5,"Nsid":0,"Maprange":1},
            {"Isuid":true,"Isgid":false,"Hostid":1000000,"Nsid":0,"Maprange":1000},
            {"Isuid":true,"Isgid":true,"Hostid":1000,"Nsid":1000,"Maprange":1}]"#;
        assert_eq!(root_uid(&config(map)), Some(1_000_000));
        for bad in ["", "[]", "{}", r#"[{"Isuid":true,"Hostid":0,"Nsid":0}]"#] {
            assert_eq!(root_uid(&config(bad)), None, "{bad}");
        }
    }

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
        let options_in = resolve(&given, &BTreeMap::new()).unwrap();
        let config = new_instance(&user, &image, &options_in);
        assert_eq!(options(&config), options_in);
        assert!(is_ours(&config) && is_unfinished(&config));
        assert_eq!(image_reference(&config), "local:debian");
        assert_eq!(mode(&config), Mode::Default);
        assert_eq!(config["raw.idmap"], "uid 1000 1000\ngid 100 100");
        assert!(!config.contains_key("security.privileged"));
    }
}
