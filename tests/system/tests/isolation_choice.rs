// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Who chooses how far a container is kept apart: the caller, the configuration, the image; and what
//! is told about it afterwards.

use kapsule_system_tests::container::{Container, aliases, common, provided};
use kapsule_system_tests::host::{ALICE, BOB, ROOT, alone, shared};

/// The BusyBox image with other default options, and its end.
struct Wishful(&'static str);

impl Wishful {
    fn new(alias: &'static str, wishes: &str) -> Self {
        provided("busybox");
        let metadata = format!(
            "architecture: x86_64\ncreation_date: 1\nproperties:\n  os: BusyBox\n  \
             kapsule.default_options: '{wishes}'\n"
        );
        let script = format!(
            "set -e; d=$(mktemp -d); trap 'rm -rf $d' EXIT; cd $d; cat > metadata.yaml
            tar -cJf incus.tar.xz metadata.yaml
            cp /var/cache/kapsule-images/busybox/rootfs.squashfs .
            kapsule image import $d --alias {alias}"
        );
        let import = ROOT.command(["sh", "-c", &script]).stdin(metadata);
        import.run().ok();
        Self(alias)
    }

    fn image(&self) -> String {
        format!("local:{}", self.0)
    }
}

impl Drop for Wishful {
    fn drop(&mut self) {
        if aliases(ROOT).iter().any(|alias| alias == self.0) {
            drop(ROOT.kapsule(["image", "delete", self.0]));
        }
    }
}

fn level(container: &Container) -> String {
    container.info()["isolation"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn an_image_cannot_make_itself_privileged() {
    let Some(_host) = shared() else { return };
    let image = Wishful::new(
        "t-wants-more",
        r#"{"isolation":"privileged","mount_home":false}"#,
    );
    let container = Container::create(ALICE, "t-wants-more", &["--image", &image.image()]);
    assert_eq!(level(&container), "standard");
    let config = container.incus_config();
    assert!(
        config["config"]["security.privileged"].is_null(),
        "{config}"
    );
    assert_ne!(
        container.sh("cut -c1-23 /proc/self/uid_map"),
        "         0          0 4"
    );
    // Nor open what a sealed one is closed to.
    let open = Wishful::new(
        "t-wants-open",
        r#"{"isolation":"standard","mount_home":true,"host_rootfs":true,"gpu":true,"custom_mounts":["/srv"]}"#,
    );
    let sealed = Container::create(
        ALICE,
        "t-wants-open",
        &["--image", &open.image(), "--isolation", "sealed"],
    );
    let info = sealed.info();
    assert_eq!(info["isolation"], "sealed");
    for key in ["mount_home", "host_rootfs", "gpu"] {
        assert_eq!(info["options"][key], false, "{info}");
    }
    assert_eq!(info["mounts"].as_array().map(Vec::len), Some(0), "{info}");
}

#[test]
fn an_image_can_ask_for_less() {
    let Some(_host) = shared() else { return };
    let image = Wishful::new("t-wants-less", r#"{"isolation":"sealed","network":false}"#);
    let container = Container::create(ALICE, "t-wants-less", &["--image", &image.image()]);
    assert_eq!(level(&container), "sealed");
    assert_eq!(container.sh("ls /sys/class/net"), "lo");
    // The user knows better.
    let other = Container::create(
        ALICE,
        "t-knows-better",
        &[
            "--image",
            &image.image(),
            "--isolation",
            "standard",
            "--network",
        ],
    );
    assert_eq!(level(&other), "standard");
    // What this version cannot mean is not guessed.
    let strange = Wishful::new("t-wants-vm", r#"{"isolation":"vm"}"#);
    let said = ALICE
        .kapsule(["create", "t-wants-vm", "--image", &strange.image()])
        .failed();
    assert!(
        said.contains("the image asks") && said.contains("'vm'"),
        "{said}"
    );
}

#[test]
fn values_that_cannot_be() {
    let Some(_host) = shared() else { return };
    let said = ALICE
        .kapsule(["create", "t-cannot", "--isolation", "vm"])
        .failed();
    assert!(said.contains("cannot make virtual machines yet"), "{said}");
    ALICE
        .kapsule(["create", "t-cannot", "--isolation", "tight"])
        .ended(2);
    for (value, text) in [
        (
            &["s", "tight"][..],
            "is not a level of isolation: choose standard, sealed",
        ),
        (&["s", ""], "is not a level of isolation"),
        (&["b", "true"], "must be of type string"),
    ] {
        let args = [
            &["ssa{sv}", "t-cannot", "local:debian", "1", "isolation"][..],
            value,
        ]
        .concat();
        let ended = ALICE.operate("CreateContainer", &args);
        assert!(ended.error.contains(text), "{ended:?}");
    }
    let said = ALICE
        .kapsule([
            "create",
            "t-cannot",
            "--isolation",
            "privileged",
            "--no-network",
        ])
        .failed();
    assert!(
        said.contains("cannot be off in a privileged container"),
        "{said}"
    );
    ALICE.kapsule(["info", "t-cannot"]).failed();
}

/// What the next test writes, and its end.
struct Written;

impl Drop for Written {
    fn drop(&mut self) {
        drop(ROOT.sh(
            "rm -f /etc/kapsule/kapsule.conf.d/t-isolation.conf ~bob/.config/kapsule/kapsule.conf",
        ));
    }
}

#[test]
fn the_configuration_has_a_default() {
    // Alone, since it is everybody's file.
    let Some(_host) = alone() else { return };
    let _files = Written;
    let image = provided("busybox");
    let set = |value: &str| {
        BOB.sh(&format!(
            "mkdir -p ~/.config/kapsule; printf '[kapsule]\\nisolation = {value}\\n' > ~/.config/kapsule/kapsule.conf"
        ))
        .ok();
    };
    ROOT.sh("mkdir -p /etc/kapsule/kapsule.conf.d; printf '[kapsule]\\nisolation = sealed\\n' > /etc/kapsule/kapsule.conf.d/t-isolation.conf")
        .ok();
    let container = Container::create(BOB, "t-by-system", &["--image", &image]);
    assert_eq!(level(&container), "sealed");
    set("standard");
    let container = Container::create(BOB, "t-by-user", &["--image", &image]);
    assert_eq!(level(&container), "standard");
    // Saying it in a file is not the administrator's consent.
    set("privileged");
    let said = BOB
        .kapsule(["create", "t-by-wish", "--image", &image])
        .failed();
    assert!(said.contains("org.kde.kapsule.create-privileged"), "{said}");
    let container = Container::create(
        BOB,
        "t-by-hand",
        &["--image", &image, "--isolation", "standard"],
    );
    assert_eq!(level(&container), "standard");
    // A slip of the pen does not open anything.
    set("seald");
    let said = BOB
        .kapsule(["create", "t-by-slip", "--image", &image])
        .failed();
    assert!(
        said.contains("isolation = seald in the configuration"),
        "{said}"
    );
}

#[test]
fn what_is_told_of_the_home_is_so() {
    let Some(_host) = shared() else { return };
    ALICE.sh("echo mine > ~/t-mark").ok();
    for (args, told, found) in [
        (&[][..], "can read and write your home", "mine mine"),
        (
            &["--no-mount-home"],
            "finds yours among the host's files",
            "mine",
        ),
        (
            &["--no-mount-home", "--no-host-rootfs"],
            "cannot see your home folder",
            "",
        ),
    ] {
        let container = Container::create(ALICE, "t-homes", args);
        let text = ALICE.kapsule(["info", container.name]).ok();
        assert!(text.contains(told), "{told} in\n{text}");
        let marks = "echo $(cat ~/t-mark /.kapsule/host/home/alice/t-mark 2>/dev/null)";
        assert_eq!(container.sh(marks), found, "{args:?}");
    }
    ALICE.sh("rm ~/t-mark").ok();
}

#[test]
fn it_is_told_in_plain_words() {
    let Some(_host) = shared() else { return };
    let name = common().name;
    let text = ALICE.kapsule(["info", name]).ok();
    for line in [
        "Isolation   standard",
        "  can read and write your home folder",
        "  can read and write the host's files with your rights, under /.kapsule/host",
        "  its root is nobody on the host",
        "  can run Podman and Docker",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    let info = common().info();
    let facts = info["exposure"].as_array().unwrap();
    assert!(
        facts
            .iter()
            .any(|fact| fact["topic"] == "home" && fact["open"] == true),
        "{info}"
    );
    let list = ALICE.kapsule(["list"]).ok();
    let header = list.lines().next().unwrap_or_default();
    assert!(header.ends_with("ISOLATION"), "{list}");
    let row = list.lines().find(|line| line.starts_with(name)).unwrap();
    assert!(row.ends_with("standard"), "{list}");
    let schema = ALICE.answer("GetCreateSchema", &[], "s").to_string();
    assert!(
        schema.contains("choices") && schema.contains("sealed"),
        "{schema}"
    );
}

#[test]
fn containers_from_before_there_were_levels_are_standard() {
    let Some(_host) = shared() else { return };
    let container = Container::create(ALICE, "t-older", &["--image", &provided("busybox")]);
    for key in ["user.kapsule.isolation", "user.kapsule.network"] {
        ROOT.sh(&format!(
            "timeout 30 incus config unset --project kapsule-1000 t-older {key} </dev/null"
        ))
        .ok();
    }
    let info = container.info();
    assert_eq!(info["isolation"], "standard");
    assert_eq!(info["options"]["network"], true);
    ALICE.kapsule(["restart", "--force", container.name]).ok();
    assert_eq!(container.sh("id -un"), "alice");
}

#[test]
fn a_name_can_be_used_again_at_another_level() {
    let Some(_host) = shared() else { return };
    let image = provided("busybox");
    let look = "ls -A /.kapsule; id -u";
    for (isolation, seen) in [
        ("sealed", "bin\nrun\n1000"),
        ("standard", "bin\nhost\nrun\nshare\n1000"),
        ("sealed", "bin\nrun\n1000"),
    ] {
        let args = ["--image", &image, "--isolation", isolation];
        let container = Container::create(ALICE, "t-again", &args);
        assert_eq!(level(&container), isolation);
        assert_eq!(container.sh(look), seen, "{isolation}");
    }
}
