// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The Kapsule system service.

mod as_user;
mod config;
mod error;
mod ops;
mod threads;
mod users;

fn main() {}
