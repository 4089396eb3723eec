// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What others could read: command lines, the journal.

use kapsule_system_tests::container::common;
use kapsule_system_tests::host::{ALICE, BOB, ROOT, shared};

#[test]
fn s07_variables_are_on_no_command_line() {
    let Some(_host) = shared() else { return };
    let secret = "t-s07-Swordfish";
    let script = format!(
        "export MY_TOKEN={secret} KONSOLE_DBUS_ACTIVATION_COOKIE={secret} EDITOR={secret}
        exec kapsule enter --env MY_TOKEN {} -- sh -c 'echo $MY_TOKEN $EDITOR $KONSOLE_DBUS_ACTIVATION_COOKIE; sleep 1000'",
        common().name
    );
    // As input, so that the test itself puts it on no command line.
    let mut session = ALICE.command(["sh"]).start();
    session.write(format!("{script}\n"));
    session.wait_for(secret);
    assert_eq!(
        session.stdout().trim(),
        format!("{secret} {secret}"),
        "what was asked for, and no more"
    );
    let seen = BOB.sh("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep -c sleep; cat /proc/[0-9]*/cmdline 2>/dev/null | grep -c Swordfis[h]");
    let said = seen.text();
    let counts: Vec<&str> = said.lines().collect();
    assert_ne!(
        counts.first(),
        Some(&"0"),
        "bob sees command lines at all: {seen}"
    );
    assert_eq!(counts.last(), Some(&"0"), "{seen}");
    let journal = ROOT
        .sh("journalctl --since=-10min --output=cat | grep -c Swordfis[h]")
        .text();
    assert_eq!(journal.trim(), "0");
}

#[test]
fn s14_the_journal_tells_no_content() {
    let Some(_host) = shared() else { return };
    let word = "t-s14-Contents";
    let name = common().name;
    ALICE
        .call("PrepareEnter", &["sass", name, "1", word, ""])
        .ok();
    ALICE.enter(name, ["echo", word]).ok();
    let journal = ROOT
        .sh("journalctl --unit=kapsule-daemon.service --since=-10min --output=json --all | grep -c t-s14-Content[s]")
        .text();
    assert_eq!(journal.trim(), "0");
}
