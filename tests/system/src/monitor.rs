// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What passes over the bus to and from the service, in the bus' own order. Root sees everything.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bus::{ROOT_PATH, SERVICE};
use crate::host::ROOT;
use crate::process::{HANG, Running};

/// A `busctl monitor`, until this is dropped.
#[derive(Debug)]
pub struct Monitor(Running);

impl Monitor {
    /// Begins to listen, and returns when it does.
    ///
    /// # Panics
    /// When the bus does not let it.
    pub fn start() -> Self {
        let mut running = ROOT
            // Into a pipe, it would only write when it has a few kilobytes together.
            .command([
                "stdbuf",
                "--output=L",
                "busctl",
                "--system",
                "monitor",
                "--json=short",
                SERVICE,
            ])
            .start();
        // It does not say when it listens, but then it hears.
        let deadline = Instant::now() + HANG;
        while running.stdout().is_empty() {
            assert!(
                running.is_running() && Instant::now() < deadline,
                "{}",
                running.stderr()
            );
            drop(ROOT.call_at(ROOT_PATH, "org.freedesktop.DBus.Peer.Ping", &[]));
        }
        Self(running)
    }

    /// All messages so far.
    pub fn messages(&self) -> Vec<Message> {
        let text = self.0.stdout();
        // A line that has no end yet is not a message yet.
        let lines = text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        lines
            .filter_map(|line| serde_json::from_str(line).ok().map(Message))
            .collect()
    }

    /// Waits for a message, and returns all up to now.
    ///
    /// # Panics
    /// When it does not come.
    #[track_caller]
    pub fn wait_for(&self, what: &str, is_it: impl Fn(&Message) -> bool) -> Vec<Message> {
        let deadline = Instant::now() + HANG;
        loop {
            let messages = self.messages();
            if messages.iter().any(&is_it) {
                return messages;
            }
            assert!(
                Instant::now() < deadline,
                "no {what} among {} messages",
                messages.len()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// One message of the bus.
#[derive(Clone, Debug)]
pub struct Message(Value);

impl Message {
    fn field(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_default()
    }

    /// Name of the method or signal; empty for an answer.
    pub fn member(&self) -> &str {
        self.field("member")
    }

    /// Path of the object.
    pub fn path(&self) -> &str {
        self.field("path")
    }

    /// Name of the interface.
    pub fn interface(&self) -> &str {
        self.field("interface")
    }

    /// Whether it is a signal of this name.
    pub fn is_signal(&self, member: &str) -> bool {
        self.field("type") == "signal" && self.member() == member
    }

    /// Whether it is a signal of one of the service's own objects.
    pub fn is_signal_of_service(&self) -> bool {
        self.field("type") == "signal" && self.path().starts_with(ROOT_PATH)
    }

    /// The connection that it is for; empty when it is for everybody.
    pub fn destination(&self) -> &str {
        self.field("destination")
    }

    /// Whether it is an answer.
    pub fn is_return(&self) -> bool {
        self.field("type") == "method_return"
    }

    /// Type of the body.
    pub fn signature(&self) -> &str {
        self.0["payload"]["type"].as_str().unwrap_or_default()
    }

    /// The body's values.
    pub fn body(&self) -> &Value {
        &self.0["payload"]["data"]
    }

    /// When the bus saw it, in microseconds.
    pub fn time(&self) -> u64 {
        self.0["timestamp-realtime"].as_u64().unwrap_or_default()
    }
}
