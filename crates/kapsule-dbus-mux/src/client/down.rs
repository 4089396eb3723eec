// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! From the buses to the client.

use std::sync::atomic::Ordering;

use futures_util::StreamExt as _;
use zbus::message::{Builder, Message, Type};
use zbus::{Connection, MessageStream};

use super::{Client, List};
use crate::driver;
use crate::names::{DRIVER, Side, to_client};
use crate::rewrite;

/// What the bus may send before it has answered `Hello`.
const EARLY: usize = 16;

impl Client {
    /// What the host's bus sends.
    pub(super) async fn pass_down(&self, mut messages: MessageStream) -> zbus::Result<()> {
        // Clients of sd-bus want the answer to `Hello` to be the first that they get; the bus
        // tells them about their name before it.
        let mut early = Some(Vec::new());
        while let Some(message) = messages.next().await {
            let message = message?;
            if let Some(held) = &mut early {
                if !self.is_answer_to_hello(&message) && held.len() < EARLY {
                    held.push(message);
                    continue;
                }
                self.down.send(&message).await?;
                for message in early.take().into_iter().flatten() {
                    self.pass_one_down(&message).await?;
                }
                if let Some(name) = driver::first_text(&message) {
                    self.own_name.send_replace(name);
                }
                continue;
            }
            self.pass_one_down(&message).await?;
        }
        Ok(())
    }

    fn is_answer_to_hello(&self, message: &Message) -> bool {
        let hello = self.hello.load(Ordering::Relaxed);
        message
            .header()
            .reply_serial()
            .is_some_and(|serial| serial.get() == hello)
    }

    async fn pass_one_down(&self, message: &Message) -> zbus::Result<()> {
        let header = message.header();
        if header
            .sender()
            .is_some_and(|sender| sender.as_str() == DRIVER)
        {
            if is_signal(message, "NameOwnerChanged")
                && let Some(name) = driver::first_text(message)
                && self.names().side(&name) == Side::Container
            {
                // The container's bus tells about that one.
                return Ok(());
            }
            if let Some(serial) = header.reply_serial() {
                let list = self.waiting().lists.remove(&serial);
                if let Some(list) = list
                    && message.message_type() == Type::MethodReturn
                {
                    return self.down.send(&self.extended(message, list)?).await;
                }
            }
        }
        self.down.send(message).await
    }

    /// The host's list of names with the container's.
    fn extended(&self, message: &Message, list: List) -> zbus::Result<Message> {
        let more = match list {
            List::Owned => self.names().owned_in_container(),
            List::Activatable => self.names().activatable_in_container(),
        };
        let body = message.body();
        let mut all: Vec<String> = body.deserialize()?;
        for name in more {
            if !all.contains(&name) {
                all.push(name);
            }
        }
        Builder::from(message.header()).build(&all)
    }

    /// What the container's bus sends.
    pub(super) async fn pass_from_container(
        &self,
        mut messages: MessageStream,
        container: &Connection,
    ) -> zbus::Result<()> {
        let own_there = container
            .unique_name()
            .map_or("", |name| name.as_str())
            .to_owned();
        let mut own_name = self.own_name.subscribe();
        while let Some(message) = messages.next().await {
            let message = message?;
            let own = match own_name.wait_for(|name| !name.is_empty()).await {
                Ok(own) => own.clone(),
                Err(_) => return Ok(()),
            };
            if let Some(copy) = self.for_client(&message, &own, &own_there)? {
                self.down.send(&copy).await?;
            }
        }
        Ok(())
    }

    fn for_client(
        &self,
        message: &Message,
        own: &str,
        own_there: &str,
    ) -> zbus::Result<Option<Message>> {
        let header = message.header();
        let sender = header.sender().map(|name| to_client(name.as_str()));
        let destination = header.destination().map(|name| name.as_str());
        let destination = destination.map(|name| if name == own_there { own } else { name });
        let from_driver = sender.as_deref() == Some(DRIVER);
        if !from_driver {
            return rewrite::readdressed(message, sender.as_deref(), destination).map(Some);
        }
        let subject = driver::first_text(message);
        match message.message_type() {
            Type::Signal if is_signal(message, "NameOwnerChanged") => {
                let Some(name) = subject else { return Ok(None) };
                if self.names().is_hosts_for_good(&to_client(&name)) {
                    return Ok(None);
                }
                // At once, and not when the registry hears of it: the client may call it next.
                self.names().owner_changed(&name, !is_last_empty(message));
            }
            // The names that it has for the client, but for the unique one, which is ours alone.
            Type::Signal
                if subject.is_some_and(|name| name.starts_with(':'))
                    && (is_signal(message, "NameAcquired") || is_signal(message, "NameLost")) =>
            {
                return Ok(None);
            }
            Type::Error => {
                return rewrite::readdressed(message, None, destination).map(Some);
            }
            _ => {}
        }
        rewrite::renamed(message, None, destination, to_client).map(Some)
    }
}

fn is_signal(message: &Message, member: &str) -> bool {
    message.message_type() == Type::Signal
        && message
            .header()
            .member()
            .is_some_and(|name| name.as_str() == member)
}

/// Whether the last of three texts is empty: `NameOwnerChanged` of a name that nobody has any more.
fn is_last_empty(message: &Message) -> bool {
    let body = message.body();
    let names: Result<(String, String, String), _> = body.deserialize();
    names.is_ok_and(|(_, _, owner)| owner.is_empty())
}
