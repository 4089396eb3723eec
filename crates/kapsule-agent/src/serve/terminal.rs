// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! A new terminal of the guest.

use std::os::fd::OwnedFd;

use kapsule_proto::session::{Keys, Terminal};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{
    InputModes, OptionalActions, SpecialCodeIndex, Winsize, tcgetattr, tcsetattr, tcsetwinsize,
};

/// Makes a terminal: (master, slave).
pub(crate) fn make(like: Terminal) -> Result<(OwnedFd, OwnedFd), Errno> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    unlockpt(&master)?;
    // By descriptor and not by name: what stands at /dev/pts/N is the guest's to decide.
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = ioctl_tiocgptpeer(&master, flags)?;
    tcsetwinsize(
        &master,
        Winsize {
            ws_row: like.rows,
            ws_col: like.columns,
            ws_xpixel: like.width_px,
            ws_ypixel: like.height_px,
        },
    )?;
    let mut termios = tcgetattr(&slave)?;
    // As every terminal emulator does, so that erasing a character erases all its bytes.
    let utf8 = like.keys.is_none_or(|keys| keys.utf8);
    termios.input_modes.set(InputModes::IUTF8, utf8);
    if let Some(keys) = like.keys {
        for (index, character) in characters(keys) {
            termios.special_codes[index] = character;
        }
    }
    tcsetattr(&slave, OptionalActions::Now, &termios)?;
    Ok((master, slave))
}

fn characters(keys: Keys) -> [(SpecialCodeIndex, u8); 13] {
    use SpecialCodeIndex as Code;
    [
        (Code::VINTR, keys.interrupt),
        (Code::VQUIT, keys.quit),
        (Code::VERASE, keys.erase),
        (Code::VKILL, keys.kill_line),
        (Code::VEOF, keys.end_of_file),
        (Code::VEOL, keys.end_of_line),
        (Code::VEOL2, keys.end_of_line_2),
        (Code::VSTART, keys.start),
        (Code::VSTOP, keys.stop),
        (Code::VSUSP, keys.suspend),
        (Code::VREPRINT, keys.reprint),
        (Code::VWERASE, keys.erase_word),
        (Code::VLNEXT, keys.literal_next),
    ]
}
