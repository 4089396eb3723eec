// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What one would type, with what it says; each answer is checked, so that the demo cannot pretend.

use std::time::Instant;

use anyhow::{Result, bail};

use crate::host::install::inside;
use crate::run::output;

/// Makes an image of one program, without any registry.
const MAKE_IMAGE: &str = "mkdir -p /tmp/root/bin && cp /bin/busybox /tmp/root/bin/sh && \
     tar -C /tmp/root -cf /tmp/image.tar . && echo made";

/// Where a line is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Host,
    Container,
}
use Side::{Container, Host};

/// Where, what is typed, and what the answer must contain.
type Line = (Side, &'static str, &'static str);

const LINES: &[Line] = &[
    (Host, "id -un && hostname", "alice"),
    (Container, "id", "uid=1000(alice)"),
    (
        Container,
        "cat /etc/os-release | head -1 && systemctl is-system-running --wait",
        "running",
    ),
    (
        Container,
        "echo written inside > ~/note && pwd",
        "/home/alice",
    ),
    (
        Host,
        "cat ~/note && stat -c %U ~/note",
        "written inside\nalice",
    ),
    (Container, "sudo id -u", "0"),
    (Container, MAKE_IMAGE, "made"),
    (
        Container,
        "podman import -q /tmp/image.tar tiny >/dev/null && podman run --rm tiny sh -c 'echo podman without root'",
        "podman without root",
    ),
    (
        Container,
        "sudo podman import -q /tmp/image.tar tiny >/dev/null && sudo podman run --rm tiny sh -c 'echo podman with root'",
        "podman with root",
    ),
    (
        Container,
        "docker import /tmp/image.tar tiny >/dev/null && docker run --rm tiny sh -c 'echo docker'",
        "docker",
    ),
];

/// Plays all lines; an answer that is not what it must be is an error, after the last line.
pub(super) fn play(container: &str) -> Result<()> {
    let mut wrong = Vec::new();
    for (side, line, wanted) in LINES {
        let begin = Instant::now();
        let answer = match side {
            Host => output(&mut inside("alice", &["sh", "-c", line])?),
            Container => output(&mut inside(
                "alice",
                &["kapsule", "enter", container, "--", "sh", "-c", line],
            )?),
        };
        let prompt = if *side == Host {
            "alice@host"
        } else {
            "alice@container"
        };
        println!("{prompt} $ {line}");
        match &answer {
            Ok(text) => println!("{text}"),
            Err(error) => println!("{error:#}"),
        }
        println!("  [{} ms]", begin.elapsed().as_millis());
        if !answer.is_ok_and(|text| text.contains(wanted)) {
            wrong.push(*line);
        }
    }
    // bob is someone else: he sees nothing of it.
    let bobs = output(&mut inside("bob", &["kapsule", "list", "--json"])?)?;
    println!("bob@host $ kapsule list --json\n{bobs}");
    if bobs.contains(&format!("\"{container}\"")) {
        wrong.push("bob's kapsule list");
    }
    if !wrong.is_empty() {
        bail!("not what it should be: {}", wrong.join("; "));
    }
    Ok(())
}
