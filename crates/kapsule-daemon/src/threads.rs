// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Threads for calls that can hang: name services, and file systems that users bring along.
//!
//! A hung call cannot be ended, only left behind. What is left behind is counted by user, so that
//! a home that never answers costs the daemon a few threads and other users nothing.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::error::{Error, ErrorKind, Result};

/// Most threads that work, or hang, for one user at a time.
const MAX_PER_USER: usize = 8;

static RUNNING: LazyLock<Arc<Mutex<HashMap<u32, usize>>>> = LazyLock::new(Arc::default);

/// A place among a user's threads; given back when the thread ends, not when nobody waits any
/// more.
#[derive(Debug)]
struct Place(u32);

impl Place {
    fn take(uid: u32) -> Option<Self> {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let count = running.entry(uid).or_default();
        if *count >= MAX_PER_USER {
            return None;
        }
        *count += 1;
        Some(Self(uid))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = running.get_mut(&self.0) {
            *count -= 1;
            if *count == 0 {
                running.remove(&self.0);
            }
        }
    }
}

/// Runs `work` on a thread of its own on behalf of `uid` and waits for it at most `patience`.
/// `doing` names the work in error texts, as in "reading the settings".
///
/// # Errors
/// `LimitExceeded` when too much of the user's hangs already, `Failed` when it takes too long or
/// no thread can be made.
pub(crate) async fn run<T: Send + 'static>(
    uid: u32,
    patience: Duration,
    doing: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let place = Place::take(uid).ok_or_else(|| {
        Error::new(
            ErrorKind::LimitExceeded,
            format!("{doing}: too much is waiting for the files or the account of user {uid} already; does the home folder answer?"),
        )
    })?;
    let (sender, answer) = oneshot::channel();
    std::thread::Builder::new()
        .name(format!("for-{uid}"))
        .spawn(move || {
            let result = work();
            // Before the answer, so that whoever gets it finds the place free.
            drop(place);
            let _ = sender.send(result);
        })
        .map_err(|error| Error::failed(format!("{doing}: cannot start a thread: {error}")))?;
    match tokio::time::timeout(patience, answer).await {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(_)) => Err(Error::failed(format!("{doing}: ended without a result"))),
        Err(_) => Err(Error::failed(format!(
            "{doing}: no answer within {} s; a network home or a user directory may hang",
            patience.as_secs()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn gives_the_result() {
        let sum = run(1, Duration::from_secs(5), "adding", || 1 + 1).await;
        assert_eq!(sum.unwrap(), 2);
    }

    #[tokio::test]
    async fn leaves_a_hung_call_behind_and_bounds_them() {
        let uid = 4_000_001;
        let (release, hung) = mpsc::channel::<()>();
        let hung = Arc::new(Mutex::new(hung));
        for _ in 0..MAX_PER_USER {
            let hung = Arc::clone(&hung);
            let error = run(uid, Duration::from_millis(10), "waiting", move || {
                let _ = hung.lock().unwrap().recv();
            })
            .await
            .unwrap_err();
            assert_eq!(error.kind, ErrorKind::Failed, "{error}");
        }
        let error = run(uid, Duration::from_secs(5), "one more", || ())
            .await
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::LimitExceeded, "{error}");
        // Others are not concerned, and what ends makes room.
        run(uid + 1, Duration::from_secs(5), "another's", || ())
            .await
            .unwrap();
        drop(release);
        let mut tries = 0;
        while run(uid, Duration::from_secs(5), "one more", || ())
            .await
            .is_err()
        {
            tries += 1;
            assert!(tries < 500, "places are not given back");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
