// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Options of the session, changed while the container runs.

use kapsule_system_tests::bus::{CONTAINERS, ROOT_PATH, path_in};
use kapsule_system_tests::container::{Container, common};
use kapsule_system_tests::host::{ALICE, ROOT, shared};

use super::display::x_server;
use super::{hosts, inside};

#[test]
fn the_display_is_taken_and_given_back() {
    let Some(host) = shared() else { return };
    let container = Container::create(ALICE, "t-set", &[]);
    let _server = x_server(&host, 73);
    let session = "export DISPLAY=:73 XAUTHORITY=$HOME/t-cookie-73;";
    let seen = |expected: &str| {
        let script = "test -S /tmp/.X11-unix/X73 && echo $DISPLAY";
        host.wait_until("the display is there, or not", || {
            inside(&container, session, script).text().trim() == expected
        });
    };
    let told = |text: &str| {
        let facts = container.info()["exposure"].to_string();
        assert!(facts.contains(text), "{facts}");
    };
    let pid = container.sh("cat /proc/sys/kernel/random/boot_id; stat -c %Z /proc/1");
    seen(":73");
    told("can show windows on your display");
    assert_eq!(container.info()["options"]["display"], true);
    ALICE.kapsule(["set", container.name, "--no-display"]).ok();
    seen("");
    told("is not given your display, though");
    assert_eq!(container.info()["options"]["display"], false);
    // It stays so.
    ALICE.kapsule(["restart", "--force", container.name]).ok();
    seen("");
    ALICE.kapsule(["set", container.name, "--display"]).ok();
    seen(":73");
    let again = ALICE.kapsule(["set", container.name, "--display"]);
    assert!(again.all().contains("is so already"), "{again}");
    assert!(!pid.is_empty());
    ALICE.sh("rm -f ~/t-cookie-73").ok();
}

#[test]
fn what_cannot_be_changed_is_refused() {
    let Some(_host) = shared() else { return };
    let sealed = Container::create(ALICE, "t-set-sealed", &["--isolation", "sealed"]);
    let container = common();
    let before = container.info()["options"].clone();
    for (name, line, expected) in [
        (container.name, "--no-gpu", "option 'gpu' is decided"),
        (
            container.name,
            "--no-gpu --no-sound",
            "option 'gpu' is decided",
        ),
        (
            container.name,
            "--isolation sealed",
            "option 'isolation' is decided",
        ),
        (sealed.name, "--display", "in a sealed container"),
        (container.name, "", "what to change"),
        ("t-nothing", "--no-sound", "there is no container"),
    ] {
        let all = [
            &["set", name][..],
            &line.split_whitespace().collect::<Vec<_>>(),
        ]
        .concat();
        let text = ALICE.kapsule(all).failed();
        assert!(text.contains(expected), "{line}: {text}");
    }
    assert_eq!(container.info()["options"], before);
    // The same over the bus, where the answer is an operation.
    let method = format!("{CONTAINERS}.SetOptions");
    for (args, expected) in [
        (["sound", "s", "loud"], "must be of type boolean"),
        (["nothing", "b", "true"], "unknown options: nothing"),
    ] {
        let args = [&["sa{sv}", container.name, "1"][..], &args].concat();
        let ended = ALICE.finish(&path_in(&ALICE.call_at(ROOT_PATH, &method, &args)));
        assert_eq!(ended.status, "failed");
        assert!(ended.error.contains(expected), "{}", ended.error);
    }
}

/// The host's fonts and icons are found by the rules of the desktop, and nothing is over what packages own.
#[test]
fn the_look_of_the_host() {
    let Some(host) = shared() else { return };
    let container = Container::create(ALICE, "t-look", &[]);
    let font = ROOT
        .sh("fc-list --format '%{file}\\n' | grep ^/usr/share/fonts | sort | head -n 1")
        .ok();
    let fonts = format!(
        "printf '<fontconfig><include>/etc/fonts/conf.d</include><cachedir>/tmp/fonts</cachedir></fontconfig>' > /tmp/t-fonts; \
         FONTCONFIG_FILE=/tmp/t-fonts {} --format '%{{file}}\\n'",
        hosts("fc-list")
    );
    let listed = container.sh(&fonts);
    assert!(
        listed.contains(&format!("/.kapsule/host{font}")),
        "{font} in {listed}"
    );
    let icons = "for dir in $(echo $XDG_DATA_DIRS | tr : ' '); do ls $dir/icons/hicolor/index.theme 2>/dev/null; done; true";
    assert!(
        container
            .sh(icons)
            .contains("/.kapsule/share/icons/hicolor/index.theme"),
        "{}",
        container.sh("echo $XDG_DATA_DIRS")
    );
    // Programs of the host are not offered inside.
    assert_eq!(
        container.sh("ls /.kapsule/share/applications 2>/dev/null; true"),
        ""
    );
    // The image is without documentation, and settings are there to be changed.
    let owned = "dpkg -S /etc/fonts/conf.d/60-kapsule-host.conf /usr/local/bin/xdg-open 2>/dev/null; \
                 dpkg --verify | grep -v '^missing\\|^[^ ]* c ' | head; true";
    assert_eq!(container.sh(owned), "");

    ALICE.kapsule(["set", container.name, "--no-look"]).ok();
    host.wait_until("the fonts are gone", || {
        !container.sh(&fonts).contains(&font)
    });
    assert!(!container.sh("echo $XDG_DATA_DIRS").contains("kapsule"));

    // Where the host's files are not shown, nothing leads to them.
    let without = Container::create(ALICE, "t-lookless", &["--no-host-rootfs"]);
    let left = "echo $XDG_DATA_DIRS $XCURSOR_PATH; ls -d /.kapsule/share /etc/fonts/conf.d/60-kaps* 2>/dev/null; true";
    assert_eq!(without.sh(left), "");
}
