// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! Kapsule on the system bus: names, error names and client proxies.
//!
//! `org.kde.kapsule.Manager` and `org.kde.kapsule.Operation` are the interface that existing
//! clients rely on and never change. What is new stands in [`Containers1`](containers),
//! [`Images1`](images) and [`Admin1`](admin).
//!
//! Calls that polkit may be asked about allow interactive authorisation: where a password is
//! needed, the caller's authentication agent asks for it. As somebody has to type it, such calls
//! have no time limit but the caller's own.

pub mod admin;
pub mod containers;
pub mod error;
pub mod images;
pub mod manager;
pub mod operation;

/// Well-known name of the daemon.
pub const BUS_NAME: &str = "org.kde.kapsule";
/// Object with the manager, container and image interfaces.
pub const ROOT_PATH: &str = "/org/kde/kapsule";
/// Parent of the operation objects; the last element is the operation's number.
pub const OPERATIONS_PATH: &str = "/org/kde/kapsule/operations";
