// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! The names of the errors that methods return at once. Failures of long work come with the
//! operation's `Completed` signal instead.

/// The container's name, the image, an option or another argument is not valid.
pub const INVALID_ARGUMENT: &str = "org.kde.kapsule.Error.InvalidArgument";
/// There is no such container, image or operation of the caller's.
pub const NOT_FOUND: &str = "org.kde.kapsule.Error.NotFound";
/// The container exists and does not run.
pub const NOT_RUNNING: &str = "org.kde.kapsule.Error.NotRunning";
/// The name is taken.
pub const ALREADY_EXISTS: &str = "org.kde.kapsule.Error.AlreadyExists";
/// The caller may not do this.
pub const ACCESS_DENIED: &str = "org.kde.kapsule.Error.AccessDenied";
/// The caller may do this after giving a password, and nobody could be asked for it: the call did
/// not allow it, or there is no authentication agent. The standard's own name.
pub const PASSWORD_NEEDED: &str = "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired";
/// Incus does not answer, or is too old.
pub const INCUS_UNAVAILABLE: &str = "org.kde.kapsule.Error.IncusUnavailable";
/// The container runs, and nothing inside answers.
pub const AGENT_UNAVAILABLE: &str = "org.kde.kapsule.Error.AgentUnavailable";
/// The caller has too much going on.
pub const LIMIT_EXCEEDED: &str = "org.kde.kapsule.Error.LimitExceeded";
/// Anything else.
pub const FAILED: &str = "org.kde.kapsule.Error.Failed";
