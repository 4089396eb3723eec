// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Whether a directory answers. One whose server is away (sshfs, NFS) keeps everybody waiting who looks at
//! it, and whoever waits for it may not even be killed. So a process of its own looks.

use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than a connection to the other side of the world takes that is alive.
const PATIENCE: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(2);

/// Whether one can go to a directory, or learn that one cannot, in a reasonable time. Only those of file
/// systems that may be elsewhere are tried.
pub(super) fn answers(directory: &Path) -> bool {
    let mounts = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
    if !file_system(directory, &mounts).is_some_and(may_be_elsewhere) {
        return true;
    }
    // Where nobody can try, it is as it was without.
    go_to(directory).map_or(true, |process| ends(process, Instant::now() + PATIENCE))
}

/// A shell that goes there. With no variables: it is to look at nothing else.
fn go_to(directory: &Path) -> io::Result<Child> {
    Command::new("/bin/sh")
        .args(["-c", "cd -- \"$1\"", "sh"])
        .arg(directory)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

/// Whether a process ends in time. One that does not is left behind: it ends when it can.
fn ends(mut process: Child, deadline: Instant) -> bool {
    loop {
        match process.try_wait() {
            Ok(None) if Instant::now() < deadline => std::thread::sleep(PAUSE),
            Ok(None) => {
                let _ = process.kill();
                return false;
            }
            Ok(Some(_)) | Err(_) => return true,
        }
    }
}

/// The kind of the file system that a path is on, by the table of mounts: the last one of those that are
/// mounted the furthest down on the way.
fn file_system<'t>(path: &Path, mounts: &'t [u8]) -> Option<&'t [u8]> {
    let lines = mounts.split(|byte| *byte == b'\n');
    let mounts = lines.filter_map(|line| {
        // proc_pid_mountinfo(5): the place is field 5, the kind comes after a dash alone.
        let place = unescaped(line.split(|byte| *byte == b' ').nth(4)?);
        let dash = line.windows(3).position(|it| it == b" - ")?;
        let kind = line[dash + 3..].split(|byte| *byte == b' ').next()?;
        let place = Path::new(std::ffi::OsStr::from_bytes(&place)).to_owned();
        path.starts_with(&place)
            .then(|| (place.components().count(), kind))
    });
    mounts.max_by_key(|(depth, _)| *depth).map(|(_, kind)| kind)
}

/// Spaces and the like are `\040` in the table.
fn unescaped(place: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(place.len());
    let mut rest = place;
    while let Some((first, tail)) = rest.split_first() {
        let code = tail.get(..3).filter(|_| *first == b'\\');
        let code = code.and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 8).ok()) {
            Some(byte) => {
                plain.push(byte);
                rest = &tail[3..];
            }
            None => {
                plain.push(*first);
                rest = tail;
            }
        }
    }
    plain
}

/// Whether a server or a program is behind it.
fn may_be_elsewhere(kind: &[u8]) -> bool {
    kind.starts_with(b"fuse")
        || kind.starts_with(b"nfs")
        || kind.starts_with(b"smb")
        || matches!(kind, b"cifs" | b"afs" | b"ceph" | b"9p" | b"autofs")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &[u8] = b"\
20 1 0:30 / / rw,relatime shared:1 - btrfs /dev/sda rw
40 20 0:99 / /home/a rw - fuse.sshfs host:/ rw
41 40 0:97 / /home/a/with\\040space rw master:3 shared:4 - nfs4 server:/ rw
42 20 0:95 / /srv rw - autofs systemd-1 rw
43 42 0:93 / /srv rw - ext4 /dev/sdb rw
";

    #[test]
    fn a_path_is_on_the_file_system_that_is_mounted_last() {
        for (path, kind) in [
            ("/", "btrfs"),
            ("/home/ab/x", "btrfs"),
            ("/home/a", "fuse.sshfs"),
            ("/home/a/b/c", "fuse.sshfs"),
            ("/home/a/with space/x", "nfs4"),
            ("/srv/x", "ext4"),
        ] {
            let found = file_system(Path::new(path), MOUNTS);
            assert_eq!(found, Some(kind.as_bytes()), "{path}");
        }
        assert_eq!(file_system(Path::new("/x"), b"nonsense\n\n - "), None);
    }

    #[test]
    fn what_is_on_this_computer_is_not_tried() {
        for (kind, elsewhere) in [
            ("btrfs", false),
            ("tmpfs", false),
            ("overlay", false),
            ("fuse", true),
            ("fuse.kio-fuse", true),
            ("nfs4", true),
            ("smb3", true),
            ("autofs", true),
        ] {
            assert_eq!(may_be_elsewhere(kind.as_bytes()), elsewhere, "{kind}");
        }
    }

    #[test]
    fn who_does_not_come_back_is_not_waited_for() {
        let soon = || Instant::now() + PATIENCE;
        assert!(ends(go_to(Path::new("/")).unwrap(), soon()));
        assert!(ends(go_to(Path::new("/nonexistent")).unwrap(), soon()));
        let sleep = Command::new("sleep").arg("1000").spawn().unwrap();
        assert!(!ends(sleep, Instant::now()));
    }
}
