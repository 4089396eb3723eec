// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What an option is, and the schema that tells which there are.

use serde_json::{Value, json};

use super::OptionValue;
use super::sections::SECTIONS;
use crate::isolation::Isolation;

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
    /// The value of a boolean when nobody sets it; a list is empty then.
    pub default_on: bool,
    /// The value of a text when nobody sets it.
    pub default_text: &'static str,
    /// The values that a text can have; any if there are none here.
    pub choices: &'static [Choice],
    /// What each element of an array is, as a JSON schema format name.
    pub item_format: Option<&'static str>,
    /// A boolean option that has to be on for this one.
    pub requires: Option<&'static str>,
    /// Why the option cannot be switched on in this version.
    pub unavailable: Option<&'static str>,
    /// Only who makes the container has a say in it: what its image says about it does not count.
    pub caller_only: bool,
    /// It can be changed in a container that there is, also while that runs.
    pub changeable: bool,
}

/// A value of an option that has to be one of several.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// Stable identifier.
    pub value: &'static str,
    /// Title for people.
    pub title: &'static str,
    /// One plain sentence for people.
    pub description: &'static str,
    /// Why it cannot be chosen in this version.
    pub unavailable: Option<&'static str>,
}

impl Choice {
    fn to_json(self) -> Value {
        let mut choice = json!({
            "value": self.value,
            "title": self.title,
            "description": self.description,
        });
        if let Some(reason) = self.unavailable {
            choice["unavailable"] = json!(reason);
        }
        // What else changes with it, for dialogs to show before anybody asks for it.
        let level = Isolation::ALL
            .into_iter()
            .find(|level| level.as_str() == self.value);
        if let Some(level) = level {
            let defaults = level.defaults().iter();
            choice["defaults"] = defaults.map(|(key, on)| (*key, json!(on))).collect();
            let fixed = level.rules().iter().map(|rule| rule.key);
            choice["fixed"] = fixed.collect();
        }
        choice
    }
}

impl OptionSpec {
    /// The value when nobody sets the option.
    #[must_use]
    pub fn default_value(&self) -> OptionValue {
        match self.option_type {
            OptionType::Boolean => OptionValue::Boolean(self.default_on),
            OptionType::String => OptionValue::String(self.default_text.to_owned()),
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
        if !self.choices.is_empty() {
            option["choices"] = self.choices.iter().map(|choice| choice.to_json()).collect();
        }
        if let Some(key) = self.requires {
            option["requires"] = json!({ key: true });
        }
        if let Some(reason) = self.unavailable {
            option["unavailable"] = json!(reason);
        }
        if self.changeable {
            option["changeable"] = json!(true);
        }
        option
    }
}

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

/// The schema as compact JSON, which is the answer to `GetCreateSchema`. The keys `unavailable`,
/// `changeable` (by `SetOptions`, at any time) and `choices` are additions of ours; clients that do not
/// know them ignore them. Each choice has a
/// `value`, `title` and `description`; `defaults` are those that change with it, and `fixed` names
/// options that it leaves no choice about.
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
                    "isolation",
                    "isolation",
                    "string",
                    json!("standard"),
                    none.clone()
                ),
                row("isolation", "network", "boolean", json!(true), none.clone()),
                row("isolation", "ports", "boolean", json!(true), none.clone()),
                row("session", "display", "boolean", json!(true), none.clone()),
                row("session", "sound", "boolean", json!(true), none.clone()),
                row(
                    "session",
                    "session_bus",
                    "boolean",
                    json!(true),
                    none.clone()
                ),
                row("session", "agents", "boolean", json!(true), none.clone()),
                row("session", "look", "boolean", json!(true), none.clone()),
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
                row("gpu", "gpu", "boolean", json!(true), none.clone()),
                row(
                    "gpu",
                    "nvidia_drivers",
                    "boolean",
                    json!(false),
                    json!({"gpu": true})
                ),
                row("devices", "devices", "array", json!([]), none.clone()),
                row("host", "host_settings", "boolean", json!(true), none),
            ]
        );
    }

    #[test]
    fn every_choice_is_told_in_words() {
        let schema: Value = serde_json::from_str(&schema_json()).unwrap();
        let choices = schema["sections"][0]["options"][0]["choices"].clone();
        let choices = choices.as_array().unwrap();
        assert_eq!(choices[0]["value"], "standard");
        assert_eq!(choices[0]["fixed"], json!([]));
        assert_eq!(choices[1]["defaults"]["mount_home"], json!(false));
        assert_eq!(choices[2]["fixed"], json!(["network", "ports"]));
        assert!(choices[3]["unavailable"].is_string());
        for choice in choices {
            for key in ["title", "description"] {
                assert!(!choice[key].as_str().unwrap().is_empty(), "{choice}");
            }
        }
    }

    #[test]
    fn what_can_be_changed_later_is_marked() {
        let schema: Value = serde_json::from_str(&schema_json()).unwrap();
        for section in schema["sections"].as_array().unwrap() {
            for option in section["options"].as_array().unwrap() {
                let spec = find(option["key"].as_str().unwrap()).unwrap();
                let marked = option["changeable"] == json!(true);
                assert_eq!(marked, spec.changeable, "{option}");
            }
        }
        assert!(find("display").unwrap().changeable && !find("gpu").unwrap().changeable);
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
