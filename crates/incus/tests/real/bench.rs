// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! What one request costs. Prints, and fails only at what would be felt.

use std::time::{Duration, Instant};

use crate::fixture::with_server;

#[tokio::test]
async fn a_request_is_cheap() {
    with_server(async |client| {
        let mut times = Vec::new();
        for _ in 0..200 {
            let start = Instant::now();
            client.project("default").instances().await.unwrap();
            times.push(start.elapsed());
        }
        times.sort();
        let median = times[times.len() / 2];
        println!(
            "one request: fastest {:?}, median {median:?}, slowest {:?}",
            times[0],
            times[times.len() - 1]
        );
        assert!(median < Duration::from_millis(50), "median {median:?}");
    })
    .await;
}
