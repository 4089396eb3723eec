// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! A thread that writes to the user's terminal, once there is much to write.
//!
//! A terminal gives 4 KiB at a time and takes about as much, and its worker in the kernel has to run
//! in between. One thread for both would read while nothing is written and the other way round; with
//! two, each side keeps its worker busy. Sessions in which little is printed do without.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

/// How much is taken from the pipe, and offered to the terminal, at once.
const BUFFER: usize = 16 * 1024;

/// The thread, as seen from the others.
#[derive(Debug)]
pub(super) struct Writer {
    /// Held during each write.
    writing: Arc<Mutex<()>>,
    /// Hangs up when the thread has ended.
    end: OwnedFd,
}

impl Writer {
    /// Starts it for a terminal that never blocks. Returns where to write instead, which does not
    /// block either; when that is closed, the thread writes what is left and ends.
    pub(super) fn start(terminal: OwnedFd) -> io::Result<(Self, OwnedFd)> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&write, true)?;
        let (end, running) = pipe_with(PipeFlags::CLOEXEC)?;
        let writing = Arc::new(Mutex::new(()));
        let lock = Arc::clone(&writing);
        std::thread::Builder::new()
            .name("writer".into())
            .stack_size(64 * 1024)
            .spawn(move || {
                // A terminal that has gone shows by the pipe, which is closed then.
                let _ = pass(&read, &terminal, &lock);
                drop(read);
                drop(running);
            })?;
        Ok((Self { writing, end }, write))
    }

    /// Keeps the thread from writing as long as the guard lives.
    pub(super) fn pause(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Becomes ready, by a hang-up, when the thread has ended.
    pub(super) fn end(&self) -> PollFd<'_> {
        PollFd::new(&self.end, PollFlags::empty())
    }
}

fn pass(from: &OwnedFd, to: &OwnedFd, writing: &Mutex<()>) -> Result<(), Errno> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = match rustix::io::read(from, &mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(errno),
        };
        let mut rest = &buffer[..read];
        while !rest.is_empty() {
            let written = {
                let _guard = writing.lock().unwrap_or_else(PoisonError::into_inner);
                rustix::io::write(to, rest)
            };
            match written {
                Ok(written) => rest = &rest[written..],
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => wait_for_room(to)?,
                Err(errno) => return Err(errno),
            }
        }
    }
}

fn wait_for_room(to: &OwnedFd) -> Result<(), Errno> {
    let mut polled = [PollFd::from_borrowed_fd(to.as_fd(), PollFlags::OUT)];
    match poll(&mut polled, None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    fn has_ended(writer: &Writer) -> bool {
        let mut polled = [writer.end()];
        poll(&mut polled, None).unwrap();
        polled[0].revents().contains(PollFlags::HUP)
    }

    #[test]
    fn all_of_it_is_written_and_then_it_ends() {
        let (mut screen, terminal) = std::io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&terminal, true).unwrap();
        let (writer, pipe) = Writer::start(terminal.into()).unwrap();
        let text: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        rustix::io::ioctl_fionbio(&pipe, false).unwrap();
        let mut pipe = std::fs::File::from(pipe);
        let wanted = text.clone();
        let writes = std::thread::spawn(move || pipe.write_all(&text));
        let mut shown = Vec::new();
        screen.read_to_end(&mut shown).unwrap();
        writes.join().unwrap().unwrap();
        assert!(shown == wanted);
        assert!(has_ended(&writer));
    }

    #[test]
    fn while_it_is_paused_nothing_is_written() {
        let (mut screen, terminal) = std::io::pipe().unwrap();
        let (writer, pipe) = Writer::start(terminal.into()).unwrap();
        let paused = writer.pause();
        rustix::io::write(&pipe, b"text").unwrap();
        std::thread::sleep(std::time::Duration::from_millis(100));
        rustix::io::ioctl_fionbio(&screen, true).unwrap();
        assert!(screen.read(&mut [0; 8]).is_err());
        drop(paused);
        rustix::io::ioctl_fionbio(&screen, false).unwrap();
        assert_eq!(screen.read(&mut [0; 8]).unwrap(), 4);
    }

    #[test]
    fn it_ends_with_the_terminal() {
        let (screen, terminal) = std::io::pipe().unwrap();
        let (writer, pipe) = Writer::start(terminal.into()).unwrap();
        drop(screen);
        rustix::io::write(&pipe, b"text").unwrap();
        assert!(has_ended(&writer));
        assert_eq!(rustix::io::write(&pipe, b"more"), Err(Errno::PIPE));
    }
}
