// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The user's own terminal while a session runs: raw mode, size and keys.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Mutex, Once, PoisonError};

use kapsule_proto::session::{Keys, Terminal};
use rustix::stdio::{stdin, stdout};
use rustix::termios::{
    InputModes, OptionalActions, SpecialCodeIndex as Code, Termios, Winsize, tcgetattr,
    tcgetwinsize, tcsetattr, tcsetwinsize,
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

/// Sets the modes back to what they were before [`RawMode::set`]; nothing if they are.
pub(super) fn restore() {
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

/// What the container's terminal has to be like: the user's, as far as it can be asked. To be
/// called before raw mode.
pub(super) fn to_be_copied() -> Terminal {
    Terminal {
        keys: tcgetattr(stdin()).ok().map(|termios| keys(&termios)),
        ..size()
    }
}

fn keys(termios: &Termios) -> Keys {
    let of = |index: Code| termios.special_codes[index];
    Keys {
        utf8: termios.input_modes.contains(InputModes::IUTF8),
        interrupt: of(Code::VINTR),
        quit: of(Code::VQUIT),
        erase: of(Code::VERASE),
        kill_line: of(Code::VKILL),
        end_of_file: of(Code::VEOF),
        end_of_line: of(Code::VEOL),
        end_of_line_2: of(Code::VEOL2),
        start: of(Code::VSTART),
        stop: of(Code::VSTOP),
        suspend: of(Code::VSUSP),
        reprint: of(Code::VREPRINT),
        erase_word: of(Code::VWERASE),
        literal_next: of(Code::VLNEXT),
    }
}

/// Size of the user's terminal; the usual 80 × 24 where it does not say.
fn size() -> Terminal {
    let size = tcgetwinsize(stdout())
        .or_else(|_| tcgetwinsize(stdin()))
        .ok()
        .filter(|size| size.ws_row > 0 && size.ws_col > 0);
    let (rows, columns) = size.map_or((24, 80), |size| (size.ws_row, size.ws_col));
    Terminal {
        rows,
        columns,
        width_px: size.map_or(0, |size| size.ws_xpixel),
        height_px: size.map_or(0, |size| size.ws_ypixel),
        keys: None,
    }
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
