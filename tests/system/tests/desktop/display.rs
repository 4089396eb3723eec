// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Windows of programs inside are on the user's screen, and screenshots show them.

use kapsule_system_tests::container::{Container, common};
use kapsule_system_tests::host::{ALICE, Host, alone, shared};
use kapsule_system_tests::process::Running;

use super::{hosts, inside, inside_meanwhile, pixels, portable, server};

/// Nothing else on a screen has this colour.
const COLOUR: [u8; 3] = [0x12, 0xab, 0x34];

/// An X server of alice's, with a cookie under the host's name as display managers write it.
pub(super) fn x_server(host: &Host, number: u32) -> Running {
    let running = server(&format!(
        "rm -f ~/t-cookie-{number}; \
         xauth -f ~/t-cookie-{number} add :{number} . $(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \\n') && \
         exec Xvfb :{number} -screen 0 320x240x24 -auth ~/t-cookie-{number} -nolisten tcp"
    ));
    let socket = format!("/tmp/.X11-unix/X{number}");
    host.wait_until("the X server listens", || {
        ALICE.run(["test", "-S", &socket]).status == 0
    });
    running
}

fn x_screenshot(number: u32) -> Vec<u8> {
    let line =
        format!("XAUTHORITY=~/t-cookie-{number} xwd -root -silent -display :{number} < /dev/null");
    let shot = ALICE.sh(&line);
    shot.ok();
    shot.stdout
}

pub(super) fn assert_drawn_on_x(
    host: &Host,
    number: u32,
    container: &Container,
    xlogo: &str,
    session: &str,
) {
    // As the server has it in memory, whatever that machine's order is: blue first on all of ours.
    let [red, green, blue] = COLOUR;
    let drawn = || pixels(&x_screenshot(number), [blue, green, red]);
    assert_eq!(drawn(), 0);
    let draw = format!("{xlogo} -geometry 320x240+0+0 -bg '#12ab34' -fg '#12ab34'");
    let mut window = inside_meanwhile(container, session, &draw);
    host.wait_until("the window is on the screen", || {
        assert!(window.is_running(), "{}", window.stderr());
        drawn() > 10_000
    });
    drop(window);
    host.wait_until("the window is gone", || drawn() == 0);
}

#[test]
fn x11_with_its_cookie() {
    let Some(host) = shared() else { return };
    let container = common();
    let _server = x_server(&host, 71);
    let session = "export DISPLAY=:71 XAUTHORITY=$HOME/t-cookie-71;";
    assert_drawn_on_x(&host, 71, container, &hosts("xlogo"), session);

    // It is the cookie that opens the door.
    let without = inside(
        container,
        "export DISPLAY=:71 XAUTHORITY=/dev/null;",
        &hosts("xlogo"),
    );
    assert!(without.failed().contains(":71"), "{without}");
    // The copy is nobody else's to read.
    let mode = "stat -c %a $XDG_RUNTIME_DIR/kapsule $XDG_RUNTIME_DIR/kapsule/xauthority-71";
    assert_eq!(ALICE.sh(mode).ok(), "700\n600");
    ALICE.sh("rm -f ~/t-cookie-71").ok();
}

#[test]
fn x11_in_a_container_without_the_hosts_files() {
    let Some(host) = shared() else { return };
    let container = Container::create(ALICE, "t-x-apart", &["--no-host-rootfs"]);
    let _server = x_server(&host, 72);
    let xlogo = portable("xlogo");
    let session = "export DISPLAY=:72.0 XAUTHORITY=$HOME/t-cookie-72;";
    assert_drawn_on_x(&host, 72, &container, &xlogo, session);
    ALICE.sh("rm -rf ~/t-cookie-72 ~/t-portable-xlogo").ok();
}

/// A compositor without a screen.
pub(super) fn compositor(host: &Host, name: &str) -> (Running, String) {
    let running = server(&format!(
        "rm -f ~/{name}; printf 'xwayland disable\\noutput HEADLESS-1 resolution 320x240\\n\
         exec echo $WAYLAND_DISPLAY > ~/{name}.new && mv ~/{name}.new ~/{name}\\n' > ~/{name}.conf; \
         export WLR_BACKENDS=headless WLR_RENDERER=pixman WLR_LIBINPUT_NO_DEVICES=1; exec sway -c ~/{name}.conf"
    ));
    let file = format!("/home/alice/{name}");
    host.wait_until("the compositor runs", || {
        ALICE.run(["test", "-s", &file]).status == 0
    });
    let display = ALICE.run(["cat", &file]).ok();
    (running, display)
}

#[test]
fn wayland() {
    let Some(host) = shared() else { return };
    let container = common();
    let (_server, display) = compositor(&host, "t-sway");
    assert_drawn_on_wayland(&host, &display, container, &display);
    // A name can be a path, too.
    let path = format!("$XDG_RUNTIME_DIR/{display}");
    assert_drawn_on_wayland(&host, &display, container, &path);
    ALICE.sh("rm -f ~/t-sway ~/t-sway.conf").ok();
}

/// A program inside that knows the display by this name draws on this one of the host.
pub(super) fn assert_drawn_on_wayland(
    host: &Host,
    display: &str,
    container: &Container,
    name: &str,
) {
    let shot = || {
        let shot = ALICE.sh(&format!("WAYLAND_DISPLAY={display} grim -t ppm -"));
        shot.ok();
        pixels(&shot.stdout, COLOUR)
    };
    host.wait_until("nothing is there yet", || shot() == 0);
    let draw = format!("{} --mode solid_color --color '#12ab34'", hosts("swaybg"));
    let session = format!("export WAYLAND_DISPLAY={name};");
    let mut window = inside_meanwhile(container, &session, &draw);
    host.wait_until("it is on the screen", || {
        assert!(window.is_running(), "{name} {}", window.stderr());
        shot() > 10_000
    });
}

/// A compositor that was started again, with another name than before: programs that are started by those
/// which know the old one draw on the new one.
#[test]
fn a_compositor_under_another_name() {
    let Some(host) = alone() else { return };
    let container = common();
    let (before, old) = compositor(&host, "t-sway-old");
    assert_drawn_on_wayland(&host, &old, container, &old);
    // As long as the one before runs, the new one cannot have its name.
    let (_after, new) = compositor(&host, "t-sway-new");
    assert_ne!(old, new);
    // In good order: one that is killed leaves its socket, and its name to the next.
    ALICE.sh("kill $(pgrep -f '[t]-sway-old.conf')").ok();
    drop(before.wait());
    host.wait_until("the old one's socket is gone", || {
        ALICE.sh(&format!("test -e $XDG_RUNTIME_DIR/{old}")).status != 0
    });
    let link = format!("readlink $XDG_RUNTIME_DIR/{old}");
    host.wait_until("the old name leads to the new one", || {
        container.sh(&link).ends_with(&format!("/{new}"))
    });
    assert_drawn_on_wayland(&host, &new, container, &old);
    ALICE.sh("rm -f ~/t-sway-*").ok();
}
