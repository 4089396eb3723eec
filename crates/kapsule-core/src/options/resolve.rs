// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! From what the caller, the image and the schema say to the options of a container.

use std::collections::BTreeMap;

use super::{OptionType, OptionValue, Options, OptionsError, find};
use crate::isolation::{self, Isolation};

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
    let options = Options::of(level, value)?;
    options.check()?;
    Ok(options)
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

/// Whose values they are, for errors.
pub(super) const REQUEST: &str = "the request";
pub(super) const IMAGE: &str = "the image";

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

pub(super) fn check_known(values: &BTreeMap<String, OptionValue>) -> Result<(), OptionsError> {
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

pub(super) fn check_types(
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

#[cfg(test)]
mod tests;
