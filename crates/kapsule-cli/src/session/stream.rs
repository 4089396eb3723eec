// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What a direction begins and ends with.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, Mode, OFlags, fstat, major, minor};
use rustix::stdio::{dup2_stdin, dup2_stdout, stderr, stdin, stdout};
use rustix::termios::isatty;

use super::start::PTMX;

/// One end of a direction.
#[derive(Debug)]
pub(super) enum End<'a> {
    /// A pipe of ours; non-blocking.
    Owned(OwnedFd),
    /// The master of the container's terminal, which both directions share; non-blocking.
    Shared(BorrowedFd<'a>),
    /// The user's terminal, opened anew for this process alone; non-blocking.
    Terminal(OwnedFd),
    /// Standard input of this process.
    Stdin,
    /// Standard output of this process.
    Stdout,
    /// Standard error of this process.
    Stderr,
}

impl AsFd for End<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Owned(descriptor) | Self::Terminal(descriptor) => descriptor.as_fd(),
            Self::Shared(descriptor) => *descriptor,
            Self::Stdin => stdin(),
            Self::Stdout => stdout(),
            Self::Stderr => stderr(),
        }
    }
}

impl End<'_> {
    /// Standard output. A terminal is opened anew if that can be: what shares the old one with
    /// this process relies on its blocking, and this process on the contrary.
    pub(super) fn stdout() -> Self {
        reopen_terminal(stdout()).map_or(Self::Stdout, Self::Terminal)
    }

    /// Whether it never blocks.
    pub(super) fn never_blocks(&self) -> bool {
        matches!(self, Self::Owned(_) | Self::Shared(_) | Self::Terminal(_))
    }

    /// Lets the other side of it notice that nobody is here any more.
    pub(super) fn close(self) {
        // A terminal stays: the shell that shares it is what notices, not a pipe's other end, and
        // messages still have to get there.
        if !self.never_blocks() && isatty(&self) {
            return;
        }
        let null = || rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
        let replaced = match self {
            // Standard error stays, too: that the connection was lost is yet to be said there.
            Self::Owned(_) | Self::Shared(_) | Self::Terminal(_) | Self::Stderr => Ok(()),
            Self::Stdin => null().and_then(dup2_stdin),
            Self::Stdout => null().and_then(dup2_stdout),
        };
        // Without a /dev/null the other side learns of the end a little later, from our exit.
        let _ = replaced;
    }

    pub(super) fn kind(&self) -> FileType {
        fstat(self).map_or(FileType::Unknown, |stat| {
            FileType::from_raw_mode(stat.st_mode)
        })
    }

    pub(super) fn is_ready(&self, flags: PollFlags) -> bool {
        let mut polled = [PollFd::from_borrowed_fd(self.as_fd(), flags)];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        poll(&mut polled, Some(&now)).is_ok() && polled[0].revents().intersects(flags)
    }

    /// Makes room in a pipe of ours. Where the user has no more of it, it stays as it is.
    pub(super) fn widen(&self, size: usize) {
        if let Self::Owned(pipe) = self {
            let _ = rustix::pipe::fcntl_setpipe_size(pipe, size);
        }
    }
}

/// Opens the terminal behind a standard stream once more. `None` if it is none, or belongs to
/// somebody else (`su`).
fn reopen_terminal(stream: BorrowedFd<'_>) -> Option<OwnedFd> {
    let other = fstat(stream).ok()?;
    // A master would open as another terminal.
    if !isatty(stream) || (major(other.st_rdev), minor(other.st_rdev)) == PTMX {
        return None;
    }
    let path = format!("/proc/self/fd/{}", stream.as_raw_fd());
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = rustix::fs::open(path, flags, Mode::empty()).ok()?;
    // By that name there may be something else by now.
    let one = fstat(&opened).ok()?;
    let same = (one.st_dev, one.st_ino, one.st_rdev) == (other.st_dev, other.st_ino, other.st_rdev);
    same.then_some(opened)
}

#[cfg(test)]
mod tests {
    use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};

    use super::*;

    #[test]
    fn a_terminal_is_opened_anew_and_nothing_else_is() {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).unwrap();
        unlockpt(&master).unwrap();
        let terminal = ioctl_tiocgptpeer(&master, flags).unwrap();
        let again = reopen_terminal(terminal.as_fd()).unwrap();
        rustix::io::write(&again, b"shown").unwrap();
        let mut shown = [0; 16];
        assert_eq!(rustix::io::read(&master, &mut shown).unwrap(), 5);
        let is_nonblocking = |descriptor: &OwnedFd| {
            let flags = rustix::fs::fcntl_getfl(descriptor).unwrap();
            flags.contains(OFlags::NONBLOCK)
        };
        assert!(is_nonblocking(&again) && !is_nonblocking(&terminal));

        let (pipe, _write) = std::io::pipe().unwrap();
        let null = std::fs::File::open("/dev/null").unwrap();
        for other in [master.as_fd(), pipe.as_fd(), null.as_fd()] {
            assert!(reopen_terminal(other).is_none());
        }
    }
}
