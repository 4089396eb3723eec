// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! From what the caller, the image and the schema say to the options of a container.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{OptionSpec, OptionType, OptionValue, find, schema};
use crate::isolation::{self, Isolation, LevelError};

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
    /// Graphics devices are passed on.
    pub gpu: bool,
    /// The host's NVIDIA drivers are usable inside.
    pub nvidia_drivers: bool,
    /// Clock, language, proxies and trust are the host's.
    pub host_settings: bool,
}

/// Why options were refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// Keys that the schema does not have.
    #[error("unknown options: {}; known options: {}", .0.join(", "), known_keys().join(", "))]
    Unknown(Vec<String>),
    /// A value of another type than the schema's.
    #[error("option '{key}' must be of type {expected}, but {source_name} gives type {found}")]
    WrongType {
        /// The option.
        key: String,
        /// The schema's type.
        expected: &'static str,
        /// What was given.
        found: String,
        /// Who gave it: the caller or the image.
        source_name: &'static str,
    },
    /// An element of an array that is not a text.
    #[error("element {index} of option '{key}' must be a string")]
    WrongElement {
        /// The option.
        key: String,
        /// Its place, counted from 0.
        index: usize,
    },
    /// An option that needs another one.
    #[error(
        "option '{key}' needs '{needs}', which is off: leave '{key}' out or switch '{needs}' on"
    )]
    Requires {
        /// The option that is on.
        key: &'static str,
        /// The option that is off.
        needs: &'static str,
    },
    /// A level of isolation that there is not.
    #[error("{who} asks for what cannot be: {error}")]
    Level {
        /// Who gave it.
        who: &'static str,
        /// What is wrong with it.
        error: LevelError,
    },
    /// An option that the level of isolation leaves no choice about.
    #[error(
        "option '{key}' cannot be {} in a {level} container: {reason}. Leave it out, or choose \
         another isolation", if *.must_be { "off" } else { "used" }
    )]
    AgainstLevel {
        /// The option.
        key: &'static str,
        /// The level.
        level: Isolation,
        /// What the option has to be.
        must_be: bool,
        /// Why.
        reason: &'static str,
    },
    /// An option that only the making of a container decides.
    #[error(
        "option '{key}' is decided when a container is made, and stays as it is. Make another one \
         with it: 'kapsule create NAME' has the same options"
    )]
    Fixed {
        /// The option.
        key: &'static str,
    },
    /// An option that this version does not have yet.
    #[error("option '{key}' cannot be used: {reason}")]
    Unavailable {
        /// The option.
        key: &'static str,
        /// Why.
        reason: &'static str,
    },
}

fn known_keys() -> Vec<&'static str> {
    schema()
        .iter()
        .flat_map(|section| section.options)
        .map(|option| option.key)
        .collect()
}

/// What an image says about the options of containers made from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParsedDefaults {
    /// Values for known options.
    pub values: BTreeMap<String, OptionValue>,
    /// Keys that the schema does not have; to be logged and ignored.
    pub ignored: Vec<String>,
}

/// Reads the image property with default options: a JSON object. Text that is not one counts as
/// empty, as an image is not to be unusable for it.
///
/// # Errors
/// When the value of a known option has the wrong type.
pub fn parse_image_defaults(text: &str) -> Result<ParsedDefaults, OptionsError> {
    let mut parsed = ParsedDefaults::default();
    let Ok(Value::Object(entries)) = serde_json::from_str(text) else {
        return Ok(parsed);
    };
    for (key, value) in entries {
        if find(&key).is_none() {
            parsed.ignored.push(key);
            continue;
        }
        let value = from_json(&key, &value)?;
        parsed.values.insert(key, value);
    }
    check_types(&parsed.values, "the image")?;
    Ok(parsed)
}

fn from_json(key: &str, value: &Value) -> Result<OptionValue, OptionsError> {
    match value {
        Value::Bool(on) => Ok(OptionValue::Boolean(*on)),
        Value::String(text) => Ok(OptionValue::String(text.clone())),
        Value::Array(elements) => elements
            .iter()
            .enumerate()
            .map(|(index, element)| {
                element
                    .as_str()
                    .map(str::to_owned)
                    .ok_or_else(|| OptionsError::WrongElement {
                        key: key.to_owned(),
                        index,
                    })
            })
            .collect::<Result<_, _>>()
            .map(OptionValue::Array),
        Value::Null | Value::Number(_) | Value::Object(_) => Err(OptionsError::WrongType {
            key: key.to_owned(),
            expected: find(key).map_or("value", |option| option.option_type.as_str()),
            found: match value {
                Value::Null => "null",
                Value::Number(_) => "number",
                _ => "object",
            }
            .to_owned(),
            source_name: "the image",
        }),
    }
}

fn check_types(
    values: &BTreeMap<String, OptionValue>,
    source_name: &'static str,
) -> Result<(), OptionsError> {
    for (key, value) in values {
        let Some(option) = find(key) else { continue };
        if value.option_type() != option.option_type {
            return Err(OptionsError::WrongType {
                key: key.clone(),
                expected: option.option_type.as_str(),
                found: value.option_type().as_str().to_owned(),
                source_name,
            });
        }
    }
    Ok(())
}

/// How far a container will be kept apart: as the caller says, and else as `default` (the
/// configuration) does, where the image can make it stricter and never weaker.
///
/// # Errors
/// [`OptionsError::Level`] for a text that is no level; `WrongType`.
pub fn level(
    caller: &BTreeMap<String, OptionValue>,
    image: &BTreeMap<String, OptionValue>,
    default: Isolation,
) -> Result<Isolation, OptionsError> {
    if let Some(level) = parse_level(caller, REQUEST)? {
        return Ok(level);
    }
    Ok(parse_level(image, IMAGE)?.map_or(default, |image| image.max(default)))
}

const REQUEST: &str = "the request";
const IMAGE: &str = "the image";

fn parse_level(
    values: &BTreeMap<String, OptionValue>,
    who: &'static str,
) -> Result<Option<Isolation>, OptionsError> {
    match values.get(isolation::KEY) {
        None => Ok(None),
        Some(OptionValue::String(text)) => match text.parse() {
            Ok(level) => Ok(Some(level)),
            Err(error) => Err(OptionsError::Level { who, error }),
        },
        Some(other) => Err(OptionsError::WrongType {
            key: isolation::KEY.to_owned(),
            expected: OptionType::String.as_str(),
            found: other.option_type().as_str().to_owned(),
            source_name: who,
        }),
    }
}

/// Merges: the caller's values win over the image's, these over those of the level of isolation,
/// these over the schema's. `default` is the level that the configuration wants; see [`level()`].
///
/// # Errors
/// [`OptionsError`] for unknown keys and wrong types of the caller, for options that contradict
/// each other or the level, and for options that this version does not have.
pub fn resolve(
    caller: &BTreeMap<String, OptionValue>,
    image: &BTreeMap<String, OptionValue>,
    default: Isolation,
) -> Result<Options, OptionsError> {
    check_known(caller)?;
    check_types(caller, REQUEST)?;
    check_types(image, IMAGE)?;
    let level = level(caller, image, default)?;

    let counts =
        |value: &&OptionValue| level.trusts_images() || **value == OptionValue::Boolean(false);
    let value = |key: &str| caller.get(key).or_else(|| image.get(key).filter(counts));
    let options = Options::of(level, value);
    options.check()?;
    Ok(options)
}

fn check_known(values: &BTreeMap<String, OptionValue>) -> Result<(), OptionsError> {
    let unknown: Vec<String> = values
        .keys()
        .filter(|key| find(key).is_none())
        .cloned()
        .collect();
    if unknown.is_empty() {
        Ok(())
    } else {
        Err(OptionsError::Unknown(unknown))
    }
}

/// The value of a boolean that nobody sets.
fn default_of(key: &str, level: Isolation) -> bool {
    let of_level = level.defaults().iter().find(|(name, _)| *name == key);
    of_level.map_or_else(
        || find(key).is_some_and(|option| option.default_on),
        |(_, on)| *on,
    )
}

impl Options {
    /// With these values, and the level's where there is none. Nothing is checked yet.
    fn of<'v>(level: Isolation, value: impl Fn(&str) -> Option<&'v OptionValue>) -> Self {
        let boolean = |key: &str| match value(key) {
            Some(OptionValue::Boolean(on)) => *on,
            _ => default_of(key, level),
        };
        let dbus_mux = boolean("dbus_mux");
        Self {
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
            gpu: boolean("gpu"),
            nvidia_drivers: boolean("nvidia_drivers"),
            host_settings: boolean("host_settings"),
        }
    }

    fn check(&self) -> Result<(), OptionsError> {
        self.check_level()?;
        self.check_requirements()?;
        self.check_available()
    }

    /// The options of a container that there is, with these changed.
    ///
    /// # Errors
    /// [`OptionsError::Fixed`] for one that is to become another and that only the making of a container
    /// decides; else as [`resolve`].
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
        let changed = Self::of(self.isolation, |key| values.get(key));
        let own_bus_off = changes.get("session_mode") == Some(&OptionValue::Boolean(false));
        if own_bus_off && changed.dbus_mux {
            return Err(OptionsError::Requires {
                key: "dbus_mux",
                needs: "session_mode",
            });
        }
        changed.check()?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn values(json: &str) -> BTreeMap<String, OptionValue> {
        serde_json::from_str(json).unwrap()
    }

    fn resolve_json(caller: &str, image: &str) -> Result<Options, OptionsError> {
        resolve(&values(caller), &values(image), Isolation::Standard)
    }

    #[test]
    fn the_caller_wins_over_the_image_and_the_image_over_the_schema() {
        let options = resolve_json(
            r#"{"mount_home":true}"#,
            r#"{"mount_home":false,"gpu":false}"#,
        )
        .unwrap();
        assert!(options.mount_home && !options.gpu && options.host_rootfs);
    }

    #[test]
    fn an_image_can_make_it_stricter_and_never_weaker() {
        let level = |caller: &str, image: &str, default| {
            resolve(&values(caller), &values(image), default).map(|options| options.isolation)
        };
        use Isolation::{Privileged, Sealed, Standard};
        for (caller, image, default, expected) in [
            ("{}", "{}", Standard, Standard),
            ("{}", "{}", Sealed, Sealed),
            ("{}", r#"{"isolation":"privileged"}"#, Standard, Standard),
            ("{}", r#"{"isolation":"privileged"}"#, Sealed, Sealed),
            ("{}", r#"{"isolation":"standard"}"#, Sealed, Sealed),
            ("{}", r#"{"isolation":"sealed"}"#, Standard, Sealed),
            ("{}", r#"{"isolation":"standard"}"#, Privileged, Standard),
            (
                r#"{"isolation":"standard"}"#,
                r#"{"isolation":"sealed"}"#,
                Sealed,
                Standard,
            ),
            (r#"{"isolation":"privileged"}"#, "{}", Sealed, Privileged),
        ] {
            assert_eq!(
                level(caller, image, default),
                Ok(expected),
                "{caller} {image}"
            );
        }
        let error = level("{}", r#"{"isolation":"vm"}"#, Standard).unwrap_err();
        assert!(error.to_string().starts_with("the image asks"), "{error}");
        // Who says what they want is not kept from it by what the image cannot mean.
        assert_eq!(
            level(
                r#"{"isolation":"sealed"}"#,
                r#"{"isolation":"x"}"#,
                Standard
            ),
            Ok(Sealed)
        );
    }

    #[test]
    fn a_sealed_container_gets_nothing_that_was_not_asked_for() {
        let sealed = |caller: &str, image: &str| {
            let mut caller = values(caller);
            caller.insert(
                "isolation".to_owned(),
                OptionValue::String("sealed".to_owned()),
            );
            resolve(&caller, &values(image), Isolation::Standard)
        };
        let options = sealed(
            "{}",
            r#"{"gpu":true,"mount_home":true,"host_rootfs":true,"custom_mounts":["/srv"]}"#,
        )
        .unwrap();
        assert!(!options.gpu && !options.mount_home && !options.host_rootfs && options.network);
        assert_eq!(options.custom_mounts, [""; 0]);
        assert!(!sealed("{}", r#"{"network":false}"#).unwrap().network);
        assert!(sealed(r#"{"gpu":true}"#, "{}").unwrap().gpu);
        for (caller, key) in [
            (r#"{"mount_home":true}"#, "mount_home"),
            (r#"{"host_rootfs":true}"#, "host_rootfs"),
            (r#"{"session_bus":true}"#, "session_bus"),
            (r#"{"display":true}"#, "display"),
            (r#"{"custom_mounts":["~/src"]}"#, "custom_mounts"),
        ] {
            let error = sealed(caller, "{}").unwrap_err().to_string();
            assert!(
                error.contains(key) && error.contains("in a sealed container"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_container_that_there_is_changes_what_it_can() {
        let before = resolve_json(r#"{"sound":false}"#, "{}").unwrap();
        let after = before
            .change(&values(r#"{"sound":true,"display":false,"gpu":true}"#))
            .unwrap();
        assert!(after.sound && !after.display && after.agents);
        assert_eq!(
            after
                .change(&values(r#"{"sound":false,"display":true}"#))
                .unwrap(),
            before
        );
        for (changes, text) in [
            (r#"{"gpu":false}"#, "option 'gpu' is decided"),
            (r#"{"isolation":"sealed"}"#, "option 'isolation' is decided"),
            (r#"{"zzz":true}"#, "unknown options: zzz"),
            (r#"{"sound":"loud"}"#, "must be of type boolean"),
        ] {
            let error = before.change(&values(changes)).unwrap_err().to_string();
            assert!(error.contains(text), "{changes}: {error}");
        }
        let sealed = resolve_json(r#"{"isolation":"sealed"}"#, "{}").unwrap();
        let error = sealed.change(&values(r#"{"sound":true}"#)).unwrap_err();
        assert!(
            error.to_string().contains("in a sealed container"),
            "{error}"
        );
    }

    #[test]
    fn every_option_of_the_schema_has_a_value() {
        let options = resolve_json("{}", "{}").unwrap();
        assert_eq!(
            options
                .to_map()
                .keys()
                .map(String::as_str)
                .collect::<Vec<_>>(),
            {
                let mut keys = known_keys();
                keys.sort_unstable();
                keys
            }
        );
        for (key, value) in options.to_map() {
            assert_eq!(value, find(&key).unwrap().default_value(), "{key}");
        }
    }

    #[test]
    fn refuses_with_a_reason() {
        let cases = [
            (r#"{"zzz":true,"aaa":true}"#, "unknown options: aaa, zzz"),
            (r#"{"gpu":"yes"}"#, "option 'gpu' must be of type boolean"),
            (
                r#"{"custom_mounts":true}"#,
                "option 'custom_mounts' must be of type array",
            ),
            (r#"{"nvidia_drivers":true,"gpu":false}"#, "needs 'gpu'"),
            (
                r#"{"dbus_mux":true,"session_bus":false}"#,
                "needs 'session_bus'",
            ),
            (
                r#"{"isolation":"privileged","network":false}"#,
                "'network' cannot be off in a privileged container",
            ),
            (r#"{"isolation":"vm"}"#, "'vm' cannot be used"),
            (r#"{"isolation":"tight"}"#, "\"tight\" is not a level"),
            (
                r#"{"isolation":true}"#,
                "option 'isolation' must be of type string",
            ),
            (r#"{"nvidia_drivers":true}"#, "cannot be used"),
            (
                r#"{"isolation":"sealed","dbus_mux":true}"#,
                "'dbus_mux' cannot be used in a sealed container",
            ),
        ];
        for (caller, text) in cases {
            let error = resolve_json(caller, "{}").unwrap_err().to_string();
            assert!(error.contains(text), "{caller}: {error}");
        }
    }

    #[test]
    fn image_defaults_ignore_what_they_cannot_mean_and_refuse_wrong_types() {
        let parsed = parse_image_defaults(r#"{"gpu":false,"future":1}"#).unwrap();
        assert_eq!(parsed.values, values(r#"{"gpu":false}"#));
        assert_eq!(parsed.ignored, ["future"]);
        for not_an_object in ["", "[]", "nonsense", "3"] {
            assert_eq!(
                parse_image_defaults(not_an_object),
                Ok(ParsedDefaults::default())
            );
        }
        assert!(parse_image_defaults(r#"{"gpu":1}"#).is_err());
        assert_eq!(
            parse_image_defaults(r#"{"custom_mounts":["a",2]}"#),
            Err(OptionsError::WrongElement {
                key: "custom_mounts".to_owned(),
                index: 1
            })
        );
    }
}
