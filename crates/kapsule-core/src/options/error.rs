// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Why options are refused.

use super::{MAX_DEVICES, schema};
use crate::device::UsbIdError;
use crate::isolation::{Isolation, LevelError};

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
    /// An option of a container that is to be off, while another one that needs it stays on.
    #[error(
        "option '{needed}' cannot be off while '{by}' is on, which needs it. Switch both off: \
         'kapsule set NAME {} {}'", no_flag(.by), no_flag(.needed)
    )]
    Needed {
        /// The option that is to be off.
        needed: &'static str,
        /// The option that is on, and stays so.
        by: &'static str,
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
    /// An element of `devices` that names no kind of device.
    #[error("option 'devices': {0}")]
    Device(#[from] UsbIdError),
    /// More devices than a container can have.
    #[error("option 'devices': a container can have {MAX_DEVICES} kinds of device, not {0}")]
    TooManyDevices(usize),
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

/// How an option is switched off on the command line.
fn no_flag(key: &str) -> String {
    format!("--no-{}", key.replace('_', "-"))
}

pub(super) fn known_keys() -> Vec<&'static str> {
    schema()
        .iter()
        .flat_map(|section| section.options)
        .map(|option| option.key)
        .collect()
}
