// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! The client against a real `incusd`.
//!
//! `KAPSULE_TEST_INCUS_SOCKET` names its socket. Without it these tests say that they skip, unless
//! `KAPSULE_TEST_REQUIRE_INCUS=1` makes that a failure. Every test makes its own project, pool and image, with a
//! random suffix, and takes them away again. The image's only program is a static BusyBox (`KAPSULE_TEST_BUSYBOX`,
//! or `/bin/busybox`), so that nothing is downloaded.

// Clippy lets tests stop at a surprise, but does not see that everything here is one.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod around;
mod bench;
mod exec;
mod files;
mod fixture;
mod image_file;
mod images;
mod instances;
mod operations;
mod shapes;
mod snapshots;
