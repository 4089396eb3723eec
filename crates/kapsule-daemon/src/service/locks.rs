// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! One change to a container at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OwnedMutexGuard;

use crate::container_id::ContainerId;

type Lock = tokio::sync::Mutex<()>;

/// A lock for each container that something is being done to.
#[derive(Debug, Default)]
pub(super) struct Locks {
    held: Mutex<HashMap<ContainerId, Weak<Lock>>>,
}

impl Locks {
    /// Waits until nothing else changes the container, and keeps others out until the guard goes.
    pub(super) async fn lock(&self, id: &ContainerId) -> OwnedMutexGuard<()> {
        self.of(id).lock_owned().await
    }

    /// As [`lock`](Self::lock), but gives up at once where something else is under way.
    pub(super) fn try_lock(&self, id: &ContainerId) -> Option<OwnedMutexGuard<()>> {
        self.of(id).try_lock_owned().ok()
    }

    fn of(&self, id: &ContainerId) -> Arc<Lock> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|_, lock| lock.strong_count() > 0);
        if let Some(lock) = held.get(id).and_then(Weak::upgrade) {
            return lock;
        }
        let lock = Arc::new(Lock::default());
        held.insert(id.clone(), Arc::downgrade(&lock));
        lock
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_at_a_time_and_each_container_by_itself() {
        let locks = Locks::default();
        let dev = ContainerId::new(1000, &"dev".parse().unwrap());
        let other = ContainerId::new(1001, &"dev".parse().unwrap());
        let guard = locks.lock(&dev).await;
        assert!(locks.try_lock(&dev).is_none());
        assert!(locks.try_lock(&other).is_some());
        drop(guard);
        assert!(locks.try_lock(&dev).is_some());
        assert!(locks.held.lock().unwrap().len() <= 1);
    }
}
