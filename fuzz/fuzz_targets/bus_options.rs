// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Options as a caller on the bus sends them: an `a{sv}` of any bytes.

#![no_main]

use std::collections::{BTreeMap, HashMap};

use libfuzzer_sys::fuzz_target;
use zbus::OwnedVariant;
use zbus::wire::LE;
use zbus::wire::serialized::{Context, Data};

#[path = "../../crates/kapsule-daemon/src/error.rs"]
#[allow(dead_code)]
mod error;
#[path = "../../crates/kapsule-daemon/src/bus/options.rs"]
mod options;

fuzz_target!(|bytes: &[u8]| {
    // The bus lets no longer message through than this, and most are far shorter.
    let data = Data::new(bytes, Context::new(LE, 0));
    let Ok((options, _)) = data.deserialize::<HashMap<String, OwnedVariant>>() else {
        return;
    };
    let count = options.len();
    if let Ok(read) = options::from_bus(options) {
        assert_eq!(read.len(), count);
        let _ = kapsule_core::options::resolve(
            &read,
            &BTreeMap::new(),
            kapsule_core::isolation::Isolation::default(),
        );
    }
});
