// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Files of the guest with variables in them, and the variables that a client sends.
//!
//! Input: the text of a file, a NUL, and what the client sends, with NULs between names and values.

#![no_main]

use kapsule_proto::session::Bytes;
use libfuzzer_sys::fuzz_target;

#[path = "../../crates/kapsule-agent/src/account_file.rs"]
#[allow(dead_code)]
mod account_file;
#[path = "../../crates/kapsule-agent/src/serve/environment.rs"]
#[allow(dead_code)]
mod environment;
#[path = "../../crates/kapsule-agent/src/files.rs"]
#[allow(dead_code)]
mod files;

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.split(|byte| *byte == 0);
    let file = parts.next().unwrap_or_default();
    let mut environment: environment::Environment =
        environment::assignments(file).into_iter().collect();
    assert!(
        environment::to_strings(&environment).is_some(),
        "the file is the guest's fault, not ours"
    );

    let sent: Vec<&[u8]> = parts.collect();
    let pairs: Vec<(Bytes, Bytes)> = sent
        .chunks(2)
        .map(|pair| {
            (
                Bytes::from(pair[0]),
                Bytes::from(*pair.get(1).unwrap_or(&&b""[..])),
            )
        })
        .collect();
    if environment::add(&mut environment, &pairs).is_some() {
        let strings =
            environment::to_strings(&environment).expect("what was let in can be passed on");
        assert!(
            strings
                .iter()
                .all(|text| text.as_bytes().iter().position(|byte| *byte == b'=') > Some(0))
        );
    }
});
