// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! `org.kde.kapsule.Operation`: long work, and `OperationLog1`, its record.

/// Kind of a message. The numbers are the wire's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum MessageType {
    /// Neutral.
    Info = 0,
    /// Something was achieved.
    Success = 1,
    /// Something went otherwise than it should; the work goes on.
    Warning = 2,
    /// Something failed.
    Error = 3,
    /// Of little interest.
    Dim = 4,
    /// What to do next.
    Hint = 5,
}

impl MessageType {
    /// From the wire; unknown numbers count as [`Info`](Self::Info).
    #[must_use]
    pub fn from_wire(number: i32) -> Self {
        match number {
            1 => Self::Success,
            2 => Self::Warning,
            3 => Self::Error,
            4 => Self::Dim,
            5 => Self::Hint,
            _ => Self::Info,
        }
    }
}

/// One piece of long work. The object disappears about five seconds after `Completed`. A client
/// subscribes first (to everything below `/org/kde/kapsule/operations`), then calls.
#[zbus::proxy(
    interface = "org.kde.kapsule.Operation",
    default_service = "org.kde.kapsule"
)]
pub trait Operation {
    /// The number in the path, as text.
    #[zbus(property)]
    fn id(&self) -> zbus::Result<String>;
    /// `create`, `delete`, `start`, `stop`, `restart`, `setup_user`, `refresh_images`,
    /// `import_image` or `delete_image`.
    #[zbus(property, name = "Type")]
    fn kind(&self) -> zbus::Result<String>;
    /// What it does, for people.
    #[zbus(property)]
    fn description(&self) -> zbus::Result<String>;
    /// The container or image that it is about.
    #[zbus(property)]
    fn target(&self) -> zbus::Result<String>;
    /// `running`, then `completed`, `failed` or `cancelled`.
    #[zbus(property)]
    fn status(&self) -> zbus::Result<String>;
    /// Empty unless failed or cancelled.
    #[zbus(property)]
    fn error_message(&self) -> zbus::Result<String>;

    /// Asks it to stop and clean up. False when it is over already.
    fn cancel(&self) -> zbus::Result<bool>;

    /// Type, text, level of indentation.
    #[zbus(signal)]
    fn message(&self, message_type: i32, text: &str, indent: i32) -> zbus::Result<()>;
    /// A progress bar begins: its id, description, total (-1: unknown) and indentation.
    #[zbus(signal)]
    fn progress_started(
        &self,
        progress_id: &str,
        description: &str,
        total: i32,
        indent: i32,
    ) -> zbus::Result<()>;
    /// A progress bar moves: its id, current value, rate per second (0: unknown).
    #[zbus(signal)]
    fn progress_update(&self, progress_id: &str, current: i32, rate: f64) -> zbus::Result<()>;
    /// A progress bar has something to say.
    #[zbus(signal)]
    fn progress_text_update(&self, progress_id: &str, text: &str) -> zbus::Result<()>;
    /// A progress bar ends; the text, if any, takes its place.
    #[zbus(signal)]
    fn progress_completed(
        &self,
        progress_id: &str,
        success: bool,
        message: &str,
    ) -> zbus::Result<()>;
    /// It is over.
    #[zbus(signal)]
    fn completed(&self, success: bool, error: &str) -> zbus::Result<()>;
}

/// The record of an operation, on the same object: for clients that come late.
#[zbus::proxy(
    interface = "org.kde.kapsule.OperationLog1",
    default_service = "org.kde.kapsule"
)]
pub trait OperationLog1 {
    /// All messages so far: type, text, level of indentation.
    fn get_messages(&self) -> zbus::Result<Vec<(i32, String, i32)>>;

    /// What kind of failure ended it: one of [`crate::error`]; empty unless failed or cancelled.
    fn get_error_name(&self) -> zbus::Result<String>;
}
