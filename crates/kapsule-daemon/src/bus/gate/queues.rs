// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Calls that wait, each user's by themselves, and those that are being worked at.

use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use super::Refusal;

/// Most calls of one user that the service works at. Each is answered before it counts no more; the
/// longest ones wait for a container to boot.
const AT_WORK: usize = 32;
/// Most calls of one user that wait meanwhile, and most bytes in them.
const WAITING: usize = 512;
const WAITING_BYTES: usize = 4 << 20;
/// The longest call. Arguments are names, options and command lines.
pub(super) const MAX_CALL: usize = 1 << 20;
/// Most connections of which it is not known yet whose they are, and most bytes from all of these.
const STRANGERS: usize = 1024;
const STRANGERS_BYTES: usize = 32 << 20;
/// How many connections are remembered before all are asked about anew.
const KNOWN: usize = 4096;
/// A call that has not been answered after this time never is.
const FORGOTTEN: Duration = Duration::from_secs(10 * 60);

pub(super) const TOO_LONG: &str =
    "the arguments of this call are longer than all names, options and command lines are";
const TOO_MANY: &str =
    "too many of your calls wait for the service already; let it answer some of them first";

/// A whole call.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) bytes: Vec<u8>,
    pub(super) descriptors: Vec<OwnedFd>,
    pub(super) sender: String,
    pub(super) serial: u32,
    pub(super) no_reply: bool,
}

impl Call {
    fn refused(&self) -> Option<Refusal> {
        (!self.no_reply).then(|| Refusal {
            sender: self.sender.clone(),
            serial: self.serial,
            why: TOO_MANY,
        })
    }
}

#[derive(Debug, Default)]
struct Line {
    calls: VecDeque<Call>,
    bytes: usize,
    at_work: usize,
}

impl Line {
    /// Puts a call in the line; gives it back when there are too many.
    fn join(&mut self, call: Call) -> Result<(), Call> {
        let bytes = self.bytes + call.bytes.len();
        if self.calls.len() >= WAITING || bytes > WAITING_BYTES {
            return Err(call);
        }
        self.bytes = bytes;
        self.calls.push_back(call);
        Ok(())
    }
}

#[derive(Debug)]
struct Work {
    uid: u32,
    no_reply: bool,
    since: Instant,
}

/// What became of a call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Joined {
    Waits,
    /// It waits, and somebody has to find out whose it is.
    Unknown,
    Refused(Option<Refusal>),
}

/// All lines.
#[derive(Debug, Default)]
pub(super) struct Queues {
    known: HashMap<String, u32>,
    strangers: HashMap<String, Line>,
    strangers_bytes: usize,
    users: HashMap<u32, Line>,
    /// Users with calls in their line, the next one first.
    turns: VecDeque<u32>,
    work: HashMap<(String, u32), Work>,
}

impl Queues {
    /// A call has come.
    pub(super) fn join(&mut self, call: Call) -> Joined {
        let Some(uid) = self.known.get(&call.sender).copied() else {
            return self.join_strangers(call);
        };
        match self.join_user(uid, call) {
            Ok(()) => Joined::Waits,
            Err(call) => Joined::Refused(call.refused()),
        }
    }

    fn join_strangers(&mut self, call: Call) -> Joined {
        let is_new = !self.strangers.contains_key(&call.sender);
        let bytes = self.strangers_bytes + call.bytes.len();
        if bytes > STRANGERS_BYTES || is_new && self.strangers.len() >= STRANGERS {
            return Joined::Refused(call.refused());
        }
        let line = self.strangers.entry(call.sender.clone()).or_default();
        match line.join(call) {
            Ok(()) => self.strangers_bytes = bytes,
            Err(call) => return Joined::Refused(call.refused()),
        }
        match is_new {
            true => Joined::Unknown,
            false => Joined::Waits,
        }
    }

    fn join_user(&mut self, uid: u32, call: Call) -> Result<(), Call> {
        let line = self.users.entry(uid).or_default();
        let was_empty = line.calls.is_empty();
        line.join(call)?;
        if was_empty {
            self.turns.push_back(uid);
        }
        Ok(())
    }

    /// Whose connection it is, has been found out; nobody's, when it has ended. Returns the calls for
    /// which that user's line has no place.
    pub(super) fn identified(&mut self, sender: &str, uid: Option<u32>) -> Vec<Refusal> {
        let line = self.strangers.remove(sender).unwrap_or_default();
        self.strangers_bytes = self.strangers_bytes.saturating_sub(line.bytes);
        let Some(uid) = uid else { return Vec::new() };
        if self.known.len() >= KNOWN {
            self.known.clear();
        }
        self.known.insert(sender.to_owned(), uid);
        let refused = line
            .calls
            .into_iter()
            .filter_map(|call| self.join_user(uid, call).err()?.refused());
        refused.collect()
    }

    /// The next call to be worked at.
    pub(super) fn next(&mut self) -> Option<Call> {
        for _ in 0..self.turns.len() {
            let uid = self.turns.pop_front()?;
            if self.users.get(&uid)?.at_work >= AT_WORK {
                self.forget_unanswered(uid);
            }
            let line = self.users.get_mut(&uid)?;
            if line.at_work >= AT_WORK {
                self.turns.push_back(uid);
                continue;
            }
            let Some(call) = line.calls.pop_front() else {
                continue;
            };
            line.bytes -= call.bytes.len();
            if !line.calls.is_empty() {
                self.turns.push_back(uid);
            }
            let work = Work {
                uid,
                no_reply: call.no_reply,
                since: Instant::now(),
            };
            let key = (call.sender.clone(), call.serial);
            // The same number twice is one call, and the first to be answered ends both.
            if self.work.insert(key, work).is_none() {
                line.at_work += 1;
            }
            return Some(call);
        }
        None
    }

    fn forget_unanswered(&mut self, uid: u32) {
        let before = self.work.len();
        self.work
            .retain(|_, work| work.uid != uid || work.since.elapsed() < FORGOTTEN);
        let forgotten = before - self.work.len();
        if let Some(line) = self.users.get_mut(&uid) {
            line.at_work = line.at_work.saturating_sub(forgotten);
        }
    }

    /// A call is being answered. False when nobody wants that answer.
    pub(super) fn answered(&mut self, sender: &str, serial: u32) -> bool {
        let Some(work) = self.work.remove(&(sender.to_owned(), serial)) else {
            return true;
        };
        if let Some(line) = self.users.get_mut(&work.uid) {
            line.at_work = line.at_work.saturating_sub(1);
            if line.at_work == 0 && line.calls.is_empty() {
                self.users.remove(&work.uid);
            }
        }
        !work.no_reply
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(sender: &str, serial: u32, size: usize) -> Call {
        Call {
            bytes: vec![0; size],
            descriptors: Vec::new(),
            sender: sender.to_owned(),
            serial,
            no_reply: false,
        }
    }

    fn queues() -> Queues {
        let mut queues = Queues::default();
        for (name, uid) in [(":1.1", 1), (":1.2", 2), (":1.3", 1)] {
            queues.identified(name, Some(uid));
        }
        queues
    }

    #[test]
    fn users_take_turns_however_much_one_sends() {
        let mut queues = queues();
        for serial in 0..100 {
            assert_eq!(queues.join(call(":1.1", serial, 10)), Joined::Waits);
            assert_eq!(queues.join(call(":1.3", serial, 10)), Joined::Waits);
        }
        queues.join(call(":1.2", 1, 10));
        queues.next().unwrap();
        assert_eq!(queues.next().unwrap().sender, ":1.2");
        // A user's connections together have that user's share.
        let mut at_work = 2;
        while queues.next().is_some() {
            at_work += 1;
        }
        assert_eq!(at_work, AT_WORK + 1);
        // And an answer makes place for one more.
        assert!(queues.answered(":1.1", 0));
        assert!(queues.next().is_some());
        assert!(queues.next().is_none());
    }

    #[test]
    fn what_is_too_much_is_refused_to_who_sent_it() {
        let mut queues = queues();
        let mut refused = 0;
        for serial in 0..2000 {
            if let Joined::Refused(refusal) = queues.join(call(":1.1", serial, 100)) {
                assert_eq!(refusal.unwrap().sender, ":1.1");
                refused += 1;
            }
        }
        assert_eq!(refused, 2000 - WAITING);
        assert_eq!(queues.join(call(":1.2", 1, 100)), Joined::Waits);
        let mut bytes = 0;
        let mut queues = self::queues();
        for serial in 0..100 {
            if queues.join(call(":1.1", serial, MAX_CALL)) == Joined::Waits {
                bytes += MAX_CALL;
            }
        }
        assert_eq!(bytes, WAITING_BYTES);
        let mut silent = call(":1.1", 1, MAX_CALL);
        silent.no_reply = true;
        assert_eq!(queues.join(silent), Joined::Refused(None));
    }

    #[test]
    fn strangers_wait_until_somebody_knows_them() {
        let mut queues = Queues::default();
        assert_eq!(queues.join(call(":1.9", 1, 10)), Joined::Unknown);
        assert_eq!(queues.join(call(":1.9", 2, 10)), Joined::Waits);
        assert!(queues.next().is_none());
        assert_eq!(queues.identified(":1.9", Some(5)), []);
        assert_eq!(queues.next().unwrap().serial, 1);
        assert_eq!(queues.next().unwrap().serial, 2);
        // One that has gone takes its calls along.
        queues.join(call(":1.10", 1, 10));
        queues.identified(":1.10", None);
        assert!(queues.next().is_none());
        assert_eq!((queues.strangers_bytes, queues.strangers.len()), (0, 0));
        let mut waiting = 0;
        for number in 0..2 * STRANGERS {
            let sender = format!(":2.{number}");
            waiting += usize::from(queues.join(call(&sender, 1, 10)) == Joined::Unknown);
        }
        assert_eq!(waiting, STRANGERS);
    }

    #[test]
    fn nothing_stays_of_what_is_over() {
        let mut queues = queues();
        let mut silent = call(":1.1", 1, 10);
        silent.no_reply = true;
        queues.join(silent);
        queues.join(call(":1.1", 2, 10));
        queues.next().unwrap();
        queues.next().unwrap();
        assert!(!queues.answered(":1.1", 1), "nobody wants it");
        assert!(queues.answered(":1.1", 2));
        assert!(queues.users.is_empty() && queues.work.is_empty() && queues.turns.is_empty());
        // Answers to what never came in through here, such as refusals, go out.
        assert!(queues.answered(":1.1", 3));
    }
}
