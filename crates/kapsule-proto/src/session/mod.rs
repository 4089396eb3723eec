// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Client and agent: frames on a stream socket, with descriptors.
//!
//! The client sends one [`Open`] (as [`ToAgentSession::Open`]), the agent answers with any number
//! of [`FromAgent::Notice`], then [`FromAgent::Started`] or [`FromAgent::Failed`], and in the end
//! [`FromAgent::Exited`]. When the client's end of the socket closes, the agent hangs up the
//! whole process tree of the session.

mod channel;
mod message;

pub use channel::{Channel, ChannelError, MAX_DESCRIPTORS, MAX_FRAME, Received};
pub use message::{
    Bytes, Exit, FailedStage, FromAgent, Keys, Notice, Open, Shell, StdioSet, Terminal,
    ToAgentSession,
};
