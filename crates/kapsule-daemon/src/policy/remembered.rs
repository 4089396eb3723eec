// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What polkit has allowed, remembered for a while, so that entering a container does not wait
//! for it each time.
//!
//! Only a yes is remembered: for a user, in a login session, about one act. A no is asked anew
//! each time. When polkit says that something has changed (rules, actions, sessions), all is
//! forgotten. A yes of some seconds' age still counts, but is asked about again meanwhile, for
//! what polkit does not announce, such as membership in a group.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Act;
use crate::caller::Caller;

/// How long a yes counts without a doubt.
const FRESH: Duration = Duration::from_secs(5);

/// How long it counts when it could not be asked about again, as with callers that are gone too
/// soon.
const USABLE: Duration = Duration::from_secs(60 * 60);

/// Most answers that are kept. A user can have as many login sessions as they like.
const MANY: usize = 1024;

/// Whose yes it is, and to what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    uid: u32,
    session: Arc<str>,
    act: Act,
}

impl Key {
    /// Nothing for an act that is not remembered.
    pub(super) fn new(caller: &Caller, act: Act) -> Option<Self> {
        act.is_remembered().then(|| Self {
            uid: caller.uid,
            session: Arc::clone(&caller.session),
            act,
        })
    }
}

/// What is known of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Nothing,
    /// A yes, not old.
    Fresh,
    /// A yes that is to be asked about again, by whoever gets this: it is told to one only.
    Doubtful,
    /// A yes that somebody is asking about again.
    InDoubt,
}

/// The answers. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Remembered(Arc<Mutex<Answers>>);

#[derive(Debug, Default)]
struct Answers {
    /// Whether changes at polkit are heard of. Before that nothing is remembered.
    following: bool,
    /// Goes up with each change at polkit.
    era: u64,
    yes: HashMap<Key, Yes>,
}

#[derive(Debug)]
struct Yes {
    since: Instant,
    in_doubt: bool,
}

/// The time that a question was asked in, as polkit's changes divide it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Era(u64);

impl Remembered {
    /// Nothing that is done under the lock can leave it half changed.
    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn look(&self, key: &Key) -> Known {
        let answers = &mut *self.answers();
        let Some(yes) = answers.yes.get_mut(key) else {
            return Known::Nothing;
        };
        match yes.since.elapsed() {
            age if age < FRESH => Known::Fresh,
            age if age >= USABLE => Known::Nothing,
            _ if yes.in_doubt => Known::InDoubt,
            _ => {
                yes.in_doubt = true;
                Known::Doubtful
            }
        }
    }

    /// To be taken before polkit is asked.
    pub(super) fn era(&self) -> Era {
        Era(self.answers().era)
    }

    /// Remembers a yes, unless something has changed since it was asked for.
    pub(super) fn allowed(&self, key: Key, asked: Era) {
        let answers = &mut *self.answers();
        if !answers.following || answers.era != asked.0 {
            return;
        }
        if answers.yes.len() >= MANY {
            answers.yes.clear();
        }
        let yes = Yes {
            since: Instant::now(),
            in_doubt: false,
        };
        answers.yes.insert(key, yes);
    }

    /// It is not a yes any more.
    pub(super) fn refused(&self, key: &Key) {
        self.answers().yes.remove(key);
    }

    /// The question could not be put: the yes stays as old as it is.
    pub(super) fn unanswered(&self, key: &Key) {
        if let Some(yes) = self.answers().yes.get_mut(key) {
            yes.in_doubt = false;
        }
    }

    /// From here on changes are heard of, or not any more.
    pub(super) fn follow(&self, following: bool) {
        self.answers().following = following;
        self.forget();
    }

    /// Something has changed at polkit.
    pub(super) fn forget(&self) {
        let mut answers = self.answers();
        answers.era += 1;
        answers.yes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(uid: u32, session: &str) -> Key {
        Key {
            uid,
            session: session.into(),
            act: Act::EnterContainer,
        }
    }

    fn following() -> Remembered {
        let remembered = Remembered::default();
        remembered.follow(true);
        remembered
    }

    #[test]
    fn remembers_nothing_while_it_would_not_hear_of_changes() {
        let remembered = Remembered::default();
        remembered.allowed(key(1000, ""), remembered.era());
        assert_eq!(remembered.look(&key(1000, "")), Known::Nothing);
        remembered.follow(true);
        remembered.allowed(key(1000, ""), remembered.era());
        remembered.follow(false);
        assert_eq!(remembered.look(&key(1000, "")), Known::Nothing);
    }

    #[tokio::test(start_paused = true)]
    async fn a_yes_grows_old_and_one_of_many_asks_again() {
        let remembered = following();
        let alice = key(1000, "session-1.scope");
        assert_eq!(remembered.look(&alice), Known::Nothing);
        remembered.allowed(alice.clone(), remembered.era());
        assert_eq!(remembered.look(&alice), Known::Fresh);
        for other in [key(1001, "session-1.scope"), key(1000, "session-2.scope")] {
            assert_eq!(remembered.look(&other), Known::Nothing);
        }
        tokio::time::advance(FRESH).await;
        assert_eq!(remembered.look(&alice), Known::Doubtful);
        assert_eq!(remembered.look(&alice), Known::InDoubt);
        remembered.unanswered(&alice);
        assert_eq!(remembered.look(&alice), Known::Doubtful);
        remembered.allowed(alice.clone(), remembered.era());
        assert_eq!(remembered.look(&alice), Known::Fresh);
        tokio::time::advance(USABLE).await;
        assert_eq!(remembered.look(&alice), Known::Nothing);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_and_a_change_end_it() {
        let remembered = following();
        let alice = key(1000, "");
        remembered.allowed(alice.clone(), remembered.era());
        remembered.refused(&alice);
        assert_eq!(remembered.look(&alice), Known::Nothing);
        remembered.allowed(alice.clone(), remembered.era());
        let before = remembered.era();
        remembered.forget();
        assert_eq!(remembered.look(&alice), Known::Nothing);
        // The answer to a question from before the change.
        remembered.allowed(alice.clone(), before);
        assert_eq!(remembered.look(&alice), Known::Nothing);
    }

    #[tokio::test]
    async fn is_bounded() {
        let remembered = following();
        for session in 0..3 * MANY {
            remembered.allowed(key(1000, &session.to_string()), remembered.era());
        }
        assert!(remembered.answers().yes.len() <= MANY);
    }
}
