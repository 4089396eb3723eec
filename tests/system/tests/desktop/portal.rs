// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The desktop portal serves programs in standard containers: it answers, and shares the screen with
//! them, a real one of a real compositor, through PipeWire.

use kapsule_system_tests::container::{Container, common};
use kapsule_system_tests::host::{ALICE, Host, alone};
use kapsule_system_tests::process::Running;

use super::display::compositor;
use super::sound::PARTS;
use super::{hosts, inside, inside_meanwhile, pixels, server};

/// Two that nothing else on a screen has.
const COLOURS: [[u8; 3]; 2] = [[0x12, 0xab, 0x34], [0x9c, 0x21, 0xe5]];

/// What the host's Python needs to run inside, behind [`PARTS`].
pub(super) const PYTHON: &str = "export PYTHONHOME=$host/usr \
    PYTHONPATH=$host/usr/lib/python3/dist-packages GI_TYPELIB_PATH=$lib/girepository-1.0;";

/// A desktop with a screen, on which nobody has to be asked which one is to be shared.
pub(super) struct Desktop {
    #[allow(dead_code, reason = "held, not read")]
    compositor: Running,
    /// What Wayland's socket is called.
    pub(super) display: String,
}

impl Desktop {
    pub(super) fn start(host: &Host) -> Self {
        let (compositor, display) = compositor(host, "t-sway-portal");
        ALICE
            .command(["sh", "-c", "cat > ~/t-share-screen.py"])
            .stdin(include_str!("programs/share-screen.py"))
            .run()
            .ok();
        ALICE
            .sh(&format!(
                "mkdir -p ~/.config/xdg-desktop-portal-wlr && \
                 printf '[screencast]\\nchooser_type=none\\noutput_name=HEADLESS-1\\nmax_fps=2\\n' \
                     > ~/.config/xdg-desktop-portal-wlr/config && \
                 systemctl --user set-environment WAYLAND_DISPLAY={display} XDG_CURRENT_DESKTOP=sway"
            ))
            .ok();
        Self {
            compositor,
            display,
        }
    }

    /// A container is shown the screen: what is painted there now, and what is painted next.
    pub(super) fn assert_shared(&self, host: &Host, container: &Container) {
        ALICE
            .sh(
                "rm -f ~/t-frame; systemctl --user stop 'xdg-desktop-portal*'; systemctl --user reset-failed; \
                 systemctl --user start pipewire.socket wireplumber.service xdg-desktop-portal.service",
            )
            .ok();
        // One picture of each stream, again and again: the part of the portal for wlroots mostly asks its
        // compositor twice for the second picture, which throws it out, as GStreamer's streams pause for a
        // moment when they begin. It does so to programs of the host, too, and its unit starts it anew. It
        // is rarer where the screen changes all the time, and pictures are few.
        let share = format!(
            "{PARTS} {PYTHON} export GST_PLUGIN_SYSTEM_PATH_1_0=$lib/gstreamer-1.0 \
             GST_REGISTRY_FORK=no GST_REGISTRY=/tmp/t-gst-registry; \
             while :; do timeout 10 {} ~/t-share-screen.py {} -q pipewiresrc fd=FD path=NODE num-buffers=1 ! \
             videoconvert ! video/x-raw,format=RGB ! filesink location=$HOME/t-frame.new && \
             mv ~/t-frame.new ~/t-frame; sleep 0.3; done",
            hosts("python3"),
            hosts("gst-launch-1.0")
        );
        let mut sharing = inside_meanwhile(container, "", &share);
        for colour in COLOURS {
            let [red, green, blue] = colour;
            let _painted = server(&format!(
                "while :; do WAYLAND_DISPLAY={} timeout 0.3 swaybg --mode solid_color \
                 --color '#{red:02x}{green:02x}{blue:02x}'; done",
                self.display
            ));
            let frame = "systemctl --user reset-failed; cat ~/t-frame";
            host.wait_until("what is painted is in the picture", || {
                assert!(sharing.is_running(), "{}", sharing.stderr());
                pixels(&ALICE.sh(frame).stdout, colour) > 10_000
            });
        }
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        drop(ALICE.sh(
            "systemctl --user unset-environment WAYLAND_DISPLAY XDG_CURRENT_DESKTOP; \
             systemctl --user stop 'xdg-desktop-portal*'; \
             rm -rf ~/t-sway-portal* ~/t-share-screen.py ~/t-frame* ~/.config/xdg-desktop-portal-wlr",
        ));
    }
}

/// Asks the portal for a setting, with GLib's tool.
pub(super) fn assert_answers(container: &Container) {
    let read = format!(
        "{} call --session --dest org.freedesktop.portal.Desktop --object-path /org/freedesktop/portal/desktop \
         --method org.freedesktop.portal.Settings.Read org.freedesktop.appearance color-scheme",
        hosts("gdbus")
    );
    let scheme = inside(container, "", &read).ok();
    assert!(scheme.starts_with("(<<uint32"), "{scheme}");
}

#[test]
fn the_screen_is_shared() {
    let Some(host) = alone() else { return };
    let desktop = Desktop::start(&host);
    // What the portal tells the desktop about who asks.
    let requests = "interface='org.freedesktop.impl.portal.ScreenCast',member='CreateSession'";
    let heard = ALICE.command(["dbus-monitor", requests]).start();
    assert_answers(common());
    desktop.assert_shared(&host, common());
    host.wait_until("the desktop hears that it is one in a container", || {
        heard.stdout().contains("string \"org.kde.kapsule\"")
    });

    let container = Container::create(ALICE, "t-share-mux", &["--dbus-mux"]);
    host.wait_until("sessions get the bus of two", || {
        container.sh("echo $DBUS_SESSION_BUS_ADDRESS") == "unix:path=/run/user/1000/kapsule-bus"
    });
    assert_answers(&container);
    desktop.assert_shared(&host, &container);
}

/// What connects programs to the bus is started for them, lets nobody else in, and can be done without.
#[test]
fn the_way_to_the_bus() {
    let Some(host) = alone() else { return };
    let container = common();
    let address = "echo $DBUS_SESSION_BUS_ADDRESS";
    let relayed = "unix:path=/.kapsule/host/run/user/1000/kapsule/bus";
    let unit = "app-org.kde.kapsule.service";
    assert_eq!(container.sh(address), relayed);
    ALICE.run(["systemctl", "--user", "stop", unit]).ok();
    let id = "busctl --user call org.freedesktop.DBus / org.freedesktop.DBus GetId";
    assert_eq!(inside(container, "", id).ok(), ALICE.sh(id).ok());
    let state = ALICE.run(["systemctl", "--user", "is-active", unit]).ok();
    assert_eq!(state, "active");
    // The container's root could open the socket, and is not the user.
    let root = format!("sudo busctl --address={relayed} list");
    inside(container, "", &root).failed();

    // More than it takes at once are no reason to stop or to be busy; those who wait get their turn.
    let crowd = "import os, resource, socket, time\n\
         resource.setrlimit(resource.RLIMIT_NOFILE, (4000, 4000))\n\
         socks = []\n\
         for n in range(1500):\n    \
             s = socket.socket(socket.AF_UNIX); s.setblocking(False)\n    \
             try: s.connect(os.environ['XDG_RUNTIME_DIR'] + '/kapsule/bus'); s.send(os.urandom(n))\n    \
             except OSError: pass\n    \
             socks.append(s)\n\
         time.sleep(1)\n";
    ALICE.run(["python3", "-c", crowd]).ok();
    host.wait_until("it serves all the same", || {
        inside(container, "", id).status == 0
    });

    // It is a convenience: the bus itself is there without.
    ALICE.sh("systemctl --user stop kapsule-bus.socket").ok();
    assert_eq!(
        container.sh(address),
        "unix:path=/.kapsule/host/run/user/1000/bus"
    );
    assert_eq!(inside(container, "", id).ok(), ALICE.sh(id).ok());
    ALICE.sh("systemctl --user start kapsule-bus.socket").ok();
    assert_eq!(container.sh(address), relayed);
}
