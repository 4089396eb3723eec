// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Folders of the host in containers: only what the user could reach themselves, whatever they do while
//! somebody looks away.

use kapsule_system_tests::container::Container;
use kapsule_system_tests::host::{BOB, ROOT, alone, shared};
use kapsule_system_tests::process::Output;

use crate::security::hostile_user;

/// Starts quickly, which gives the race more tries.
const IMAGE: &str = "local:busybox";

/// A folder that bob cannot reach, with one in it that he could read; and in bob's home two that take each
/// other's place: a folder with the same in it, and a symlink to the first.
struct Race {
    base: String,
    secret: String,
}

impl Race {
    fn new(name: &str) -> Self {
        let race = Self {
            base: format!("/home/bob/{name}"),
            secret: format!("/srv/{name}"),
        };
        let (base, secret) = (&race.base, &race.secret);
        ROOT.sh(&format!(
            "rm -rf {secret} && mkdir -p {secret}/inner && echo secret > {secret}/inner/whose && chmod 700 {secret}"
        ))
        .ok();
        BOB.sh(&format!(
            "rm -rf {base} && mkdir -p {base}/a/inner && echo mine > {base}/a/inner/whose && ln -s {secret} {base}/b"
        ))
        .ok();
        BOB.sh(&format!("cat {secret}/inner/whose")).failed();
        race
    }

    fn mount(&self) -> String {
        format!("{}/a/inner", self.base)
    }

    /// What a container shows there; nothing when it does not run.
    fn seen(&self, name: &str) -> String {
        // Incus may lose what a program writes that ends at once.
        let cat = format!("cat {}/whose; sleep 0.3", self.mount());
        let said = ROOT.run([
            "incus",
            "exec",
            "--project",
            "kapsule-1001",
            name,
            "--",
            "sh",
            "-c",
            &cat,
        ]);
        said.text().trim().to_owned()
    }
}

impl Drop for Race {
    fn drop(&mut self) {
        drop(ROOT.sh(&format!("rm -rf {} {}", self.base, self.secret)));
    }
}

#[test]
fn a_folder_that_is_exchanged_meanwhile_is_not_shown() {
    let Some(_host) = shared() else { return };
    import_busybox();
    let race = Race::new("t-race");
    let container = Container::planned(BOB, "t-race");
    let name = container.name;
    let program = hostile_user();
    let swap = format!("{0}/a {0}/b", race.base);
    let line = format!("exec {program} swap {swap} 600");
    let mut swapper = BOB.command(["sh", "-c", &line]).start();
    swapper.wait_for("swapping");
    // While it is made. Which folder is there is decided anew thousands of times a second.
    let create = [
        "create",
        name,
        "--image",
        IMAGE,
        "--no-mount-home",
        "--custom-mounts",
    ];
    let (mut made, mut refused) = (0, 0);
    for _ in 0..12 {
        let output = BOB.kapsule([&create[..], &[&race.mount()]].concat());
        assert_ne!(race.seen(name), "secret", "{output}");
        if output.status == 0 {
            made += 1;
            BOB.kapsule(["rm", "--force", name]).ok();
        } else {
            refused += 1;
            output.failed();
        }
    }
    // While it is started, by the daemon or by an administrator behind its back.
    drop(swapper);
    set_right(&race);
    BOB.kapsule([&create[..], &[&race.mount()]].concat()).ok();
    assert_eq!(race.seen(name), "mine");
    let mut swapper = BOB.command(["sh", "-c", &line]).start();
    swapper.wait_for("swapping");
    for round in 0..12 {
        let output = match round % 2 {
            0 => BOB.kapsule(["restart", "--force", name]),
            _ => {
                drop(ROOT.run([
                    "incus",
                    "stop",
                    "--force",
                    "--project",
                    "kapsule-1001",
                    name,
                ]));
                ROOT.run(["incus", "start", "--project", "kapsule-1001", name])
            }
        };
        assert_ne!(race.seen(name), "secret", "{output}");
        match race.seen(name).as_str() {
            "mine" => made += 1,
            _ => refused += 1,
        }
    }
    drop(swapper);
    assert!(made + refused == 24, "{made} {refused}");
    // Nothing of it sticks.
    set_right(&race);
    BOB.kapsule(["restart", "--force", name]).ok();
    assert_eq!(race.seen(name), "mine");
}

/// The race without luck: the folder is another one when the container is started behind the daemon's back.
#[test]
fn a_container_does_not_boot_with_another_folder() {
    let Some(host) = shared() else { return };
    import_busybox();
    let race = Race::new("t-other");
    let mount = race.mount();
    let args = [
        "--image",
        IMAGE,
        "--no-mount-home",
        "--custom-mounts",
        &mount,
    ];
    let container = Container::create(BOB, "t-other", &args);
    let name = container.name;
    assert_eq!(race.seen(name), "mine");
    BOB.kapsule(["stop", "--force", name]).ok();
    BOB.sh(&format!("cd {} && mv a c && mv b a", race.base))
        .ok();
    let start = || ROOT.run(["incus", "start", "--project", "kapsule-1001", name]);
    drop(start());
    assert_eq!(race.seen(name), "");
    // Incus takes a moment to notice.
    host.wait_until("it has stopped", || container.status() == "Stopped");
    let log = [
        "incus",
        "console",
        "--show-log",
        "--project",
        "kapsule-1001",
        name,
    ];
    assert!(ROOT.run(log).text().contains("not the folder"));
    // With the daemon it is not even tried.
    let said = BOB.kapsule(["start", name]).failed();
    assert!(
        said.contains(&mount) && said.contains("permission denied"),
        "{said}"
    );
    assert_eq!(container.status(), "Stopped");
    // A folder of one's own that was made anew is fine once the daemon has looked at it.
    BOB.sh(&format!(
        "cd {} && rm a && mkdir -p a/inner && echo anew > a/inner/whose",
        race.base
    ))
    .ok();
    BOB.kapsule(["start", name]).ok();
    assert_eq!(race.seen(name), "anew");
    drop(ROOT.run([
        "incus",
        "stop",
        "--force",
        "--project",
        "kapsule-1001",
        name,
    ]));
    start().ok();
    assert_eq!(race.seen(name), "anew");
}

#[test]
fn what_the_user_cannot_read_needs_an_administrator() {
    let Some(_host) = alone() else { return };
    import_busybox();
    let race = Race::new("t-beyond");
    let mount = format!("{}/inner", race.secret);
    let container = Container::planned(BOB, "t-beyond");
    let name = container.name;
    let create = |more: &[&str]| {
        let args = ["create", name, "--image", IMAGE, "--custom-mounts"];
        BOB.kapsule([&args[..], more].concat())
    };
    let said = create(&[&mount]).failed();
    assert!(
        said.contains(&mount)
            && said.contains("administrator")
            && said.contains("mount-beyond-own-rights"),
        "{said}"
    );
    // What is nobody's to share is not asked about.
    let said = create(&["/etc/ssl"]).failed();
    assert!(!said.contains("mount-beyond-own-rights"), "{said}");
    let missing = create(&["/srv/t-missing"]).failed();
    assert!(missing.contains("no such folder"), "{missing}");
    let rule = with_rule("org.kde.kapsule.mount-beyond-own-rights", "bob");
    create(&[&mount]).ok();
    let seen = || {
        let cat = format!("cat {mount}/whose");
        BOB.enter(name, ["sh", "-c", &cat]).text()
    };
    assert_eq!(seen().trim(), "secret");
    // The consent holds for this container and this folder, also without the rule.
    drop(rule);
    BOB.kapsule(["restart", "--force", name]).ok();
    assert_eq!(seen().trim(), "secret");
    let again = Container::planned(BOB, "t-beyond2");
    BOB.kapsule([
        "create",
        again.name,
        "--image",
        IMAGE,
        "--custom-mounts",
        &mount,
    ])
    .failed();
    // And not for another one by the same path.
    BOB.kapsule(["stop", "--force", name]).ok();
    ROOT.sh(&format!(
        "mv {0}/inner {0}/old && mkdir {0}/inner && echo other > {0}/inner/whose",
        race.secret
    ))
    .ok();
    let said = BOB.kapsule(["start", name]).failed();
    assert!(said.contains(&mount), "{said}");
    assert_ne!(container.status(), "Running");
}

#[test]
fn through_a_symlink_an_administrator_agrees_to_nothing() {
    let Some(_host) = alone() else { return };
    import_busybox();
    let race = Race::new("t-link");
    let container = Container::planned(BOB, "t-link");
    let _rule = with_rule("org.kde.kapsule.mount-beyond-own-rights", "bob");
    let mount = format!("{}/b/inner", race.base);
    let args = [
        "create",
        container.name,
        "--image",
        IMAGE,
        "--custom-mounts",
        &mount,
    ];
    let said = BOB.kapsule(args).failed();
    assert!(said.contains(&mount), "{said}");
}

/// As on systems where `/home` is `/var/home`.
#[test]
fn a_home_behind_a_symlink_works() {
    let Some(_host) = alone() else { return };
    import_busybox();
    let user = "t-linked";
    let cleanup = "userdel -f t-linked; rm -rf /var/t-home /t-home /run/t-linked; true";
    drop(ROOT.sh(cleanup));
    let made = ROOT.sh(&format!(
        "mkdir -p /var/t-home && ln -s var/t-home /t-home &&
        useradd --create-home --base-dir /var/t-home --shell /bin/sh {user} && usermod --home /t-home/{user} {user} &&
        su {user} -c 'mkdir ~/shared ~/.config; echo here > ~/shared/file'"
    ));
    let as_user = |command: &str| -> Output {
        // Without a session: their own bus is not needed.
        ROOT.run(["su", user, "-c", command])
    };
    let tried = std::panic::catch_unwind(|| {
        made.ok();
        as_user(&format!("kapsule create t-home --image {IMAGE} </dev/null")).ok();
        let said = as_user("cd && kapsule enter t-home -- sh -c 'pwd; cat shared/file' </dev/null");
        assert_eq!(said.ok(), "/t-home/t-linked\nhere");
        as_user("kapsule restart --force t-home").ok();
        as_user("kapsule rm --force t-home").ok();
        // Only a part of it.
        let create =
            "kapsule create t-home --no-mount-home --no-host-rootfs --custom-mounts '~/shared'";
        as_user(&format!("{create} --image {IMAGE} </dev/null")).ok();
        let said = as_user("kapsule enter t-home -- sh -c 'cat ~/shared/file' </dev/null");
        assert_eq!(said.ok(), "here");
    });
    drop(as_user("kapsule rm --force t-home"));
    drop(ROOT.sh(cleanup));
    if let Err(panic) = tried {
        std::panic::resume_unwind(panic);
    }
}

fn set_right(race: &Race) {
    let base = &race.base;
    BOB.sh(&format!(
        "cd {base} && if test -L a; then mv a c && mv b a && mv c b; fi"
    ))
    .ok();
}

/// Has a rule allow an action to a user, as long as it lives.
fn with_rule(action: &str, user: &str) -> Rule {
    let file = "/etc/polkit-1/rules.d/00-t-mounts.rules".to_owned();
    ROOT.sh(&format!(
        "cat > {file} <<'END'
polkit.addRule(function(action, subject) {{
    if (action.id == '{action}' && subject.user == '{user}') return polkit.Result.YES;
}});
END"
    ))
    .ok();
    // Polkit sees it by itself, within a moment.
    std::thread::sleep(std::time::Duration::from_secs(2));
    Rule(file)
}

struct Rule(String);

impl Drop for Rule {
    fn drop(&mut self) {
        drop(ROOT.sh(&format!("rm -f {}", self.0)));
        std::thread::sleep(std::time::Duration::from_secs(2));
    }
}

/// Imports the small image as root, if nobody has yet.
pub(crate) fn import_busybox() {
    let has = ROOT.kapsule(["image", "list"]).text().contains("busybox");
    if !has {
        let folder = "/var/cache/kapsule-images/busybox";
        drop(ROOT.kapsule(["image", "import", folder, "--alias", "busybox"]));
    }
}
