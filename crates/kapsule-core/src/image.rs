// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! References to images: `server:alias`, or `alias` alone for the server `images`.

use std::fmt;
use std::str::FromStr;

/// The server that a reference without one means.
pub const DEFAULT_SERVER: &str = "images";
/// The server name that stands for Incus' own image store.
pub const LOCAL_SERVER: &str = "local";
/// Longest alias, in bytes. Incus stores aliases of up to 255.
pub const MAX_ALIAS: usize = 255;

/// Where an image comes from, as the user writes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ImageRef {
    /// Name of a server in the [settings](crate::settings::Settings::servers), or `local`.
    pub server: String,
    /// The image's alias on that server.
    pub alias: String,
}

/// Why a text is not an image reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageRefError {
    /// The part after the colon, or the whole, is missing.
    #[error("an image is written as SERVER:ALIAS or ALIAS, for example images:debian/13")]
    Empty,
    /// The server part is not a word.
    #[error("the image server {0:?} is not a valid name: use letters, digits, '-' and '_'")]
    BadServer(String),
    /// The alias is not valid.
    #[error(
        "the image alias {0:?} is not valid: use letters, digits and ./_+@-, at most {MAX_ALIAS}"
    )]
    BadAlias(String),
}

impl ImageRef {
    /// Whether the image is one of Incus' own store.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.server == LOCAL_SERVER
    }
}

/// Checks that a text can be an alias: no control characters, blanks, `?`, `#` and the like, and
/// no `.`/`..` path segments, so that it is safe in addresses and in messages.
///
/// # Errors
/// [`ImageRefError`] with the text.
pub fn check_alias(alias: &str) -> Result<(), ImageRefError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "./_+@-".contains(c);
    if alias.is_empty() {
        return Err(ImageRefError::Empty);
    }
    let bad = alias.len() > MAX_ALIAS
        || !alias.chars().all(allowed)
        || alias.starts_with('-')
        || alias
            .split('/')
            .any(|part| part.is_empty() || part == "." || part == "..");
    if bad {
        return Err(ImageRefError::BadAlias(shorten(alias)));
    }
    Ok(())
}

/// Checks that a text can name a server.
#[must_use]
pub fn is_server_name(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !text.is_empty() && text.len() <= 63 && !text.starts_with('-') && text.chars().all(word)
}

/// Keeps hostile input out of long messages.
fn shorten(text: &str) -> String {
    text.chars().take(80).collect()
}

impl FromStr for ImageRef {
    type Err = ImageRefError;

    fn from_str(text: &str) -> Result<Self, ImageRefError> {
        let (server, alias) = text.split_once(':').unwrap_or((DEFAULT_SERVER, text));
        if alias.is_empty() {
            return Err(ImageRefError::Empty);
        }
        if !is_server_name(server) {
            return Err(ImageRefError::BadServer(shorten(server)));
        }
        check_alias(alias)?;
        Ok(Self {
            server: server.to_owned(),
            alias: alias.to_owned(),
        })
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.server, self.alias)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_at_the_first_colon() {
        let image: ImageRef = "local:debian".parse().unwrap();
        assert_eq!(
            (image.server.as_str(), image.alias.as_str()),
            ("local", "debian")
        );
        let image: ImageRef = "ubuntu/24.04".parse().unwrap();
        assert_eq!(image.to_string(), "images:ubuntu/24.04");
    }

    #[test]
    fn refuses_what_cannot_be_an_image() {
        for bad in [
            "", ":", "local:", ":x", "a b:x", "x:a b", "x:../y", "x:a?b", "x:a\nb", "x:-a",
            "x:a//b", "x:a:b",
        ] {
            assert!(bad.parse::<ImageRef>().is_err(), "{bad:?}");
        }
        assert!(
            format!("x:{}", "a".repeat(256))
                .parse::<ImageRef>()
                .is_err()
        );
    }
}
