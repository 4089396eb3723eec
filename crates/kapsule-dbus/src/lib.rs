// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! Kapsule on the system bus: names, error names and client proxies.
//!
//! `org.kde.kapsule.Manager` and `org.kde.kapsule.Operation` are the interface that existing
//! clients rely on and never change. What is new stands in [`Containers1`](containers) and
//! [`Images1`](images).

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
