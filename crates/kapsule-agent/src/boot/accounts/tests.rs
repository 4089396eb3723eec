// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

use super::*;
use crate::account_file::tests::alice;

fn files(passwd: &str, group: &str, shadow: &str, gshadow: &str) -> AccountFiles {
    AccountFiles {
        passwd: Table::parse(passwd.as_bytes()),
        group: Table::parse(group.as_bytes()),
        shadow: Some(Table::parse(shadow.as_bytes())),
        gshadow: Some(Table::parse(gshadow.as_bytes())),
        ..AccountFiles::default()
    }
}

fn text(table: &Table) -> String {
    String::from_utf8(table.render()).unwrap()
}

fn applied(mut files: AccountFiles, owner: &Owner) -> AccountFiles {
    let wanted = Wanted {
        owner,
        shell: b"/bin/bash",
        today: 20_000,
    };
    files.apply(&wanted);
    let once = files.clone();
    files.apply(&wanted);
    assert_eq!(files, once, "applying it twice is applying it once");
    for table in [&files.passwd, &files.group] {
        let rendered = table.render();
        let names = crate::account_file::lines(&rendered)
            .map(|line| crate::account_file::fields(line)[0])
            .filter(|name| *name == owner.name.as_bytes());
        assert!(names.count() <= 1, "no name twice");
    }
    files
}

const ROOT: &str = "root:x:0:0:root:/root:/bin/bash\n";
const ALICE: &str = "alice:x:1000:1000:Alice  A :/home/alice:/bin/bash\n";

#[test]
fn a_new_user_and_group() {
    let files = applied(
        files(
            ROOT,
            "root:x:0:\nsudo:x:27:\nvideo:x:44:bob\n",
            "root:*:1:0:99999:7:::\n",
            "root:*::\nsudo:*::\n",
        ),
        &alice(),
    );
    assert_eq!(text(&files.passwd), format!("{ROOT}{ALICE}"));
    assert_eq!(
        text(&files.group),
        "root:x:0:\nsudo:x:27:alice\nvideo:x:44:bob,alice\nalice:x:1000:\n"
    );
    assert_eq!(
        text(files.shadow.as_ref().unwrap()),
        "root:*:1:0:99999:7:::\nalice:!:20000:0:99999:7:::\n"
    );
    assert_eq!(
        text(files.gshadow.as_ref().unwrap()),
        "root:*::\nsudo:*::alice\nalice:!::\n"
    );
}

#[test]
fn the_images_user_with_the_uid_is_renamed() {
    let mut before = files(
        &format!("{ROOT}ubuntu:x:1000:1000:Ubuntu:/home/ubuntu:/bin/sh\n"),
        "sudo:x:27:ubuntu,x\nubuntu:x:1000:\n",
        "ubuntu:$6$known:0:0:99999:7::1:\n",
        "sudo:*:ubuntu:ubuntu,x\nubuntu:!::\n",
    );
    before.subuid = Table::parse(b"ubuntu:100000:65536\n");
    let files = applied(before, &alice());
    assert_eq!(text(&files.passwd), format!("{ROOT}{ALICE}"));
    assert_eq!(text(&files.group), "sudo:x:27:alice,x\nalice:x:1000:\n");
    assert_eq!(
        text(files.shadow.as_ref().unwrap()),
        "alice:!:20000:0:99999:7:::\n"
    );
    assert_eq!(
        text(files.gshadow.as_ref().unwrap()),
        "sudo:*:alice:alice,x\nalice:!::\n"
    );
    assert_eq!(text(&files.subuid), "alice:100000:65536\n");
}

#[test]
fn of_users_with_one_name_only_the_one_with_the_uid_becomes_the_owner() {
    let doubled = "ubuntu:x:2761:1000::/:/bin/sh\nubuntu:x:1000:1000::/:/bin/sh\n";
    let groups = "ubuntu:x:7:\nubuntu:x:1000:\n";
    let files = applied(files(&format!("{ROOT}{doubled}"), groups, "", ""), &alice());
    assert_eq!(text(&files.passwd), format!("{ROOT}{ALICE}"));
    assert_eq!(text(&files.group), "alice:x:1000:\n");
}

#[test]
fn a_system_group_keeps_its_name_at_the_second_boot_too() {
    let mut owner = alice();
    owner.group = "docker".into();
    let files = applied(files(ROOT, "docker:x:998:\n", "", ""), &owner);
    assert_eq!(
        text(&files.group),
        "docker:x:998:alice\ndocker-host:x:1000:\n"
    );
}

#[test]
fn a_namesake_with_another_uid_is_set_aside() {
    let files = applied(
        files(
            "alice:x:34:34:system:/var:/bin/sh\nalice-image:x:5:5::/:/bin/sh\n",
            "sudo:x:27:alice\nalice:x:1500:\n",
            "alice:*:1:0:99999:7:::\n",
            "",
        ),
        &alice(),
    );
    assert_eq!(
        text(&files.passwd),
        format!("alice-image2:x:34:34:system:/var:/bin/sh\nalice-image:x:5:5::/:/bin/sh\n{ALICE}")
    );
    assert_eq!(
        text(&files.group),
        "sudo:x:27:alice-image2,alice\nalice-image:x:1500:\nalice:x:1000:\n"
    );
    assert_eq!(
        text(files.shadow.as_ref().unwrap()),
        "alice-image2:*:1:0:99999:7:::\nalice:!:20000:0:99999:7:::\n"
    );
}

#[test]
fn both_at_once_and_doubles() {
    let files = applied(
        files(
            "alice:x:7:7::/:/bin/sh\nubuntu:x:1000:5::/u:/bin/sh\nagain:x:1000:5::/u:/bin/sh\n",
            "",
            "ubuntu:!:1:0:9:7:::\nagain:!:1:0:9:7:::\nalice:*:1:0:9:7:::\n",
            "",
        ),
        &alice(),
    );
    assert_eq!(
        text(&files.passwd),
        format!("alice-image:x:7:7::/:/bin/sh\n{ALICE}")
    );
    assert_eq!(
        text(files.shadow.as_ref().unwrap()),
        "alice:!:1:0:9:7:::\nalice-image:*:1:0:9:7:::\n"
    );
}

#[test]
fn what_the_user_changed_stays() {
    let files = applied(
        files(
            "alice:x:1000:1000:My Name:/home/alice:/usr/bin/fish\n",
            "alice:x:1000:bob\n",
            "alice:$6$mine:19000:0:99999:7:::\n",
            "",
        ),
        &alice(),
    );
    assert_eq!(
        text(&files.passwd),
        "alice:x:1000:1000:My Name:/home/alice:/usr/bin/fish\n"
    );
    assert_eq!(
        text(files.shadow.as_ref().unwrap()),
        "alice:$6$mine:19000:0:99999:7:::\n"
    );
}

#[test]
fn system_groups_keep_their_names() {
    let users = Owner {
        gid: 100,
        group: "staff".into(),
        ..alice()
    };
    let by_id = applied(files("", "users:x:100:\nstaff:x:50:\n", "", ""), &users);
    assert_eq!(text(&by_id.group), "users:x:100:\nstaff:x:50:\n");

    let other_id = Owner {
        gid: 985,
        group: "users".into(),
        ..alice()
    };
    let by_name = applied(files("", "users:x:100:\n", "", ""), &other_id);
    assert_eq!(text(&by_name.group), "users:x:100:\nusers-host:x:985:\n");
}

#[test]
fn without_shadow_the_password_is_locked_in_place() {
    let mut before = files("ubuntu:secret:1000:1000::/u:/bin/sh\n", "", "", "");
    before.shadow = None;
    before.gshadow = None;
    let files = applied(before, &alice());
    assert!(text(&files.passwd).starts_with("alice:!:1000:"));
    assert_eq!(files.shadow, None);
}

#[test]
fn what_is_not_understood_is_kept() {
    let odd = "# comment\n\n:::\n\u{1}\u{2}:x\nshort:x:1\nbig:x:99999999999:1:::\n";
    let before = files(&format!("{odd}+::::::"), "broken\n", "alice\n", "");
    let files = applied(before, &alice());
    assert_eq!(text(&files.passwd), format!("{odd}{ALICE}+::::::\n"));
    assert_eq!(text(&files.group), "broken\nalice:x:1000:\n");
    let binary: Vec<u8> = (0..=255).collect();
    let mut table = AccountFiles {
        passwd: Table::parse(&binary),
        ..AccountFiles::default()
    };
    table.apply(&Wanted {
        owner: &alice(),
        shell: b"/bin/sh",
        today: 1,
    });
    assert!(table.passwd.render().starts_with(&binary));
}

#[test]
fn large_files_are_no_trouble() {
    let mut passwd = String::new();
    for uid in 2000..60_000 {
        passwd.push_str(&format!("u{uid}:x:{uid}:{uid}::/home/u{uid}:/bin/sh\n"));
    }
    let files = applied(files(&passwd, &passwd, "", ""), &alice());
    assert!(text(&files.passwd).ends_with(ALICE));
}
