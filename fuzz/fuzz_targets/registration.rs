// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The one packet that a container's agent sends to the daemon, and what the agent gets from there.

#![no_main]

use std::fmt::Debug;

use kapsule_proto::registration::{Hello, MAX_PACKET, ToAgent, decode, encode};
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;

fuzz_target!(|bytes: &[u8]| {
    if bytes.len() <= MAX_PACKET {
        round_trip::<Hello>(bytes);
        round_trip::<ToAgent>(bytes);
    }
});

fn round_trip<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) {
    if let Ok(packet) = decode::<T>(bytes) {
        let again = encode(&packet).expect("what was decoded can be encoded");
        assert!(again.len() <= MAX_PACKET);
        assert_eq!(decode::<T>(&again).expect("and decoded"), packet);
    }
}
