// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `kapsule enter` as a program: in a terminal of its own, on a bus of its own, between a user and an
//! agent that are both the test.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failure is a failed test

mod agent;
mod bus;
mod client;
mod environment;
mod hostile;
mod or_host;
mod terminal;
