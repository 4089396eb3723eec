// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What the daemon tells the agent about its container: JSON, mounted where only the host writes.

#![no_main]

use kapsule_proto::spec::GuestSpec;
use libfuzzer_sys::fuzz_target;

#[path = "../../crates/kapsule-agent/src/account_file.rs"]
#[allow(dead_code)]
mod account_file;
#[path = "../../crates/kapsule-agent/src/boot/accounts/mod.rs"]
#[allow(dead_code)]
mod accounts;

fuzz_target!(|bytes: &[u8]| {
    let Ok(spec) = serde_json::from_slice::<GuestSpec>(bytes) else {
        return;
    };
    let text = serde_json::to_vec(&spec).expect("what was read can be written");
    let again: GuestSpec = serde_json::from_slice(&text).expect("and read");
    assert_eq!(again, spec);
    if account_file::is_possible(&spec.owner) {
        // One line stays one line with as many fields, whatever the account on the host is like.
        let mut files = accounts::AccountFiles::default();
        let wanted = accounts::Wanted {
            owner: &spec.owner,
            shell: b"/bin/sh",
            today: 1,
        };
        files.apply(&wanted);
        let passwd = files.passwd.render();
        assert_eq!(account_file::lines(&passwd).count(), 1, "{passwd:?}");
        assert!(
            account_file::user_by_id(&passwd, spec.owner.uid).is_some(),
            "{passwd:?}"
        );
    }
});
