// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Files of cookies of X servers (Xauth.h).
//!
//! Input: a display, a NUL, and the text of a file.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/kapsule-cli/src/environment/xauthority.rs"]
#[allow(dead_code, unreachable_pub)]
mod xauthority;

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let display = parts.next().unwrap_or_default();
    let file = parts.next().unwrap_or_default();
    if let Some((number, cookie)) = xauthority::cookie(display, file, b"host") {
        assert!(
            !number.is_empty() && number.iter().all(u8::is_ascii_digit),
            "it becomes part of a file's name"
        );
        // What is written is found again, on a machine of any name.
        let written = xauthority::wild(number, cookie);
        let again = xauthority::cookie(display, &written, b"other");
        assert_eq!(again, Some((number, cookie)));
    }
});
