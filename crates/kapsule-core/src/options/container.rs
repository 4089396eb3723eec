// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The options of one container, all of them with a value, and what holds between these.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::resolve::{REQUEST, check_known, check_types};
use super::{OptionSpec, OptionType, OptionValue, OptionsError, find, schema};
use crate::device::UsbId;
use crate::isolation::{self, Isolation};

/// The options of one container, complete and consistent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// How far the container is kept apart from the host.
    pub isolation: Isolation,
    /// The network can be reached.
    pub network: bool,
    /// Programs are given the owner's display.
    pub display: bool,
    /// Programs are given the owner's sound.
    pub sound: bool,
    /// Programs are given the host's session bus.
    pub session_bus: bool,
    /// Programs are given the owner's key agents.
    pub agents: bool,
    /// The host's fonts, icons and the like are usable.
    pub look: bool,
    /// What listens inside can be reached at the host's localhost.
    pub ports: bool,
    /// The container has a session bus of its own.
    pub session_mode: bool,
    /// The own session bus reaches the host's services.
    pub dbus_mux: bool,
    /// The host's file system is visible.
    pub host_rootfs: bool,
    /// The owner's home is shared.
    pub mount_home: bool,
    /// More host folders, as written by the user (a leading `~/` is kept).
    pub custom_mounts: Vec<String>,
    /// USB devices that are passed on, in order and each once.
    #[serde(default)]
    pub devices: Vec<UsbId>,
    /// Graphics devices are passed on.
    pub gpu: bool,
    /// The host's NVIDIA drivers are usable inside.
    pub nvidia_drivers: bool,
    /// Clock, language, proxies and trust are the host's.
    pub host_settings: bool,
}

/// The value of a boolean that nobody sets.
fn default_of(key: &str, level: Isolation) -> bool {
    let of_level = level.defaults().iter().find(|(name, _)| *name == key);
    of_level.map_or_else(
        || find(key).is_some_and(|option| option.default_on),
        |(_, on)| *on,
    )
}

/// Most kinds of device that a container is given.
pub const MAX_DEVICES: usize = 32;

/// The kinds of device that are named, in order and each once.
fn kinds(texts: &[String]) -> Result<Vec<UsbId>, OptionsError> {
    if texts.len() > MAX_DEVICES {
        return Err(OptionsError::TooManyDevices(texts.len()));
    }
    let kinds: Result<BTreeSet<UsbId>, _> = texts.iter().map(|text| text.parse()).collect();
    Ok(kinds?.into_iter().collect())
}

/// Why an option cannot be on without another one, in a container where changes were asked for.
fn requires(
    key: &'static str,
    needs: &'static str,
    changes: &BTreeMap<String, OptionValue>,
) -> OptionsError {
    if changes.contains_key(key) {
        OptionsError::Requires { key, needs }
    } else {
        OptionsError::Needed {
            needed: needs,
            by: key,
        }
    }
}

impl Options {
    /// With these values, and the level's where there is none. Nothing is checked yet.
    pub(super) fn of<'v>(
        level: Isolation,
        value: impl Fn(&str) -> Option<&'v OptionValue>,
    ) -> Result<Self, OptionsError> {
        let boolean = |key: &str| match value(key) {
            Some(OptionValue::Boolean(on)) => *on,
            _ => default_of(key, level),
        };
        let dbus_mux = boolean("dbus_mux");
        Ok(Self {
            isolation: level,
            network: boolean("network"),
            display: boolean("display"),
            sound: boolean("sound"),
            session_bus: boolean("session_bus"),
            agents: boolean("agents"),
            look: boolean("look"),
            ports: boolean("ports"),
            // The multiplexer implies the own bus.
            session_mode: boolean("session_mode") || dbus_mux,
            dbus_mux,
            host_rootfs: boolean("host_rootfs"),
            mount_home: boolean("mount_home"),
            custom_mounts: match value("custom_mounts") {
                Some(OptionValue::Array(paths)) => paths.clone(),
                _ => Vec::new(),
            },
            devices: match value("devices") {
                Some(OptionValue::Array(devices)) => kinds(devices)?,
                _ => Vec::new(),
            },
            gpu: boolean("gpu"),
            nvidia_drivers: boolean("nvidia_drivers"),
            host_settings: boolean("host_settings"),
        })
    }

    pub(super) fn check(&self) -> Result<(), OptionsError> {
        self.check_level()?;
        self.check_requirements()?;
        self.check_available()
    }

    /// The options of a container that there is, with these changed.
    ///
    /// # Errors
    /// [`OptionsError::Fixed`] for one that is to become another and that only the making of a container
    /// decides; else as [`resolve`](super::resolve()).
    pub fn change(&self, changes: &BTreeMap<String, OptionValue>) -> Result<Self, OptionsError> {
        check_known(changes)?;
        check_types(changes, REQUEST)?;
        let mut values = self.to_map();
        for (key, value) in changes {
            let fixed = find(key).filter(|option| !option.changeable);
            if let Some(OptionSpec { key, .. }) = fixed
                && values.get(*key) != Some(value)
            {
                return Err(OptionsError::Fixed { key });
            }
            values.insert(key.clone(), value.clone());
        }
        let changed = Self::of(self.isolation, |key| values.get(key))?;
        let to_be_off = |key: &str| changes.get(key) == Some(&OptionValue::Boolean(false));
        if to_be_off("session_mode") && changed.dbus_mux {
            return Err(requires("dbus_mux", "session_mode", changes));
        }
        changed.check().map_err(|error| match error {
            OptionsError::Requires { key, needs } => requires(key, needs, changes),
            other => other,
        })?;
        Ok(changed)
    }

    /// Whether programs are given the host's session bus, by itself or together with the container's.
    #[must_use]
    pub fn gives_session_bus(&self) -> bool {
        self.session_bus && (self.dbus_mux || !self.session_mode)
    }

    /// The values by key of the schema.
    #[must_use]
    pub fn to_map(&self) -> BTreeMap<String, OptionValue> {
        let boolean = |on: bool| OptionValue::Boolean(on);
        [
            (
                isolation::KEY,
                OptionValue::String(self.isolation.to_string()),
            ),
            ("network", boolean(self.network)),
            ("display", boolean(self.display)),
            ("sound", boolean(self.sound)),
            ("session_bus", boolean(self.session_bus)),
            ("agents", boolean(self.agents)),
            ("look", boolean(self.look)),
            ("ports", boolean(self.ports)),
            ("session_mode", boolean(self.session_mode)),
            ("dbus_mux", boolean(self.dbus_mux)),
            ("host_rootfs", boolean(self.host_rootfs)),
            ("mount_home", boolean(self.mount_home)),
            (
                "custom_mounts",
                OptionValue::Array(self.custom_mounts.clone()),
            ),
            (
                "devices",
                OptionValue::Array(self.devices.iter().map(UsbId::to_string).collect()),
            ),
            ("gpu", boolean(self.gpu)),
            ("nvidia_drivers", boolean(self.nvidia_drivers)),
            ("host_settings", boolean(self.host_settings)),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
    }

    fn check_level(&self) -> Result<(), OptionsError> {
        let values = self.to_map();
        for rule in self.isolation.rules() {
            let is = match values.get(rule.key) {
                Some(OptionValue::Boolean(on)) => *on,
                Some(OptionValue::Array(elements)) => !elements.is_empty(),
                Some(OptionValue::String(text)) => !text.is_empty(),
                None => continue,
            };
            if is != rule.must_be {
                return Err(OptionsError::AgainstLevel {
                    key: rule.key,
                    level: self.isolation,
                    must_be: rule.must_be,
                    reason: rule.reason,
                });
            }
        }
        Ok(())
    }

    fn check_requirements(&self) -> Result<(), OptionsError> {
        if self.dbus_mux && !self.session_bus {
            return Err(OptionsError::Requires {
                key: "dbus_mux",
                needs: "session_bus",
            });
        }
        if self.nvidia_drivers && !self.gpu {
            return Err(OptionsError::Requires {
                key: "nvidia_drivers",
                needs: "gpu",
            });
        }
        Ok(())
    }

    fn check_available(&self) -> Result<(), OptionsError> {
        let values = self.to_map();
        for option in schema().iter().flat_map(|section| section.options) {
            let on = option.option_type == OptionType::Boolean
                && values.get(option.key) == Some(&OptionValue::Boolean(true));
            if let (true, Some(reason)) = (on, option.unavailable) {
                return Err(OptionsError::Unavailable {
                    key: option.key,
                    reason,
                });
            }
        }
        Ok(())
    }
}
