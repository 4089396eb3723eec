// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Options as they come over the bus.

use std::collections::{BTreeMap, HashMap};

use kapsule_core::options::{OptionValue, OptionsError, find};
use zbus::{OwnedVariant, Variant};

use crate::error::{Error, Result};

/// The caller's options as plain data. Some clients wrap a variant in a variant; all layers are
/// taken off.
///
/// # Errors
/// `InvalidArgument` when the value of a known option has a type that no option has. Unknown
/// options pass: they are found out with all the others.
pub(super) fn from_bus(
    options: HashMap<String, OwnedVariant>,
) -> Result<BTreeMap<String, OptionValue>> {
    options
        .into_iter()
        .map(|(key, value)| {
            let value = match find(&key) {
                Some(option) => convert(&key, option.option_type.as_str(), &value)?,
                None => OptionValue::Boolean(false),
            };
            Ok((key, value))
        })
        .collect()
}

fn convert(key: &str, expected: &'static str, value: &Variant<'_>) -> Result<OptionValue> {
    match unwrap(value) {
        Variant::Bool(on) => Ok(OptionValue::Boolean(*on)),
        Variant::Str(text) => Ok(OptionValue::String(text.to_string())),
        Variant::Array(elements) => elements
            .iter()
            .enumerate()
            .map(|(index, element)| match unwrap(element) {
                Variant::Str(text) => Ok(text.to_string()),
                _ => Err(Error::from(OptionsError::WrongElement {
                    key: key.to_owned(),
                    index,
                })),
            })
            .collect::<Result<_>>()
            .map(OptionValue::Array),
        other => Err(Error::from(OptionsError::WrongType {
            key: key.to_owned(),
            expected,
            found: format!("'{}' (of D-Bus)", other.value_signature()),
            source_name: "the request",
        })),
    }
}

fn unwrap<'v, 'a>(mut value: &'v Variant<'a>) -> &'v Variant<'a> {
    while let Variant::Variant(inner) = value {
        value = inner;
    }
    value
}

#[cfg(test)]
mod tests {
    use kapsule_core::isolation::Isolation;

    use super::*;

    fn options(key: &str, value: Variant<'_>) -> Result<BTreeMap<String, OptionValue>> {
        from_bus(HashMap::from([(
            key.to_owned(),
            value.try_to_owned().unwrap(),
        )]))
    }

    #[test]
    fn takes_off_all_layers() {
        let layered = Variant::Variant(Box::new(Variant::Variant(Box::new(Variant::from(true)))));
        assert_eq!(
            options("gpu", layered).unwrap()["gpu"],
            OptionValue::Boolean(true)
        );
        let list = Variant::from(vec![Variant::from("/a"), Variant::from("~/b")]);
        let expected = OptionValue::Array(vec!["/a".to_owned(), "~/b".to_owned()]);
        assert_eq!(
            options("custom_mounts", list).unwrap()["custom_mounts"],
            expected
        );
        let list = Variant::from(vec!["/a", "~/b"]);
        assert_eq!(
            options("custom_mounts", list).unwrap()["custom_mounts"],
            expected
        );
    }

    #[test]
    fn tells_which_option_and_which_element() {
        let error = options("gpu", Variant::from(1u32)).unwrap_err();
        assert!(
            error.message.contains("'gpu' must be of type boolean"),
            "{error}"
        );
        let list = Variant::from(vec![Variant::from("/a"), Variant::from(7i32)]);
        let error = options("custom_mounts", list).unwrap_err();
        assert!(
            error
                .message
                .contains("element 1 of option 'custom_mounts'"),
            "{error}"
        );
    }

    #[test]
    fn leaves_unknown_options_to_the_schema() {
        let options = options("zzz", Variant::from(1u32)).unwrap();
        let error = kapsule_core::options::resolve(&options, &BTreeMap::new(), Isolation::Standard)
            .unwrap_err();
        assert!(
            error.to_string().contains("unknown options: zzz"),
            "{error}"
        );
    }
}
