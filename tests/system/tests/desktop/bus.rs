// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The host's session bus: notifications are shown, links and files are opened on the host.

use kapsule_system_tests::container::{Container, common};
use kapsule_system_tests::host::{ALICE, Host, alone, shared};
use kapsule_system_tests::process::Running;

use super::display::{compositor, x_server};
use super::{hosts, inside, server};

#[test]
fn notifications() {
    let Some(host) = alone() else { return };
    let container = common();
    let (_server, display) = compositor(&host, "t-sway-mako");
    let _mako = server(&format!("WAYLAND_DISPLAY={display} exec mako"));
    host.wait_until("somebody shows notifications", || {
        ALICE
            .sh("busctl --user status org.freedesktop.Notifications")
            .status
            == 0
    });
    inside(
        container,
        "",
        &format!("{} 't title' 't body of it'", hosts("notify-send")),
    )
    .ok();
    host.wait_until("it is shown", || {
        ALICE.sh("makoctl list").all().contains("t title")
    });
    ALICE.sh("rm -f ~/t-sway-mako ~/t-sway-mako.conf").ok();
}

/// A display that the host's portals can be on, which is where a desktop says that it is: in the
/// environment of the user's service manager.
struct Portals(#[allow(dead_code, reason = "held, not read")] Running);

impl Portals {
    fn start(host: &Host) -> Self {
        let display = x_server(host, 74);
        ALICE
            .sh(
                "systemctl --user set-environment DISPLAY=:74 XAUTHORITY=$HOME/t-cookie-74 XDG_CURRENT_DESKTOP=GNOME; \
                 systemctl --user reset-failed; systemctl --user start xdg-desktop-portal.service",
            )
            .ok();
        Self(display)
    }
}

impl Drop for Portals {
    fn drop(&mut self) {
        drop(ALICE.sh(
            "systemctl --user unset-environment DISPLAY XAUTHORITY XDG_CURRENT_DESKTOP; \
             systemctl --user stop 'xdg-desktop-portal*'; rm -f ~/t-cookie-74",
        ));
    }
}

/// A program on the host that opens links and texts, by the rules of the desktop: it notes which.
const HANDLER: &str = "mkdir -p ~/.local/share/applications ~/.config && \
    printf '#!/bin/sh\\nprintf \"%%s\\\\n\" \"$1\" >> ~/t-opened\\n' > ~/t-handler && chmod +x ~/t-handler && \
    printf '[Desktop Entry]\\nType=Application\\nName=T\\nExec=/home/alice/t-handler %%u\\nMimeType=x-scheme-handler/https;text/plain;\\n' \
        > ~/.local/share/applications/t-handler.desktop && \
    printf '[Default Applications]\\nx-scheme-handler/https=t-handler.desktop\\ntext/plain=t-handler.desktop\\n' \
        > ~/.config/mimeapps.list; rm -f ~/t-opened";

#[test]
fn links_and_files_open_on_the_host() {
    let Some(host) = alone() else { return };
    let container = common();
    let _portals = Portals::start(&host);
    ALICE.sh(HANDLER).ok();
    let opens = |script: &str, what: &str| {
        ALICE.sh("rm -f ~/t-opened").ok();
        inside(container, "", script).ok();
        host.wait_until("it is opened on the host", || {
            ALICE.sh("cat ~/t-opened").text().contains(what)
        });
    };
    let link = "https://example.org/?a=$HOME&b=%20x#part";
    for program in ["xdg-open", "$BROWSER"] {
        opens(&format!("{program} '{link}'"), link);
    }
    opens(
        "echo text > ~/'t a text.txt'; cd ~ && xdg-open 't a text.txt'",
        "t a text.txt",
    );

    // What the host does not have is not opened there, and it is said why.
    let private = inside(
        container,
        "",
        "echo x > /tmp/t-x.txt; xdg-open /tmp/t-x.txt",
    );
    let why = private.failed();
    assert!(why.contains("this container's alone"), "{private}");
    assert_eq!(private.status, 4);
    let missing = inside(container, "", "xdg-open /no/such/file");
    assert!(missing.failed().contains("/no/such/file"), "{missing}");
    assert_eq!(missing.status, 2);
    ALICE
        .sh("rm -rf ~/t-* ~/.local/share/applications/t-handler.desktop ~/.config/mimeapps.list")
        .ok();
}

/// Without the bus, the guest has its own `xdg-open`, or none.
#[test]
fn a_container_without_the_bus_opens_nothing_there() {
    let Some(host) = shared() else { return };
    let container = Container::create(ALICE, "t-busless", &["--no-session-bus"]);
    let has = |expected: &str| {
        host.wait_until("xdg-open is there, or not", || {
            container.sh("command -v xdg-open || echo none") == expected
        });
    };
    has("none");
    let direct = "/.kapsule/bin/kapsule-open https://example.org/";
    let refused = inside(&container, "", direct).failed();
    assert!(
        refused.contains("kapsule set NAME --session-bus"),
        "{refused}"
    );
    let address = "echo $DBUS_SESSION_BUS_ADDRESS";
    assert!(!container.sh(address).contains("/.kapsule/"));
    ALICE.kapsule(["set", container.name, "--session-bus"]).ok();
    has("/usr/local/bin/xdg-open");
    assert_eq!(
        container.sh(address),
        "unix:path=/.kapsule/host/run/user/1000/kapsule/bus"
    );
    ALICE
        .kapsule(["set", container.name, "--no-session-bus"])
        .ok();
    has("none");
}
