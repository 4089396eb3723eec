// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The name of a container.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest name, in characters: a name is also the host name inside, which DNS limits to 63.
pub const MAX_LENGTH: usize = 63;

/// A valid container name: 1 to 63 ASCII letters, digits and hyphens, beginning with a letter and
/// not ending with a hyphen. These are Incus' rules for instance names, checked before anything
/// is asked of Incus so that a name can never be more than one path segment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContainerName(String);

/// Why a text is not a container name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing at all.
    #[error("a container name cannot be empty")]
    Empty,
    /// More than [`MAX_LENGTH`] characters.
    #[error("a container name has at most {MAX_LENGTH} characters")]
    TooLong,
    /// Does not begin with a letter.
    #[error("a container name begins with a letter (a-z)")]
    BadStart,
    /// Ends with a hyphen.
    #[error("a container name does not end with a hyphen")]
    BadEnd,
    /// Holds something other than letters, digits and hyphens.
    #[error("a container name holds only letters (a-z), digits and hyphens")]
    BadCharacter,
}

impl ContainerName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ContainerName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let first = text.chars().next().ok_or(NameError::Empty)?;
        if !text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err(NameError::BadCharacter);
        }
        if text.len() > MAX_LENGTH {
            return Err(NameError::TooLong);
        }
        if !first.is_ascii_alphabetic() {
            return Err(NameError::BadStart);
        }
        if text.ends_with('-') {
            return Err(NameError::BadEnd);
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for ContainerName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<ContainerName> for String {
    fn from(name: ContainerName) -> Self {
        name.0
    }
}

impl fmt::Display for ContainerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_incus_accepts() {
        for good in ["a", "dev", "Dev-2", "x1", &"a".repeat(63)] {
            assert_eq!(good.parse::<ContainerName>().unwrap().as_str(), good);
        }
    }

    #[test]
    fn refuses_everything_else() {
        let cases = [
            ("", NameError::Empty),
            ("../x", NameError::BadCharacter),
            ("a/b", NameError::BadCharacter),
            ("x?project=default", NameError::BadCharacter),
            ("a b", NameError::BadCharacter),
            ("bücher", NameError::BadCharacter),
            ("a\nb", NameError::BadCharacter),
            ("a_b", NameError::BadCharacter),
            ("a.b", NameError::BadCharacter),
            ("-x", NameError::BadStart),
            ("1x", NameError::BadStart),
            ("x-", NameError::BadEnd),
        ];
        for (bad, why) in cases {
            assert_eq!(bad.parse::<ContainerName>(), Err(why), "{bad:?}");
        }
        assert_eq!(
            "a".repeat(64).parse::<ContainerName>(),
            Err(NameError::TooLong)
        );
    }
}
