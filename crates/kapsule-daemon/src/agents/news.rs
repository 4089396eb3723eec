// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Whose agents have come or gone, for others to be told.
//!
//! An agent may come and go as often as it likes: what is kept is one entry for each container, with
//! what is true by now.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::container_id::ContainerId;

/// The containers whose owner's agent has come or gone.
#[derive(Debug, Default)]
pub(crate) struct News {
    containers: Mutex<BTreeSet<ContainerId>>,
    there_is: Notify,
}

impl News {
    /// Says that something has become different.
    pub(super) fn note(&self, id: &ContainerId) {
        let mut containers = self
            .containers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        containers.insert(id.clone());
        self.there_is.notify_one();
    }

    /// Waits until there is something, and takes it.
    pub(crate) async fn next(&self) -> BTreeSet<ContainerId> {
        loop {
            let containers = std::mem::take(
                &mut *self
                    .containers
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner),
            );
            if !containers.is_empty() {
                return containers;
            }
            self.there_is.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn much_of_one_container_is_told_once() {
        let news = News::default();
        let id = |name: &str| ContainerId::new(1000, &name.parse().unwrap());
        for _ in 0..1000 {
            news.note(&id("dev"));
        }
        news.note(&id("web"));
        assert_eq!(news.next().await, BTreeSet::from([id("dev"), id("web")]));
        let (containers, ()) = tokio::join!(news.next(), async { news.note(&id("dev")) });
        assert_eq!(containers, BTreeSet::from([id("dev")]));
    }
}
