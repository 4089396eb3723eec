// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Sealed containers: what can and cannot be seen and done from inside, as the user and as root.

use kapsule_system_tests::container::{Container, common, provided};
use kapsule_system_tests::host::{ALICE, ROOT, alone, say, shared};

fn sealed(name: &'static str, more: &[&str]) -> Container {
    let args = [&["--isolation", "sealed"], more].concat();
    Container::create(ALICE, name, &args)
}

/// As the container's root.
#[track_caller]
fn root(container: &Container, script: &str) -> String {
    ALICE
        .kapsule([
            "enter",
            container.name,
            "--user",
            "root",
            "--",
            "sh",
            "-c",
            script,
        ])
        .ok()
}

/// What no one inside may see, whatever runs there.
fn shows_nothing_of_the_host(container: &Container) {
    ALICE.sh("echo secret > ~/t-secret").ok();
    let look = "ls -A /.kapsule; ls -A /.kapsule/host 2>/dev/null
        for f in ~/t-secret /home/alice/t-secret /.kapsule/host/home /dev/incus/sock /dev/dri; do
            test -e $f && echo sees $f
        done
        grep -cE '/(home|srv|kapsule-images)| /run/user/1000/(bus|doc|gvfs)' /proc/self/mountinfo; true";
    for seen in [container.sh(look), root(container, look)] {
        assert_eq!(seen, "bin\nrun\n0", "{}", container.name);
    }
    assert_eq!(
        root(
            container,
            "find / -xdev -name t-secret 2>/dev/null | head -n 1"
        ),
        ""
    );
    // Neither its root nor its user is anybody on the host.
    let map = container.sh("cat /proc/self/uid_map /proc/self/gid_map");
    for line in map.lines() {
        let mut columns = line.split_whitespace().map(str::parse::<u32>);
        assert_eq!(columns.next(), Some(Ok(0)), "{map}");
        assert!(
            matches!(columns.next(), Some(Ok(first)) if first >= 65_536),
            "{map}"
        );
    }
    // What it is told can only be read.
    root(container, "! touch /.kapsule/run/x 2>/dev/null");
    root(container, "! touch /.kapsule/bin/x 2>/dev/null");
    root(container, "! mount -o remount,rw /.kapsule/run 2>/dev/null");
    root(
        container,
        "! mknod /tmp/t-disk b 7 0 2>/dev/null || ! head -c 1 /tmp/t-disk",
    );
    ALICE.sh("rm ~/t-secret").ok();
}

fn is_at_home(container: &Container) {
    assert_eq!(
        container.sh("id -un; id -u; echo $HOME; pwd; stat -c '%U %a' ~; hostname"),
        format!(
            "alice\n1000\n/home/alice\n/home/alice\nalice 700\n{}",
            container.name
        )
    );
    container.sh("echo mine > ~/t-inside");
    ALICE.run(["test", "-e", "/home/alice/t-inside"]).ended(1);
    ALICE.kapsule(["restart", container.name]).ok();
    assert_eq!(container.sh("cat ~/t-inside"), "mine");
    // Its user is not alice for the host.
    let sleeper = format!(
        "kapsule enter {} -- sh -c 'sleep 71717 >/dev/null 2>&1 & echo' </dev/null",
        container.name
    );
    ALICE.sh(&sleeper).ok();
    let uid = ROOT.sh("ps -eo uid,args | awk '/[s]leep 71717/ {print $1; exit}'");
    let uid = uid.ok().parse::<u32>();
    assert!(matches!(uid, Ok(uid) if uid > 65_536), "{uid:?}");
    container.sh("kill $(pidof sleep) 2>/dev/null; true");
}

#[test]
fn with_systemd() {
    let Some(_host) = shared() else { return };
    let container = sealed("t-sealed", &[]);
    shows_nothing_of_the_host(&container);
    is_at_home(&container);
    assert_eq!(container.info()["agent"], "user-manager");
    assert_eq!(container.sh("sudo -n id -u"), "0");
    assert_eq!(
        container.sh("systemctl --failed --no-legend --plain; systemctl is-active dbus"),
        "active"
    );
    // Root inside has capabilities only inside.
    root(
        &container,
        "! sysctl -w kernel.hostname=x 2>/dev/null || test $(cat /proc/sys/kernel/hostname) = x",
    );
    assert_ne!(ROOT.sh("hostname").ok(), "x");
}

#[test]
fn with_nothing_but_busybox() {
    let Some(_host) = shared() else { return };
    let image = provided("busybox");
    let container = sealed("t-sealed-bb", &["--image", &image]);
    shows_nothing_of_the_host(&container);
    is_at_home(&container);
    assert_eq!(container.info()["agent"], "plain");
}

#[test]
fn nothing_of_the_session_is_handed_over() {
    let Some(_host) = shared() else { return };
    let container = sealed("t-sealed-env", &["--no-network"]);
    ALICE
        .sh("mkdir -p ~/t-here ~/.config/kapsule; printf '[environment]\\npass = SSH_AUTH_SOCK GITHUB_TOKEN MY_*\\n' > ~/.config/kapsule/kapsule.conf")
        .ok();
    let enter = |container: &str| {
        let line = format!(
            "cd ~/t-here; touch agent; export SSH_AUTH_SOCK=$HOME/t-here/agent GITHUB_TOKEN=host-secret DISPLAY=:7 \
             WAYLAND_DISPLAY=wayland-7 XAUTHORITY=/x MY_OWN=mine TERM=xterm-kitty LANG=C.UTF-8
             kapsule enter {container} -- sh -c 'pwd; env' </dev/null"
        );
        ALICE.sh(&line)
    };
    let inside = enter(container.name);
    assert!(inside.errors().is_empty(), "{inside}");
    let inside = inside.ok();
    for outside in [
        "SSH_AUTH_SOCK=/home",
        "host-secret",
        ":7",
        "wayland-7",
        "XAUTHORITY",
        "MY_OWN",
        "t-here",
    ] {
        assert!(!inside.contains(outside), "{outside} in\n{inside}");
    }
    assert!(inside.contains("TERM=xterm-kitty"), "{inside}");
    // In a standard one they arrive: the configuration says so.
    let standard = enter(common().name).ok();
    for shared in [
        "SSH_AUTH_SOCK=/home/alice/t-here/agent",
        "host-secret",
        "DISPLAY=:7",
        "MY_OWN=mine",
        "t-here",
    ] {
        assert!(standard.contains(shared), "{shared} in\n{standard}");
    }
    // Whoever names a variable wants it passed.
    let named = ALICE.sh("GITHUB_TOKEN=named kapsule enter t-sealed-env -e GITHUB_TOKEN -- sh -c 'echo $GITHUB_TOKEN' </dev/null");
    assert_eq!(named.ok(), "named");
    assert_eq!(
        ALICE
            .sh("kapsule enter t-sealed-env --cwd /etc -- pwd </dev/null")
            .ok(),
        "/etc"
    );
    ALICE
        .sh("rm -r ~/t-here ~/.config/kapsule/kapsule.conf")
        .ok();
}

#[test]
fn without_a_network_there_is_none() {
    let Some(_host) = shared() else { return };
    for (name, level) in [("t-offline-sealed", "sealed"), ("t-offline", "standard")] {
        let container = Container::create(ALICE, name, &["--isolation", level, "--no-network"]);
        for interfaces in [
            container.sh("ls /sys/class/net; ip route"),
            root(&container, "ls /sys/class/net; ip route"),
        ] {
            assert_eq!(interfaces, "lo", "{level}");
        }
        let info = container.owner.kapsule(["info", name]).ok();
        assert!(info.contains("has no network"), "{info}");
        ALICE.kapsule(["restart", name]).ok();
        assert_eq!(container.sh("ls /sys/class/net"), "lo", "{level}");
    }
}

/// Whether something inside gets through to a port.
fn reaches(container: &Container, address: &str, port: u16) -> bool {
    let script = format!("timeout 5 bash -c ': > /dev/tcp/{address}/{port}' 2>/dev/null");
    ALICE.enter(container.name, ["sh", "-c", &script]).status == 0
}

fn address(container: &Container) -> String {
    let lease = "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        ip -4 -o addr show dev eth0 | sed 's/.*inet \\([0-9.]*\\).*/\\1/' | grep . && exit
        sleep 1; done";
    container.sh(lease)
}

const LISTEN: &str = "systemd-run --quiet --collect --unit=t-listen \
     systemd-socket-activate --accept --inetd -l 7717 cat";

#[test]
fn the_network_leads_to_the_internet_and_nowhere_else() {
    let Some(_host) = alone() else { return };
    let one = sealed("t-sealed-one", &[]);
    let two = sealed("t-sealed-two", &[]);
    let standard = Container::create(ALICE, "t-open", &[]);
    ROOT.sh(LISTEN).ok();
    standard.sh(&format!("sudo {LISTEN}"));
    root(&two, LISTEN);
    let addresses = ROOT
        .sh("ip -4 -o addr show | sed 's/.*inet \\([0-9.]*\\).*/\\1/' | grep -v ^127")
        .ok();
    let (one_address, two_address) = (address(&one), address(&two));
    let standard_address = address(&standard);
    assert_ne!(one_address, two_address);

    // What is there to be reached is reached by others.
    for host in addresses.lines() {
        assert!(reaches(&standard, host, 7717), "the host at {host}");
    }
    ROOT.sh(&format!(
        "timeout 5 bash -c ': > /dev/tcp/{standard_address}/7717'"
    ))
    .ok();
    two.sh("timeout 5 bash -c ': > /dev/tcp/127.0.0.1/7717'");

    for host in addresses.lines() {
        assert!(!reaches(&one, host, 7717), "the host at {host}");
    }
    assert!(!reaches(&one, &standard_address, 7717), "another container");
    assert!(!reaches(&one, &two_address, 7717), "another sealed one");
    assert!(!reaches(&standard, &two_address, 7717), "from outside");
    let host = ROOT.sh(&format!(
        "timeout 5 bash -c ': > /dev/tcp/{two_address}/7717'"
    ));
    assert_ne!(host.status, 0, "from the host");
    // Nor with an address that is not its own.
    let gateway = root(
        &one,
        "ip route show default | sed 's/.*via \\([0-9.]*\\).*/\\1/'",
    );
    root(
        &one,
        &format!(
            "ip addr add {standard_address}/32 dev eth0; ip route add {gateway} dev eth0 src {standard_address} 2>/dev/null; true"
        ),
    );
    for host in addresses.lines() {
        assert!(!reaches(&one, host, 7717), "the host at {host}");
    }

    // Where the host has its packages from is what it can reach.
    let mirror = ROOT
        .sh("grep -rhom1 'https\\?://[^/ ]*' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null | head -n1")
        .ok();
    let internet = &format!("curl --silent --max-time 30 --output /dev/null {mirror}/");
    if standard
        .owner
        .enter(standard.name, ["sh", "-c", internet.as_str()])
        .status
        == 0
    {
        two.sh(internet);
    } else {
        say("skipped a part: this machine does not reach the internet from a container");
    }
    ROOT.sh("systemctl stop t-listen").ok();
}

#[test]
fn containers_inside_are_not_for_sealed_ones() {
    let Some(_host) = shared() else { return };
    let container = sealed("t-sealed-nest", &[]);
    let config = container.incus_config();
    assert_eq!(config["config"]["security.nesting"], "false");
    // What Incus provides for them elsewhere.
    let pristine = "test -e /dev/.lxc/proc && echo provided; true";
    assert_eq!(common().sh(pristine), "provided");
    assert_eq!(container.sh(pristine), "");
}

#[test]
fn what_contradicts_it_is_refused_with_the_reason() {
    let Some(_host) = shared() else { return };
    for (args, reason) in [
        (&["--mount-home"][..], "it has a home of its own"),
        (&["--host-rootfs"], "it sees nothing of the host's files"),
        (
            &["--custom-mounts", "/srv"],
            "it shares no folders with the host",
        ),
    ] {
        let line = [&["create", "t-contrary", "--isolation", "sealed"][..], args].concat();
        let said = ALICE.kapsule(line).failed();
        assert!(said.contains(reason), "{said}");
        ALICE.kapsule(["info", "t-contrary"]).failed();
    }
    // A graphics card can be asked for.
    let container = sealed("t-sealed-gpu", &["--gpu", "--no-network"]);
    assert_eq!(container.info()["options"]["gpu"], true);
}
