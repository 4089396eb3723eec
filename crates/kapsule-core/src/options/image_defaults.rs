// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What an image says about the options of containers made from it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::resolve::{IMAGE, check_types};
use super::{OptionValue, OptionsError, find};

/// What an image says about the options of containers made from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParsedDefaults {
    /// Values for known options.
    pub values: BTreeMap<String, OptionValue>,
    /// Keys that the schema does not have, or that an image has no say in; to be logged and ignored.
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
        if find(&key).is_none_or(|option| option.caller_only) {
            parsed.ignored.push(key);
            continue;
        }
        let value = from_json(&key, &value)?;
        parsed.values.insert(key, value);
    }
    check_types(&parsed.values, IMAGE)?;
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
            source_name: IMAGE,
        }),
    }
}
