// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Configuration files, a user's own among them, and what is done with their values.

#![no_main]

use kapsule_core::image::is_server_name;
use kapsule_core::settings::{Fragment, Settings};
use libfuzzer_sys::fuzz_target;

#[path = "../../crates/kapsule-cli/src/environment/pattern.rs"]
#[allow(dead_code)]
mod pattern;
#[path = "../../crates/kapsule-daemon/src/service/subnet.rs"]
#[allow(dead_code)]
mod subnet;

fuzz_target!(|text: &str| {
    let Ok(fragment) = Fragment::parse(text) else {
        return;
    };
    let rules = &fragment.environment;
    for pattern in rules.pass.iter().chain(&rules.drop) {
        // A name stands for itself, and a pattern without a star for nothing else.
        if !pattern.contains('*') {
            assert!(pattern::matches(pattern.as_bytes(), pattern.as_bytes()));
        }
        pattern::matches(pattern.as_bytes(), text.as_bytes());
        assert!(pattern::matches(b"*", pattern.as_bytes()));
    }
    for (name, address) in &fragment.servers {
        assert!(is_server_name(name), "{name:?}");
        let safe = address.starts_with("https://") || address.starts_with("http://127.0.0.1:");
        assert!(safe, "{address:?}");
    }

    // What a user writes must not decide about what is the administrator's.
    let user = fragment.clone().restricted_to_user();
    let mut merged = Settings::merge(std::slice::from_ref(&user));
    let built_in = Settings::default();
    assert_eq!(merged.servers, built_in.servers);
    assert_eq!(merged.pool, built_in.pool);
    assert_eq!(merged.subnets, built_in.subnets);

    merged = Settings::merge(&[user, fragment]);
    if let Some(range) = subnet::Subnet::parse(&merged.subnets) {
        let taken = subnet::routes(text);
        if let Some(gateway) = subnet::first_free(range, &taken) {
            assert!(subnet::Subnet::parse(&gateway).is_some(), "{gateway:?}");
        }
    }
});
