// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What the user's terminal is told about the container that it shows.
//!
//! - OSC 777 `container;push` and `pop`, as Konsole understands it.
//! - The window's title: the container's name, or `NAME: PROGRAM`. The one before is kept on the
//!   terminal's own stack (XTWINOPS 22 and 23) and comes back. What the program inside does to the
//!   title, as many shells do at each prompt, passes through.
//!
//! Nothing else: the working directory (OSC 7) is the shell's inside to tell.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::stdio::stdout;
use rustix::termios::isatty;

use super::Label;

const CONTAINER_POP: &[u8] = b"\x1b]777;container;pop;;\x07";
const TITLE_POP: &[u8] = b"\x1b[23;0t";
/// Most characters of a title that are worth showing.
const TITLE: usize = 80;
/// How long a terminal may take to make room for a mark. One that is stopped (Ctrl-S) shows nothing
/// anyway.
const PATIENCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 200_000_000,
};

/// What has to be written to undo the marks, while there are any.
static UNDO: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// The marks on the user's terminal, until this is dropped.
#[derive(Debug)]
pub(super) struct Mark(());

impl Mark {
    /// Sets them; nothing where standard output is no terminal.
    pub(super) fn set(label: &Label) -> Option<Self> {
        isatty(stdout()).then(|| {
            let has_title = has_title(std::env::var_os("TERM").as_deref());
            let undo = if has_title {
                [TITLE_POP, CONTAINER_POP].concat()
            } else {
                CONTAINER_POP.to_vec()
            };
            *UNDO.lock().unwrap_or_else(PoisonError::into_inner) = undo;
            let mut marks = container_push(&label.container);
            if has_title {
                marks.extend(title_push(label));
            }
            write_all(&marks);
            Self(())
        })
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        remove();
    }
}

/// Takes the marks from the terminal; nothing if there are none.
pub(super) fn remove() {
    let undo = std::mem::take(&mut *UNDO.lock().unwrap_or_else(PoisonError::into_inner));
    write_all(&undo);
}

fn container_push(container: &str) -> Vec<u8> {
    let name: String = container
        .chars()
        .filter(|c| !matches!(c, '\x07' | '\x1b' | ';'))
        .collect();
    format!("\x1b]777;container;push;{name};kapsule\x07").into_bytes()
}

/// Whether this kind of terminal has a title: the console has none, and a dumb one would show the
/// sequence as text.
fn has_title(term: Option<&OsStr>) -> bool {
    term.is_some_and(|term| !term.is_empty() && term != "dumb" && term != "linux")
}

fn title_push(label: &Label) -> Vec<u8> {
    let container = Cow::Borrowed(label.container.as_str());
    let title = match &label.program {
        None => container,
        Some(program) => {
            let name = Path::new(program).file_name().unwrap_or(program);
            Cow::Owned(format!("{container}: {}", name.to_string_lossy()))
        }
    };
    let title: String = title
        .chars()
        .filter(|c| !c.is_control())
        .take(TITLE)
        .collect();
    format!("\x1b[22;0t\x1b]2;{title}\x07").into_bytes()
}

/// Writes past the buffer of `std::io::stdout`, in order with what the relay writes.
fn write_all(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let stdout = stdout();
        let mut polled = [PollFd::new(&stdout, PollFlags::OUT)];
        match poll(&mut polled, Some(&PATIENCE)) {
            // The mark is a courtesy: not worth waiting for.
            Ok(0) => return,
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return,
        }
        match rustix::io::write(stdout, bytes) {
            Ok(0) => return,
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR | Errno::AGAIN) => {}
            // A terminal that has gone needs none.
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_the_bytes_that_konsole_reads() {
        assert_eq!(
            container_push("dev"),
            [
                b"\x1b\x5d\x37\x37\x37\x3b".as_slice(),
                b"container;push;dev;",
                b"\x6b\x61\x70\x73\x75\x6c\x65\x07"
            ]
            .concat()
        );
        assert_eq!(CONTAINER_POP, b"\x1b]777;container;pop;;\x07");
    }

    #[test]
    fn a_name_cannot_end_the_mark_or_start_another() {
        assert_eq!(
            container_push("a\x07;b\x1bc"),
            b"\x1b]777;container;push;abc;kapsule\x07"
        );
    }

    #[test]
    fn the_title_says_which_container_and_nothing_that_is_more_than_text() {
        let title = |program: Option<&str>| {
            let label = Label {
                container: "dev".into(),
                program: program.map(Into::into),
            };
            String::from_utf8(title_push(&label)).unwrap()
        };
        assert_eq!(title(None), "\x1b[22;0t\x1b]2;dev\x07");
        assert_eq!(
            title(Some("/usr/bin/make")),
            "\x1b[22;0t\x1b]2;dev: make\x07"
        );
        assert_eq!(
            title(Some("a\x1b]2;b\x07\u{9c}c")),
            "\x1b[22;0t\x1b]2;dev: a]2;bc\x07"
        );
        assert!(title(Some(&"x".repeat(10_000))).len() < 120);
    }

    #[test]
    fn where_a_title_would_be_noise_there_is_none() {
        for (term, has) in [
            (Some("xterm-256color"), true),
            (Some("dumb"), false),
            (Some("linux"), false),
            (Some(""), false),
            (None, false),
        ] {
            assert_eq!(has_title(term.map(OsStr::new)), has, "{term:?}");
        }
    }
}
