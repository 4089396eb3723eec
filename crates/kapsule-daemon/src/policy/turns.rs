// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! How many questions polkit is asked at once for one user. It answers one after the other, so that whoever has
//! the most asked waits the least, and all others wait for that.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Enough to keep polkit busy.
const AT_ONCE: usize = 8;

/// Whose turn it is. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns(Arc<Mutex<HashMap<u32, Arc<Semaphore>>>>);

impl Turns {
    /// Waits until one more question may be asked for a user; it counts until what is returned is dropped.
    pub(super) async fn wait(&self, uid: u32) -> Option<OwnedSemaphorePermit> {
        let turns = {
            let mut users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let turns = users
                .entry(uid)
                .or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE)));
            Arc::clone(turns)
        };
        // It is never closed; and if it were, polkit would be asked all the same.
        turns.acquire_owned().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_users_questions_wait_for_each_other_and_for_nobody_else() {
        let turns = Turns::default();
        let mut asked = Vec::new();
        for _ in 0..AT_ONCE {
            asked.push(turns.wait(1000).await);
        }
        let hour = Duration::from_secs(3600);
        assert!(timeout(hour, turns.wait(1000)).await.is_err());
        assert!(timeout(hour, turns.wait(1001)).await.is_ok());
        asked.pop();
        assert!(timeout(hour, turns.wait(1000)).await.is_ok());
    }
}
