// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Values of options.

use serde::{Deserialize, Serialize};

use super::schema::OptionType;

/// The value of an option.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OptionValue {
    /// On or off.
    Boolean(bool),
    /// A text.
    String(String),
    /// A list of texts.
    Array(Vec<String>),
}

impl OptionValue {
    /// Which type of option this can be the value of.
    #[must_use]
    pub fn option_type(&self) -> OptionType {
        match self {
            Self::Boolean(_) => OptionType::Boolean,
            Self::String(_) => OptionType::String,
            Self::Array(_) => OptionType::Array,
        }
    }
}
