// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The guest's account files, as its root may have left them: the agent makes the owner's account in them
//! before anything else runs.
//!
//! Input: one byte that says who the owner is, then passwd, group, shadow, gshadow, subuid, subgid and a map
//! of user numbers with a NUL between them.

#![no_main]

use kapsule_proto::spec::Owner;
use libfuzzer_sys::fuzz_target;

#[path = "../../crates/kapsule-agent/src/account_file.rs"]
#[allow(dead_code)]
mod account_file;
#[path = "../../crates/kapsule-agent/src/boot/accounts/mod.rs"]
#[allow(dead_code)]
mod accounts;
#[path = "../../crates/kapsule-agent/src/boot/subids.rs"]
#[allow(dead_code)]
mod subids;

use account_file::{Table, is_possible, user_by_id};
use accounts::{AccountFiles, Wanted};

fuzz_target!(|bytes: &[u8]| {
    let Some((who, files)) = bytes.split_first() else {
        return;
    };
    let owner = owner(*who);
    assert!(is_possible(&owner));
    let mut parts = files.split(|byte| *byte == 0);
    let mut table = || Table::parse(parts.next().unwrap_or_default());
    let mut files = AccountFiles {
        passwd: table(),
        group: table(),
        shadow: Some(table()),
        gshadow: Some(table()),
        subuid: table(),
        subgid: table(),
    };
    let map = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    if who & 0x80 != 0 {
        (files.shadow, files.gshadow) = (None, None);
    }

    let wanted = Wanted {
        owner: &owner,
        shell: b"/bin/bash",
        today: 20_000,
    };
    let apply = |files: &mut AccountFiles| {
        files.apply(&wanted);
        subids::add(&mut files.subuid, &owner.name, owner.uid, &map);
        subids::add(&mut files.subgid, &owner.name, owner.uid, &map);
    };
    apply(&mut files);

    // The owner is there, once, under the right name, and with the right group.
    let passwd = files.passwd.render();
    let user = user_by_id(&passwd, owner.uid).expect("the owner has an account");
    assert_eq!((user.name, user.gid), (owner.name.as_bytes(), owner.gid));
    let namesakes = account_file::lines(&passwd)
        .filter_map(account_file::user)
        .filter(|user| user.name == owner.name.as_bytes());
    assert_eq!(namesakes.count(), 1);

    // It settles: at the next boot nothing changes, and what is written is read as the same.
    let once = files.clone();
    apply(&mut files);
    assert_eq!(files, once);
    assert_eq!(Table::parse(&passwd).render(), passwd);
});

fn owner(who: u8) -> Owner {
    let (uid, gid, name, group) = match who & 3 {
        0 => (1000, 1000, "alice", "alice"),
        1 => (1000, 100, "alice", "users"),
        2 => (60_000, 27, "video", "sudo"),
        _ => (4_294_967_294, 1, "d", "e"),
    };
    Owner {
        uid,
        gid,
        name: name.to_owned(),
        group: group.to_owned(),
        gecos: "Alice,:\n,,".to_owned(),
        home: "/home/alice".to_owned(),
        home_mounted: true,
        shell: "/bin/bash".to_owned(),
    }
}
