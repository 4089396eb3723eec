// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Sessions that were sent to agents and are not taken yet.
//!
//! A descriptor that was sent and not received belongs to nobody and counts against the sender: the
//! daemon's user, root. An agent that never reads can be replaced by another and still keep what was
//! sent to it, so what is under way is counted for each owner, and bounded.
//!
//! The count cannot be cheated. Each session goes with a witness, the write end of a pipe, which the
//! agent has no use for. As long as the packet is not received, that end is open, and the read end
//! here tells. An agent that receives it and holds it open only counts against itself.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::{PipeFlags, pipe_with};

/// Most sessions under way to all agents of one owner. One connection holds about half of that, and
/// hundreds of sessions that are opened at once are not an attack.
const MOST: usize = 512;

/// What is under way, by owner.
#[derive(Default)]
pub(super) struct Underway {
    witnesses: Mutex<HashMap<u32, Vec<OwnedFd>>>,
}

impl Underway {
    /// Counts one more, and returns the witness to be sent with it.
    ///
    /// # Errors
    /// When too many are under way, or the system has no room for a pipe.
    pub(super) fn add(&self, owner: u32) -> io::Result<OwnedFd> {
        let mut witnesses = self
            .witnesses
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Of everybody, so that nothing of an owner who opens no more stays.
        for taken in witnesses.values_mut() {
            forget_taken(taken)?;
        }
        witnesses.retain(|_, left| !left.is_empty());
        let own = witnesses.entry(owner).or_default();
        if own.len() >= MOST {
            return Err(io::Error::other(format!(
                "{MOST} sessions wait for agents of your containers that do not take them"
            )));
        }
        let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC)?;
        own.push(ours);
        Ok(theirs)
    }
}

/// Drops those whose other end is closed.
fn forget_taken(witnesses: &mut Vec<OwnedFd>) -> io::Result<()> {
    if witnesses.is_empty() {
        return Ok(());
    }
    let mut polled: Vec<PollFd<'_>> = witnesses
        .iter()
        .map(|witness| PollFd::new(witness, PollFlags::empty()))
        .collect();
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut polled, Some(&now))?;
    let mut open = polled
        .iter()
        .map(|polled| !polled.revents().contains(PollFlags::HUP))
        .collect::<Vec<_>>()
        .into_iter();
    drop(polled);
    witnesses.retain(|_| open.next().unwrap_or(true));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program that another test begins holds copies of all descriptors for a moment, until it is
    /// executed. The daemon begins none.
    fn once_all_are_closed(add: impl Fn() -> io::Result<OwnedFd>) -> OwnedFd {
        for _ in 0..10_000 {
            if let Ok(added) = add() {
                return added;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        panic!("it is still open")
    }

    #[test]
    fn what_is_not_taken_is_counted_for_its_owner() {
        let underway = Underway::default();
        let mut sent: Vec<OwnedFd> = (0..MOST).map(|_| underway.add(1000).unwrap()).collect();
        assert!(underway.add(1000).is_err(), "one more than allowed");
        assert!(underway.add(1001).is_ok(), "somebody else");
        // One was received, and its witness closed; in whatever order.
        sent.remove(MOST / 2);
        sent.push(once_all_are_closed(|| underway.add(1000)));
        assert!(underway.add(1000).is_err());
        sent.clear();
        drop(once_all_are_closed(|| {
            let added = underway.add(1000)?;
            let left = underway.witnesses.lock().unwrap()[&1000].len();
            (left == 1)
                .then_some(added)
                .ok_or(io::ErrorKind::WouldBlock.into())
        }));
        let kept = underway.witnesses.lock().unwrap();
        assert_eq!((kept.len(), kept[&1000].len()), (1, 1), "{kept:?}");
    }
}
