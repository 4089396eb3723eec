// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! D-Bus as a hostile client speaks it: nothing is checked before it is sent, replies need not be
//! read, and many connections are cheap. Runs inside the host, as the user whose rights it has.
//!
//! | module | |
//! |---|---|
//! | [`value`] | values, their signatures and bytes |
//! | [`message`] | messages: written as one likes, read as far as tests need it |
//! | [`connection`] | a connection to the system bus |
//! | [`introspection`] | what an object offers |
//! | [`random`] | random numbers from a seed, and hostile values from those |
//! | [`attack`] | what the program `hostile-user` does |
//! | [`fuzz`] | random calls of everything |

pub mod attack;
pub mod connection;
pub mod fuzz;
pub mod introspection;
pub mod message;
pub mod random;
pub mod value;
