// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Options as JSON: an image's defaults, from its metadata, and a caller's choices beside them.
//!
//! Input: two texts with a NUL between them.

#![no_main]

use std::collections::BTreeMap;

use kapsule_core::options::{OptionValue, find, parse_image_defaults, resolve};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (image, caller) = text.split_once('\0').unwrap_or((text, "{}"));
    let image = match parse_image_defaults(image) {
        Ok(parsed) => {
            assert!(parsed.values.keys().all(|key| find(key).is_some()));
            assert!(parsed.ignored.iter().all(|key| find(key).is_none()));
            parsed.values
        }
        Err(_) => BTreeMap::new(),
    };
    let caller: BTreeMap<String, OptionValue> = serde_json::from_str(caller).unwrap_or_default();
    if let Ok(options) = resolve(&caller, &image) {
        // What was chosen is what is told back, and chosen once more it is the same.
        let map = options.to_map();
        for (key, value) in &map {
            assert_eq!(
                find(key).map(|option| option.option_type),
                Some(value.option_type())
            );
        }
        assert_eq!(resolve(&map, &image).as_ref(), Ok(&options));
        assert_eq!(resolve(&map, &BTreeMap::new()), Ok(options));
    }
});
