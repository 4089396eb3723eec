// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Containers are part of the user's desktop session. Shown with real servers on the host and real
//! clients inside; most clients are the host's own programs, which run inside with the libraries that
//! they have on the host.

mod agents;
mod bus;
mod display;
mod mux;
mod mux_tools;
mod options;
mod own_bus;
mod portal;
mod relogin;
mod sound;

use kapsule_system_tests::container::Container;
use kapsule_system_tests::host::ALICE;
use kapsule_system_tests::process::{Output, Running};

/// A program of the host, to be run by a shell inside with the host's libraries.
fn hosts(program: &str) -> String {
    let host = "/.kapsule/host";
    format!(
        "$(ls {host}/lib64/ld-linux-*) --library-path \
         {host}/usr/lib/$(uname -m)-linux-gnu:{host}/usr/lib/$(uname -m)-linux-gnu/pulseaudio {host}/usr/bin/{program}"
    )
}

/// A program of the host copied into alice's home with all that it is linked with, to be run by a shell
/// inside a container that does not see the host's files.
fn portable(program: &str) -> String {
    let folder = format!("/home/alice/t-portable-{program}");
    ALICE
        .sh(&format!(
            "rm -rf {folder}; mkdir {folder} && cp $(command -v {program}) {folder} && \
             ldd $(command -v {program}) | grep -o '/[^ ]*' | xargs cp -L -t {folder}"
        ))
        .ok();
    format!("$(ls {folder}/ld-linux-*) --library-path {folder} {folder}/{program}")
}

/// A script inside, entered by a shell of alice's with this before it: variables of her session.
fn inside(container: &Container, session: &str, script: &str) -> Output {
    ALICE.run(["sh", "-c", &line(container, session), "sh", script])
}

/// The same, going on in the background.
fn inside_meanwhile(container: &Container, session: &str, script: &str) -> Running {
    ALICE
        .command(["sh", "-c", &line(container, session), "sh", script])
        .start()
}

fn line(container: &Container, session: &str) -> String {
    format!(
        "{session} exec kapsule enter {} -- sh -c \"$1\" < /dev/null",
        container.name
    )
}

/// A server of alice's session on the host, until this is dropped.
fn server(script: &str) -> Running {
    ALICE.command(["sh", "-c", script]).start()
}

/// How often three bytes stand in a picture.
fn pixels(picture: &[u8], colour: [u8; 3]) -> usize {
    picture.windows(3).filter(|it| *it == colour).count()
}
