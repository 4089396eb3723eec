// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The real agent, with the test in the place of the daemon and of clients.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop at the first surprise"
)]

mod daemon;
mod hang_up;
mod harness;
mod hostile;
mod programs;
mod terminals;
