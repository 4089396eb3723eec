// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Long work: started, watched, cancelled. Knows nothing of D-Bus; what happens comes out as a
//! stream of [events](Event) in the order that clients are to see.

mod event;
mod operation;
mod progress;
mod registry;
mod reporter;

pub(crate) use event::{Event, Happening};
pub(crate) use operation::{Operation, OperationId, OperationKind, OperationSpec, Status};
pub(crate) use progress::Progress;
#[cfg(test)]
pub(crate) use registry::LINGER;
pub(crate) use registry::Operations;
pub(crate) use reporter::Reporter;
