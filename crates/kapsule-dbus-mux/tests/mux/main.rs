// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The multiplexer between two real buses, with the field's own clients at each end.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod buses;
mod names;
mod protocol;
mod services;
mod stock;
