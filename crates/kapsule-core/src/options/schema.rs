// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Which options there are.

use serde_json::{Value, json};

use super::OptionValue;

/// Version of the schema's format (not of its content).
pub const VERSION: u32 = 1;

/// The type of an option's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionType {
    /// `true` or `false`.
    Boolean,
    /// A text.
    String,
    /// A list of texts.
    Array,
}

impl OptionType {
    /// The name in the schema.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::String => "string",
            Self::Array => "array",
        }
    }
}

/// A group of options that belong together in a dialog.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// Stable identifier.
    pub id: &'static str,
    /// Title for people.
    pub title: &'static str,
    /// The options, in the order to show them.
    pub options: &'static [OptionSpec],
}

/// One option.
#[derive(Clone, Copy, Debug)]
pub struct OptionSpec {
    /// Stable identifier.
    pub key: &'static str,
    /// Type of the value.
    pub option_type: OptionType,
    /// Title for people.
    pub title: &'static str,
    /// One or two sentences for people.
    pub description: &'static str,
    /// The value of a boolean when nobody sets it; the other types are empty then.
    pub default_on: bool,
    /// What each element of an array is, as a JSON schema format name.
    pub item_format: Option<&'static str>,
    /// A boolean option that has to be on for this one.
    pub requires: Option<&'static str>,
    /// Why the option cannot be switched on in this version.
    pub unavailable: Option<&'static str>,
}

impl OptionSpec {
    /// The value when nobody sets the option.
    #[must_use]
    pub fn default_value(&self) -> OptionValue {
        match self.option_type {
            OptionType::Boolean => OptionValue::Boolean(self.default_on),
            OptionType::String => OptionValue::String(String::new()),
            OptionType::Array => OptionValue::Array(Vec::new()),
        }
    }

    /// The name of the option on the command line, without the leading dashes.
    #[must_use]
    pub fn flag(&self) -> String {
        self.key.replace('_', "-")
    }

    fn to_json(self) -> Value {
        let mut option = json!({
            "key": self.key,
            "type": self.option_type.as_str(),
            "title": self.title,
            "description": self.description,
            "default": self.default_value(),
        });
        if let Some(format) = self.item_format {
            option["items"] = json!({ "type": "string", "format": format });
        }
        if let Some(key) = self.requires {
            option["requires"] = json!({ key: true });
        }
        if let Some(reason) = self.unavailable {
            option["unavailable"] = json!(reason);
        }
        option
    }
}

const BOOLEAN: OptionSpec = OptionSpec {
    key: "",
    option_type: OptionType::Boolean,
    title: "",
    description: "",
    default_on: false,
    item_format: None,
    requires: None,
    unavailable: None,
};

const SECTIONS: &[Section] = &[
    Section {
        id: "dbus",
        title: "Session bus",
        options: &[
            OptionSpec {
                key: "session_mode",
                title: "Own session bus",
                description: "Give the container a user manager and session bus of its own instead of the host's.",
                unavailable: Some(
                    "this version of Kapsule cannot give a container its own session bus yet",
                ),
                ..BOOLEAN
            },
            OptionSpec {
                key: "dbus_mux",
                title: "Reach host services from the own bus",
                description: "Connect the container's own session bus to the services of the host.",
                requires: Some("session_mode"),
                unavailable: Some("this version of Kapsule has no D-Bus multiplexer yet"),
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
];

/// All options, in the order to show them.
#[must_use]
pub fn schema() -> &'static [Section] {
    SECTIONS
}

/// The option with this key.
#[must_use]
pub fn find(key: &str) -> Option<&'static OptionSpec> {
    SECTIONS
        .iter()
        .flat_map(|section| section.options)
        .find(|option| option.key == key)
}

/// The schema as compact JSON, which is the answer to `GetCreateSchema`. The key `unavailable` is
/// an addition of ours; clients that do not know it ignore it.
#[must_use]
pub fn schema_json() -> String {
    let sections: Vec<Value> = SECTIONS
        .iter()
        .map(|section| {
            let options: Vec<Value> = section
                .options
                .iter()
                .map(|option| option.to_json())
                .collect();
            json!({ "id": section.id, "title": section.title, "options": options })
        })
        .collect();
    json!({ "version": VERSION, "sections": sections }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_clients_rely_on() {
        let schema: Value = serde_json::from_str(&schema_json()).unwrap();
        assert_eq!(schema["version"], 1);
        let mut seen = Vec::new();
        for section in schema["sections"].as_array().unwrap() {
            for option in section["options"].as_array().unwrap() {
                seen.push((
                    section["id"].as_str().unwrap().to_owned(),
                    option["key"].as_str().unwrap().to_owned(),
                    option["type"].as_str().unwrap().to_owned(),
                    option["default"].clone(),
                    option["requires"].clone(),
                ));
            }
        }
        let row = |section: &str, key: &str, kind: &str, default: Value, requires: Value| {
            (
                section.to_owned(),
                key.to_owned(),
                kind.to_owned(),
                default,
                requires,
            )
        };
        let none = Value::Null;
        assert_eq!(
            seen,
            [
                row(
                    "dbus",
                    "session_mode",
                    "boolean",
                    json!(false),
                    none.clone()
                ),
                row(
                    "dbus",
                    "dbus_mux",
                    "boolean",
                    json!(false),
                    json!({"session_mode": true})
                ),
                row(
                    "mounts",
                    "host_rootfs",
                    "boolean",
                    json!(true),
                    none.clone()
                ),
                row("mounts", "mount_home", "boolean", json!(true), none.clone()),
                row("mounts", "custom_mounts", "array", json!([]), none.clone()),
                row("gpu", "gpu", "boolean", json!(true), none),
                row(
                    "gpu",
                    "nvidia_drivers",
                    "boolean",
                    json!(false),
                    json!({"gpu": true})
                ),
            ]
        );
    }

    #[test]
    fn describes_the_elements_of_arrays() {
        let text = schema_json();
        assert!(
            text.contains(r#""items":{"format":"directory-path","type":"string"}"#),
            "{text}"
        );
        assert!(!text.contains("\": "), "compact separators");
    }
}
