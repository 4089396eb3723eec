// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Podman and Docker in a container.

use kapsule_system_tests::container::common;
use kapsule_system_tests::host::{ALICE, shared};

/// Makes a folder with the tarball of an image that is one static program.
const MAKE: &str = "set -e
    d=$(mktemp -d); trap 'rm -rf $d' EXIT; mkdir -p $d/r/bin
    cp /bin/busybox $d/r/bin/busybox; ln -s busybox $d/r/bin/sh; ln -s busybox $d/r/bin/echo
    ln -s busybox $d/r/bin/id; tar -C $d/r -cf $d/image.tar .";

fn run(script: &str) -> String {
    let output = common().sh(&format!("{MAKE}\n{script}"));
    output.lines().last().unwrap_or_default().to_owned()
}

#[test]
fn podman_without_root() {
    let Some(_host) = shared() else { return };
    let said = run("podman import --quiet $d/image.tar t-nested >/dev/null
        podman run --rm t-nested /bin/sh -c 'echo rootless $(id -u)'
        ");
    assert_eq!(said, "rootless 0");
}

#[test]
fn podman_with_root() {
    let Some(_host) = shared() else { return };
    let said = run("sudo podman import --quiet $d/image.tar t-nested >/dev/null
        sudo podman run --rm t-nested /bin/echo rootful");
    assert_eq!(said, "rootful");
}

#[test]
fn docker() {
    let Some(_host) = shared() else { return };
    let said = run("sudo docker import $d/image.tar t-nested >/dev/null
        sudo docker run --rm t-nested /bin/echo docker");
    assert_eq!(said, "docker");
}

/// What a container in the container publishes is on the host's localhost, as with Podman on the host.
#[test]
fn published_ports() {
    let Some(host) = shared() else { return };
    for (tool, port) in [
        ("podman", 18091),
        ("sudo podman", 18092),
        ("sudo docker", 18093),
    ] {
        run(&format!(
            "echo {tool} > $d/r/index.html; tar -C $d/r -cf $d/image.tar .
            {tool} import $d/image.tar t-nested-web >/dev/null
            {tool} rm --force t-web >/dev/null 2>&1 || true
            {tool} run --detach --rm --name t-web --publish {port}:80 t-nested-web \
                /bin/busybox httpd -f -p 80 -h / >/dev/null"
        ));
        let page = || {
            let address = format!("http://localhost:{port}/");
            ALICE
                .run(["curl", "--silent", "--max-time", "20", &address])
                .text()
        };
        host.wait_until(&format!("{tool} serves its page"), || page().trim() == tool);
        common().sh(&format!("{tool} rm --force t-web >/dev/null"));
        host.wait_until(&format!("{tool} serves no more"), || page().is_empty());
    }
}
