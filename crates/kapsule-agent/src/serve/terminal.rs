// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! A new terminal of the guest.

use std::os::fd::OwnedFd;

use kapsule_proto::session::Terminal;
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{InputModes, OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize};

/// Makes a terminal: (master, slave).
pub(crate) fn make(size: Terminal) -> Result<(OwnedFd, OwnedFd), Errno> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    unlockpt(&master)?;
    // By descriptor and not by name: what stands at /dev/pts/N is the guest's to decide.
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let slave = ioctl_tiocgptpeer(&master, flags)?;
    tcsetwinsize(
        &master,
        Winsize {
            ws_row: size.rows,
            ws_col: size.columns,
            ws_xpixel: size.width_px,
            ws_ypixel: size.height_px,
        },
    )?;
    // As every terminal emulator does, so that erasing a character erases all its bytes.
    let mut termios = tcgetattr(&slave)?;
    termios.input_modes |= InputModes::IUTF8;
    tcsetattr(&slave, OptionalActions::Now, &termios)?;
    Ok((master, slave))
}
