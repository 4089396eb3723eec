// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Names of containers, images and servers, as any caller on the bus may write them.

#![no_main]

use kapsule_core::image::{ImageRef, MAX_ALIAS, check_alias, is_server_name};
use kapsule_core::name::{ContainerName, MAX_LENGTH};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match text.parse::<ContainerName>() {
        Ok(name) => {
            // One segment of a path, one label of DNS, one word of a command line; and nothing was changed.
            assert_eq!(name.as_str(), text);
            assert!((1..=MAX_LENGTH).contains(&text.len()) && !text.starts_with('-'));
            assert!(
                text.bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            );
        }
        Err(error) => is_fit_to_show(&error.to_string()),
    }
    match text.parse::<ImageRef>() {
        Ok(image) => {
            assert!(is_server_name(&image.server) && check_alias(&image.alias).is_ok());
            assert_eq!(image.to_string().parse::<ImageRef>(), Ok(image));
        }
        Err(error) => is_fit_to_show(&error.to_string()),
    }
    match check_alias(text) {
        Ok(()) => {
            assert!(text.len() <= MAX_ALIAS && !text.starts_with('-'));
            assert!(text.split('/').all(|part| !matches!(part, "" | "." | "..")));
            assert!(
                text.bytes()
                    .all(|byte| byte.is_ascii_graphic() && !b"?#%&\\\"'".contains(&byte))
            );
        }
        Err(error) => is_fit_to_show(&error.to_string()),
    }
});

/// What an error quotes neither acts on a terminal nor fills a log.
fn is_fit_to_show(message: &str) {
    assert!(!message.chars().any(char::is_control), "{message:?}");
    assert!(message.len() < 1500, "{} bytes", message.len());
}
