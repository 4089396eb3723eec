// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The user's own terminal while a session runs: raw mode, size, and which container it shows.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Mutex, Once, PoisonError};

use kapsule_proto::session::Terminal;
use rustix::stdio::{stdin, stdout};
use rustix::termios::{
    OptionalActions, Termios, Winsize, isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize,
};

/// What the terminal was like before, while it is raw; also for the panic hook.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// The terminal at standard input in raw mode, until this is dropped.
#[derive(Debug)]
pub(super) struct RawMode(());

impl RawMode {
    /// Sets raw mode.
    pub(super) fn set() -> io::Result<Self> {
        restore_on_panic();
        let before = tcgetattr(stdin())?;
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
        // From here on, failing restores.
        let raw = Self(());
        raw.set_again()?;
        Ok(raw)
    }

    /// Sets raw mode again, after the shell set the terminal to its own liking while this process
    /// was stopped.
    pub(super) fn set_again(&self) -> io::Result<()> {
        let mut termios = tcgetattr(stdin())?;
        termios.make_raw();
        Ok(tcsetattr(stdin(), OptionalActions::Now, &termios)?)
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        restore();
    }
}

fn restore() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(termios) = before {
        // If the terminal has gone there is nothing to restore.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &termios);
    }
}

/// Release builds abort on panic and run no destructors.
fn restore_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            // Not `restore`: the panic may have come with the lock held.
            if let Ok(before) = BEFORE.try_lock()
                && let Some(termios) = before.as_ref()
            {
                let _ = tcsetattr(stdin(), OptionalActions::Now, termios);
            }
            previous(info);
        }));
    });
}

/// Size of the user's terminal; the usual 80 × 24 where it does not say.
pub(super) fn size() -> Terminal {
    let size = tcgetwinsize(stdout())
        .or_else(|_| tcgetwinsize(stdin()))
        .ok()
        .filter(|size| size.ws_row > 0 && size.ws_col > 0);
    size.map_or(
        Terminal {
            rows: 24,
            columns: 80,
            width_px: 0,
            height_px: 0,
        },
        |size| Terminal {
            rows: size.ws_row,
            columns: size.ws_col,
            width_px: size.ws_xpixel,
            height_px: size.ws_ypixel,
        },
    )
}

/// Gives the container's terminal the size of the user's.
pub(super) fn pass_size(master: BorrowedFd<'_>) {
    let size = size();
    // A terminal that has just gone has no size, and nobody to miss it.
    let _ = tcsetwinsize(
        master,
        Winsize {
            ws_row: size.rows,
            ws_col: size.columns,
            ws_xpixel: size.width_px,
            ws_ypixel: size.height_px,
        },
    );
}

/// Tells the user's terminal which container it shows (OSC 777, as Konsole understands it), until
/// this is dropped. Does nothing where standard output is no terminal.
#[derive(Debug)]
pub(super) struct ContainerMark(());

impl ContainerMark {
    pub(super) fn push(container: &str) -> Option<Self> {
        isatty(stdout()).then(|| {
            write_all(&push_sequence(container));
            Self(())
        })
    }
}

impl Drop for ContainerMark {
    fn drop(&mut self) {
        write_all(POP);
    }
}

const POP: &[u8] = b"\x1b]777;container;pop;;\x07";

fn push_sequence(container: &str) -> Vec<u8> {
    let name: String = container
        .chars()
        .filter(|c| !matches!(c, '\x07' | '\x1b' | ';'))
        .collect();
    format!("\x1b]777;container;push;{name};kapsule\x07").into_bytes()
}

/// Writes past the buffer of `std::io::stdout`, in order with what the relay writes.
fn write_all(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match rustix::io::write(stdout(), bytes) {
            Ok(0) => return,
            Ok(written) => bytes = &bytes[written..],
            Err(rustix::io::Errno::INTR) => {}
            // The mark is a courtesy; a terminal that has gone needs none.
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
            push_sequence("dev"),
            [
                b"\x1b\x5d\x37\x37\x37\x3b".as_slice(),
                b"container;push;dev;",
                b"\x6b\x61\x70\x73\x75\x6c\x65\x07"
            ]
            .concat()
        );
        assert_eq!(POP, b"\x1b]777;container;pop;;\x07");
    }

    #[test]
    fn a_name_cannot_end_the_mark_or_start_another() {
        assert_eq!(
            push_sequence("a\x07;b\x1bc"),
            b"\x1b]777;container;push;abc;kapsule\x07"
        );
    }
}
