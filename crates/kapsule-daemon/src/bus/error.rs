// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The daemon's errors as errors of D-Bus.

use kapsule_dbus::error as names;
use zbus::message::{Header, Message};
use zbus::names::ErrorName;

use crate::error::{Error, ErrorKind};

impl ErrorKind {
    /// The error's name on the bus. There is none for cancelling: that only happens to operations,
    /// which do not end in an error of D-Bus.
    pub(super) fn bus_name(self) -> &'static str {
        match self {
            Self::AccessDenied => names::ACCESS_DENIED,
            Self::AgentUnavailable => names::AGENT_UNAVAILABLE,
            Self::AlreadyExists => names::ALREADY_EXISTS,
            Self::Cancelled | Self::Failed => names::FAILED,
            Self::IncusUnavailable => names::INCUS_UNAVAILABLE,
            Self::InvalidArgument => names::INVALID_ARGUMENT,
            Self::LimitExceeded => names::LIMIT_EXCEEDED,
            Self::NotFound => names::NOT_FOUND,
            Self::NotRunning => names::NOT_RUNNING,
            Self::PasswordNeeded => names::PASSWORD_NEEDED,
        }
    }
}

impl zbus::DBusError for Error {
    fn create_reply(&self, call: &Header<'_>) -> zbus::Result<Message> {
        // D-Bus texts cannot hold a zero.
        let text = self.message.replace('\0', "");
        Message::error(call, self.kind.bus_name()).build(&(text,))
    }

    fn name(&self) -> ErrorName<'_> {
        ErrorName::from_static_str_unchecked(self.kind.bus_name())
    }

    fn description(&self) -> Option<&str> {
        Some(&self.message)
    }
}

/// A failure to put something on the bus.
impl From<zbus::Error> for Error {
    fn from(error: zbus::Error) -> Self {
        Self::failed(format!("D-Bus: {error}"))
    }
}
