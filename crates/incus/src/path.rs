// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! Building request targets so that no name, however hostile, changes which endpoint is reached.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::{Error, Result};

/// Everything but RFC 3986's unreserved characters is encoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// Percent-encodes one path segment or query value.
pub(crate) fn encode(text: &str) -> impl fmt::Display + '_ {
    utf8_percent_encode(text, ENCODED)
}

/// `key=value&key=value`, encoded, as Incus wants lists in some headers.
pub(crate) fn encode_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = String::new();
    for (key, value) in pairs {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(&format!("{}={}", encode(key), encode(value)));
    }
    text
}

/// A request target below `/1.0`, already encoded.
#[derive(Clone, Debug)]
pub(crate) struct ApiPath {
    path: String,
    has_query: bool,
}

impl ApiPath {
    /// `/1.0` itself.
    pub(crate) fn root() -> ApiPath {
        ApiPath {
            path: "/1.0".to_owned(),
            has_query: false,
        }
    }

    /// `/1.0/a/b` for segments that are part of the API, not names.
    pub(crate) fn root_with(segments: &[&'static str]) -> ApiPath {
        ApiPath {
            path: format!("/1.0/{}", segments.join("/")),
            has_query: false,
        }
    }

    /// `/1.0/a/b/c`, each segment encoded whole: a `/` in it does not separate.
    pub(crate) fn new(segments: &[&str]) -> Result<ApiPath> {
        let mut path = ApiPath::root();
        for segment in segments {
            // A server may decode a path before it cleans it, and would then climb up on these.
            let climbs = segment
                .split('/')
                .any(|part| matches!(part, "" | "." | ".."));
            if climbs || segment.contains('\0') {
                return Err(Error::InvalidName {
                    name: (*segment).to_owned(),
                });
            }
            path.path.push_str(&format!("/{}", encode(segment)));
        }
        Ok(path)
    }

    /// Adds `key=value` to the query.
    pub(crate) fn query(mut self, key: &str, value: &str) -> ApiPath {
        self.path.push(if self.has_query { '&' } else { '?' });
        self.has_query = true;
        self.path
            .push_str(&format!("{}={}", encode(key), encode(value)));
        self
    }

    /// The target as it goes into the request line.
    pub(crate) fn as_str(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for ApiPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside_their_segment() {
        for (name, expected) in [
            ("plain-1", "/1.0/instances/plain-1/state?project=p"),
            (
                "x?project=default",
                "/1.0/instances/x%3Fproject%3Ddefault/state?project=p",
            ),
            ("a/b", "/1.0/instances/a%2Fb/state?project=p"),
            ("a#b%2e c", "/1.0/instances/a%23b%252e%20c/state?project=p"),
            ("ümlaut", "/1.0/instances/%C3%BCmlaut/state?project=p"),
            (
                "a\r\nHost: b",
                "/1.0/instances/a%0D%0AHost%3A%20b/state?project=p",
            ),
            ("...", "/1.0/instances/.../state?project=p"),
        ] {
            let path = ApiPath::new(&["instances", name, "state"])
                .unwrap()
                .query("project", "p");
            assert_eq!(path.as_str(), expected);
        }
    }

    #[test]
    fn names_that_climb_are_refused() {
        for name in ["", ".", "..", "../x", "a/../b", "a//b", "/a", "a/", "a\0b"] {
            assert!(
                matches!(
                    ApiPath::new(&["instances", name]),
                    Err(Error::InvalidName { .. })
                ),
                "{name:?}"
            );
        }
    }

    #[test]
    fn query_values_are_encoded() {
        let path = ApiPath::root()
            .query("path", "/etc/a b&c=d")
            .query("x", "1");
        assert_eq!(path.as_str(), "/1.0?path=%2Fetc%2Fa%20b%26c%3Dd&x=1");
        assert_eq!(
            encode_pairs([("a b", "c&d"), ("e", "f")]),
            "a%20b=c%26d&e=f"
        );
    }
}
