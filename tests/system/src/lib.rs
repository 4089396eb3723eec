// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Drives the booted host for the system tests: runs commands there, as root and as the users, and
//! looks at the bus.
//!
//! | module | |
//! |---|---|
//! | [`host`] | the host, shared between tests or held by one of them |
//! | [`process`] | a command in the host: what goes in, what comes out, how it ends |
//! | [`bus`] | D-Bus, with the stock clients `busctl` and `gdbus` |
//! | [`monitor`] | what passes over the bus |
//! | [`container`] | containers and images for tests, and their end |
//! | [`wire`] | D-Bus as a hostile user speaks it |
//! | [`polkit`] | rules and passwords |
//!
//! `cargo xtask test` boots the host, installs Kapsule in it and sets these variables:
//!
//! | variable | |
//! |---|---|
//! | `KAPSULE_TEST_HOST` | there is a host; without it, each test says so and does nothing |
//! | `KAPSULE_XTASK` | the program `xtask`; without it, the one beside the tests' own program |
//! | `KAPSULE_TEST_HOSTILE_AGENT` | the program `hostile-agent`, linked statically; without it, the one that cargo built |
//! | `KAPSULE_TEST_NO_REBOOT` | set by hand where others use the host too: leaves out the one test that boots it anew |
//!
//! To run some by hand, after `cargo xtask host up` and `cargo xtask image build NAME --host` for each image:
//!
//! ```text
//! KAPSULE_TEST_HOST=1 KAPSULE_TEST_NO_REBOOT=1 cargo test -p kapsule-system-tests NAME
//! ```
//!
//! Tests run in parallel, with those that stop a service kept apart (see [`host`]). Everything that a
//! test makes is called `t-…`, and what an earlier run left behind of that name is removed first.
//! Nothing here waits for less than a minute before it is called hung.

pub mod bus;
pub mod container;
pub mod host;
pub mod monitor;
pub mod polkit;
pub mod process;
pub mod wire;
