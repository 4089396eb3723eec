// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! A minimal image, made in memory: a tar writer and a root with BusyBox as its only program.

use std::io::Write;

/// A tarball in the ustar format (POSIX.1-1988), which every tar reads.
#[derive(Default)]
pub(crate) struct Tar(Vec<u8>);

impl Tar {
    pub(crate) fn file(&mut self, path: &str, mode: u32, content: &[u8]) -> &mut Tar {
        self.entry(path, mode, b'0', "", content)
    }

    pub(crate) fn directory(&mut self, path: &str) -> &mut Tar {
        self.entry(path, 0o755, b'5', "", b"")
    }

    pub(crate) fn symlink(&mut self, path: &str, target: &str) -> &mut Tar {
        self.entry(path, 0o777, b'2', target, b"")
    }

    fn entry(&mut self, path: &str, mode: u32, kind: u8, target: &str, content: &[u8]) -> &mut Tar {
        let mut head = [0u8; 512];
        let mut put = |at: usize, text: &str| (&mut head[at..]).write_all(text.as_bytes()).unwrap();
        put(0, path);
        put(100, &format!("{mode:07o}"));
        put(108, "0000000");
        put(116, "0000000");
        put(124, &format!("{:011o}", content.len()));
        put(136, "00000000000");
        put(148, "        ");
        put(157, target);
        put(257, "ustar\x0000");
        head[156] = kind;
        let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
        (&mut head[148..])
            .write_all(format!("{sum:06o}\0 ").as_bytes())
            .unwrap();
        self.0.extend_from_slice(&head);
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn finish(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.0);
        bytes.resize(bytes.len() + 1024, 0);
        bytes
    }
}

/// `metadata.yaml`; `unique` goes into the properties, so that every test has an image of its own.
pub(crate) fn metadata_yaml(unique: &str) -> String {
    format!(
        "architecture: {}\ncreation_date: 1700000000\nproperties:\n  os: BusyBox\n  unique: {unique}\n",
        std::env::consts::ARCH
    )
}

/// The first process: says that it is up, and ends when Incus asks for it (SIGPWR).
const INIT: &str = "#!/bin/sh\ntrap 'exit 0' PWR TERM\necho \"test container is up\"\nwhile :; do sleep 1 & wait $!; done\n";

/// What is in the root, under `prefix`; `ballast` is a file that makes it larger.
fn root(tar: &mut Tar, prefix: &str, ballast: &[u8]) {
    let busybox =
        std::env::var("KAPSULE_TEST_BUSYBOX").unwrap_or_else(|_| "/bin/busybox".to_owned());
    let busybox = std::fs::read(&busybox).unwrap_or_else(|error| {
        panic!("{busybox}: {error}. Install busybox-static, or set KAPSULE_TEST_BUSYBOX")
    });
    for directory in [
        "bin", "sbin", "etc", "proc", "sys", "dev", "run", "tmp", "root",
    ] {
        tar.directory(&format!("{prefix}{directory}"));
    }
    tar.file(&format!("{prefix}bin/busybox"), 0o755, &busybox);
    for name in [
        "sh", "cat", "echo", "sleep", "id", "env", "pwd", "head", "yes", "stty", "true", "kill",
        "printf",
    ] {
        tar.symlink(&format!("{prefix}bin/{name}"), "busybox");
    }
    tar.file(&format!("{prefix}sbin/init"), 0o755, INIT.as_bytes());
    tar.file(
        &format!("{prefix}etc/passwd"),
        0o644,
        b"root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n",
    );
    if !ballast.is_empty() {
        tar.file(&format!("{prefix}ballast"), 0o644, ballast);
    }
}

/// The two files of a split image.
pub(crate) fn split(unique: &str, ballast: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let metadata = Tar::default()
        .file("metadata.yaml", 0o644, metadata_yaml(unique).as_bytes())
        .finish();
    let mut tar = Tar::default();
    root(&mut tar, "", ballast);
    (metadata, tar.finish())
}

/// The one file of a unified image.
pub(crate) fn unified(unique: &str) -> Vec<u8> {
    let mut tar = Tar::default();
    tar.file("metadata.yaml", 0o644, metadata_yaml(unique).as_bytes())
        .directory("rootfs");
    root(&mut tar, "rootfs/", b"");
    tar.finish()
}
