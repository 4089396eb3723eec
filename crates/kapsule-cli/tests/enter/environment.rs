// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What a session is asked for with.

use kapsule_proto::session::{Open, Shell};

use crate::bus::{Bus, Service};
use crate::client::{end, kapsule};

/// What the agent is asked for; the user's configuration is `config`.
fn request(config: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Open {
    let bus = Bus::start(Service::Opens);
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".config/kapsule");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("kapsule.conf"), config).unwrap();
    let mut process = kapsule(&bus.address(), home.path(), arguments)
        .envs(variables.iter().copied())
        .spawn()
        .unwrap();
    let (open, _) = bus.agent().request();
    end(&mut process);
    open
}

fn variables(open: &Open) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    open.env
        .iter()
        .map(|(name, value)| format!("{}={}", text(name), text(value)))
        .collect()
}

#[test]
fn the_table_the_configuration_and_the_command_line() {
    let open = request(
        "[environment]\npass = MY_* KONSOLE_* TOKEN_NAMED\ndrop = TERM\n",
        &["enter", "dev", "--env", "ASKED=for", "--", "a b", "", "\n"],
        &[
            ("MY_OWN", "1"),
            ("MY_TOKEN", "2"),
            ("TOKEN_NAMED", "3"),
            ("KONSOLE_DBUS_ACTIVATION_COOKIE", "4"),
            ("LC_TIME", "5"),
            ("OTHER", "6"),
        ],
    );
    let mut passed = variables(&open);
    passed.sort();
    assert_eq!(
        passed,
        ["ASKED=for", "LC_TIME=5", "MY_OWN=1", "TOKEN_NAMED=3"]
    );
    assert_eq!(open.argv, ["a b", "", "\n"].map(str::as_bytes));
}

#[test]
fn what_the_shell_has_to_do_with_it() {
    for (arguments, shell) in [
        (&["enter", "dev"][..], Shell::Login),
        (&["enter", "dev", "--no-login"], Shell::Plain),
        (&["enter", "dev", "--", "x"], Shell::Plain),
        (&["enter", "dev", "--login", "--", "x"], Shell::Login),
        (&["enter", "dev", "--no-shell", "x"], Shell::Without),
    ] {
        assert_eq!(request("", arguments, &[]).shell, shell, "{arguments:?}");
    }
}
