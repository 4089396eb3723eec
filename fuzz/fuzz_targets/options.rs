// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Options as JSON: an image's defaults, from its metadata, and a caller's choices beside them.
//!
//! Input: two texts with a NUL between them.

#![no_main]

use std::collections::BTreeMap;

use kapsule_core::isolation::Isolation;
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
    for default in Isolation::ALL {
        let Ok(options) = resolve(&caller, &image, default) else {
            continue;
        };
        // What was chosen is told back, each value with the type that the schema has.
        let map = options.to_map();
        for (key, value) in &map {
            assert_eq!(
                find(key).map(|option| option.option_type),
                Some(value.option_type())
            );
        }
        // An image makes it stricter and never weaker.
        if let Ok(alone) = resolve(&caller, &BTreeMap::new(), default) {
            let levels = Isolation::ALL;
            let strictness = |level| levels.iter().position(|known| *known == level);
            let with_image = resolve(&caller, &image, default).map(|options| options.isolation);
            assert!(with_image.is_ok_and(|level| strictness(level) >= strictness(alone.isolation)));
        }
    }
});
