// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The configuration: what is in force, and files that cannot be used.

use std::sync::{Mutex, MutexGuard, PoisonError};

use kapsule_system_tests::container::{Container, names};
use kapsule_system_tests::host::{ALICE, BOB, ROOT, shared};

const FILE: &str = "/home/bob/.config/kapsule/kapsule.conf";

/// Bob's own configuration, until this is dropped.
struct Own(#[expect(dead_code, reason = "held, not read")] MutexGuard<'static, ()>);

impl Own {
    fn new(make: &str) -> Self {
        static ONE: Mutex<()> = Mutex::new(());
        let own = Self(ONE.lock().unwrap_or_else(PoisonError::into_inner));
        BOB.sh(&format!(
            "mkdir -p ~/.config/kapsule && rm -rf {FILE} && cd ~/.config/kapsule && {make}"
        ))
        .ok();
        own
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        drop(ROOT.run(["rm", "-rf", FILE]));
    }
}

#[test]
fn the_users_file_wins() {
    let Some(_host) = shared() else { return };
    let config = ALICE.kapsule(["config", "--json"]).json();
    assert_eq!(
        config,
        serde_json::json!({ "default_container": "dev", "default_image": "local:debian", "isolation": "standard" })
    );
    assert_eq!(
        ALICE.kapsule(["config"]).ok(),
        "default_container = dev\ndefault_image = local:debian\nisolation = standard"
    );
    assert_eq!(
        ALICE.kapsule(["config", "default_image"]).ok(),
        "local:debian"
    );

    let _own = Own::new("printf '[kapsule]\\ndefault_container = t-default\\n' > kapsule.conf");
    let config = BOB.kapsule(["config", "--json"]).json();
    assert_eq!(
        config,
        serde_json::json!({ "default_container": "t-default", "default_image": "local:debian", "isolation": "standard" })
    );
    assert_eq!(ALICE.kapsule(["config", "default_container"]).ok(), "dev");
    // The administrator's matters are not the user's.
    let _more = BOB.sh(&format!("printf '[servers]\\nt-mine = https://example.org\\n[storage]\\npool = t-pool\\n' >> {FILE}")).ok();
    let unknown = BOB
        .kapsule(["create", "t-bad", "--image", "t-mine:x"])
        .failed();
    assert!(unknown.contains("Unknown server alias"), "{unknown}");
}

#[test]
fn the_default_container_is_made_on_first_use() {
    let Some(_host) = shared() else { return };
    let _own = Own::new("printf '[kapsule]\\ndefault_container = t-default\\n' > kapsule.conf");
    let container = Container::planned(BOB, "t-default");
    let mut shell = BOB.kapsule_command(["enter"]).tty().start();
    shell.write("echo \"I am $(id -un) in $(hostname)\"; exit 4\n");
    shell.wait_for("I am bob in t-default");
    shell.wait().ended(4);
    assert!(names(BOB).contains(&container.name.to_owned()));
    // An empty name is the same one; Konsole relies on it.
    assert_eq!(
        BOB.kapsule(["enter", "", "--", "hostname"]).ok(),
        "t-default"
    );
    assert_eq!(BOB.kapsule(["enter", "--", "hostname"]).ok(), "t-default");
    let kap = BOB.command(["kap"]).stdin("hostname; exit 6\n").run();
    assert_eq!(kap.ended(6).trim(), "t-default", "{kap}");
    let prepared = BOB.answer("PrepareEnter", &["sass", "", "0", ""], "(bsas)");
    assert_eq!(prepared[0][0], true, "{prepared}");
    // By name, too.
    BOB.kapsule(["rm", "--force", container.name]).ok();
    assert_eq!(BOB.enter(container.name, ["hostname"]).ok(), "t-default");
}

#[test]
fn a_default_that_cannot_be() {
    let Some(_host) = shared() else { return };
    let _own = Own::new(
        "printf '[kapsule]\\ndefault_container = ../x\\ndefault_image = t-nowhere:y\\n' > kapsule.conf",
    );
    let text = BOB.kapsule(["enter", "--", "true"]).failed();
    assert!(
        text.contains("../x") && text.contains("default_container"),
        "{text}"
    );
    let text = BOB.kapsule(["create", "t-bad"]).failed();
    assert!(text.contains("Unknown server alias"), "{text}");
}

/// Does the same with each file that cannot be used: the user hears of it, is not kept waiting, and
/// nobody else notices.
#[test]
fn files_that_cannot_be_used() {
    let Some(_host) = shared() else { return };
    for (what, make) in [
        ("malformed", "printf '[kapsule\\nnonsense' > kapsule.conf"),
        ("a FIFO", "mkfifo kapsule.conf"),
        ("huge", "truncate -s 3G kapsule.conf"),
        ("no text", "head -c 1000 /dev/urandom > kapsule.conf"),
        (
            "unreadable",
            "printf '[kapsule]\\ndefault_container = t-x\\n' > kapsule.conf; chmod 000 kapsule.conf",
        ),
        ("a folder", "mkdir kapsule.conf"),
        (
            "a link to the secret of another",
            "ln -s /etc/shadow kapsule.conf",
        ),
        ("a device", "ln -s /dev/zero kapsule.conf"),
        ("a link to itself", "ln -s kapsule.conf kapsule.conf"),
    ] {
        let _own = Own::new(make);
        let others = ALICE.kapsule_command(["config", "--json"]).start();
        let output = BOB.kapsule(["config", "--json"]);
        let config = output.json();
        assert_eq!(config["default_container"], "dev", "{what}: {output}");
        assert_eq!(config["default_image"], "local:debian", "{what}: {output}");
        let warning = config["warnings"].as_str().unwrap_or_default();
        assert!(warning.contains(FILE), "{what}: {output}");
        assert!(!output.all().contains("root:"), "{what}: {output}");
        others.wait().ok();
    }
}

#[test]
fn a_file_that_cannot_be_used_is_told_where_it_matters() {
    let Some(_host) = shared() else { return };
    let _own = Own::new("printf '[kapsule\\nnonsense' > kapsule.conf");
    let container = Container::planned(BOB, "t-warned");
    let output = BOB.kapsule(["create", container.name]);
    output.ok();
    assert!(output.errors().contains(FILE), "{output}");
}

#[test]
fn a_user_sets_what_is_theirs() {
    let Some(_host) = shared() else { return };
    let _own =
        Own::new("printf '# mine\\n[kapsule]\\ndefault_image = local:old\\n' > kapsule.conf");
    BOB.kapsule(["config", "set", "default_image", "local:debian"])
        .ok();
    BOB.kapsule(["config", "set", "default_container", "t-set"])
        .ok();
    BOB.kapsule(["config", "set", "environment.pass", "T_*"])
        .ok();
    let text = ROOT.run(["cat", FILE]).ok();
    assert_eq!(
        text,
        "# mine\n[kapsule]\ndefault_image = local:debian\ndefault_container = t-set\n\n[environment]\npass = T_*"
    );
    assert_eq!(ROOT.run(["stat", "-c", "%U", FILE]).ok(), "bob");
    assert_eq!(BOB.kapsule(["config", "default_container"]).ok(), "t-set");
    BOB.kapsule(["config", "unset", "default_container"]).ok();
    assert_eq!(BOB.kapsule(["config", "default_container"]).ok(), "dev");
    for (args, status) in [
        (&["config", "unset", "default_container"][..], 1),
        (&["config", "set", "default_container", "../x"], 2),
        (&["config", "set", "storage.pool", "default"], 2),
        (&["config", "set", "nonsense", "x"], 2),
        (&["config", "set", "default_image", "a\n[storage]"], 2),
    ] {
        BOB.kapsule(args).ended(status);
    }
    assert_eq!(
        BOB.kapsule(["config", "default_image"]).ok(),
        "local:debian"
    );
}

#[test]
fn an_administrator_sets_what_holds_for_all() {
    let Some(_host) = shared() else { return };
    const WRITTEN: &str = "/etc/kapsule/kapsule.conf.d/90-kapsule-config.conf";
    let known = |user: kapsule_system_tests::process::Session| {
        let create = user.kapsule(["create", "t-bad", "--image", "t-server:x"]);
        !create.failed().contains("Unknown server alias")
    };
    assert!(!known(BOB));
    let denied = BOB.kapsule([
        "config",
        "set",
        "--system",
        "servers.t-server",
        "https://127.0.0.1:1",
    ]);
    assert!(
        denied.failed().contains("change-system-defaults"),
        "{denied}"
    );
    assert!(!known(BOB));
    ROOT.kapsule([
        "config",
        "set",
        "--system",
        "servers.t-server",
        "https://127.0.0.1:1",
    ])
    .ok();
    let about = ROOT.run(["stat", "-c", "%U %a", WRITTEN]).ok();
    assert_eq!(about, "root 644");
    BOB.run(["cat", WRITTEN]).ok();
    assert!(known(BOB), "it counts at once, for everybody");
    for value in ["http://x", "https://", "x\n[storage]\npool = y"] {
        ROOT.kapsule(["config", "set", "--system", "servers.t-server", value])
            .ended(2);
    }
    ROOT.kapsule(["config", "unset", "--system", "servers.t-server"])
        .ok();
    assert!(!known(BOB));
    ROOT.run(["rm", "-f", WRITTEN]).ok();
}
