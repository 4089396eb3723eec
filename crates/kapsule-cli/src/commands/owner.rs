// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Whose containers a command is about: one's own, unless an administrator names somebody else.

/// `--owner`, for the commands that have it.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct OwnerFlag {
    /// Containers of this user, by name or number; for administrators
    #[arg(long, value_name = "USER")]
    owner: Option<String>,
}

impl OwnerFlag {
    /// The user, as the service looks users up; nothing for oneself.
    pub(super) fn other(&self) -> Option<&str> {
        self.owner.as_deref()
    }
}
