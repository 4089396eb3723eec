// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! Shapes shared by several parts of the API, and how Incus' JSON is read.

use std::collections::BTreeMap;
use std::ops::Deref;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// Configuration keys and values. Incus keeps every value as text.
pub type Config = BTreeMap<String, String>;

/// Devices by name, each a set of keys with text values.
pub type Devices = BTreeMap<String, BTreeMap<String, String>>;

/// A value together with the ETag Incus gave for it. Dereferences to the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The value.
    pub value: T,
    /// The ETag, to be handed back so that a change fails if someone else was quicker. Empty when there is none.
    pub etag: String,
}

impl<T> Deref for Versioned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// Incus' numeric status of an instance or operation (`doc/rest-api.md`, "Return values").
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct StatusCode(pub u16);

impl StatusCode {
    /// The instance is stopped.
    pub const STOPPED: StatusCode = StatusCode(102);
    /// The instance or operation is running.
    pub const RUNNING: StatusCode = StatusCode(103);
    /// The instance is frozen.
    pub const FROZEN: StatusCode = StatusCode(110);
    /// The instance is in error.
    pub const ERROR: StatusCode = StatusCode(112);
    /// The instance told that it is ready; it also runs.
    pub const READY: StatusCode = StatusCode(113);
    /// The operation succeeded.
    pub const SUCCESS: StatusCode = StatusCode(200);
    /// The operation failed.
    pub const FAILURE: StatusCode = StatusCode(400);
    /// The operation was cancelled.
    pub const CANCELLED: StatusCode = StatusCode(401);

    /// An operation with this status has ended.
    pub fn is_final(self) -> bool {
        self.0 >= 200
    }
}

/// Reads a value after taking away every `null`, so that defaults apply: Incus sends `null` for empty lists and maps.
pub(crate) fn decode<T: DeserializeOwned>(mut value: Value) -> serde_json::Result<T> {
    strip_nulls(&mut value);
    serde_json::from_value(value)
}

fn strip_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(strip_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(strip_nulls),
        _ => {}
    }
}

/// Reads a time. Go's zero time and the Unix epoch both mean "never" in Incus, and so does what cannot be read.
pub(crate) fn time<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    Ok(text
        .parse::<Timestamp>()
        .ok()
        .filter(|time| *time > Timestamp::UNIX_EPOCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Sample {
        list: Vec<String>,
        map: Config,
        nested: Devices,
        #[serde(deserialize_with = "time")]
        at: Option<Timestamp>,
    }

    #[test]
    fn nulls_gaps_and_unknown_fields_are_accepted() {
        for json in [
            "{}",
            r#"{"list":null,"map":null,"nested":{"a":null},"at":null,"new":[1]}"#,
        ] {
            assert_eq!(
                decode::<Sample>(serde_json::from_str(json).unwrap()).unwrap(),
                Sample::default(),
                "{json}"
            );
        }
    }

    #[test]
    fn never_is_no_time() {
        for (text, seconds) in [
            ("0001-01-01T00:00:00Z", None),
            ("1970-01-01T00:00:00Z", None),
            ("nonsense", None),
            ("2026-11-22T10:00:00.123456789Z", Some(1_795_341_600)),
            ("2026-11-22T11:00:00+01:00", Some(1_795_341_600)),
        ] {
            let sample: Sample = decode(serde_json::json!({ "at": text })).unwrap();
            assert_eq!(sample.at.map(|time| time.as_second()), seconds, "{text}");
        }
    }
}
