// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! From the client to the buses.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::StreamExt as _;
use tracing::debug;
use zbus::message::{Flags, Message, Type};
use zbus::{Connection, MessageStream, connection};

use super::{Client, List, OWN_SERIALS, QUEUE, Waiting};
use crate::driver::{self, Plan};
use crate::names::{DRIVER, Side, to_container};
use crate::rewrite;

impl Client {
    /// What the client sends.
    pub(super) async fn pass_up(self: &Arc<Self>, mut messages: MessageStream) -> zbus::Result<()> {
        while let Some(message) = messages.next().await {
            let message = message?;
            if driver::is_for_driver(&message) {
                self.ask_driver(&message).await?;
                continue;
            }
            match self.side(&message) {
                Side::Host => self.host.send(&message).await?,
                Side::Container => self.send_there(&message).await?,
            }
        }
        Ok(())
    }

    fn side(&self, message: &Message) -> Side {
        let header = message.header();
        match header.destination() {
            Some(name) => self.names().side(name.as_str()),
            // A signal for everybody: where those are who know this client by its names.
            None => {
                let waiting = self.waiting();
                if waiting.names_at_host.is_empty() && !waiting.names_there.is_empty() {
                    Side::Container
                } else {
                    Side::Host
                }
            }
        }
    }

    async fn ask_driver(self: &Arc<Self>, message: &Message) -> zbus::Result<()> {
        match driver::plan(message, self.names()) {
            Plan::Ask(Side::Host) => {
                let member = message.header().member().map(ToString::to_string);
                let serial = message.primary_header().serial_num();
                match member.as_deref() {
                    Some("Hello") => self.hello.store(serial.get(), Ordering::Relaxed),
                    Some("RequestName") => self.remember(message, |w| &mut w.names_at_host),
                    Some("ReleaseName") => self.forget(message, |w| &mut w.names_at_host),
                    _ => {}
                }
            }
            Plan::Ask(Side::Container) => {
                return self.ask_there(message).await;
            }
            Plan::OwnInContainer => {
                let member = message.header().member().map(ToString::to_string);
                match member.as_deref() {
                    Some("RequestName") => self.remember(message, |w| &mut w.names_there),
                    _ => self.forget(message, |w| &mut w.names_there),
                }
                return self.ask_there(message).await;
            }
            Plan::ListNames => self.extend_answer(message, List::Owned),
            Plan::ListActivatable => self.extend_answer(message, List::Activatable),
            Plan::AddMatch(rule) => {
                if driver::could_match_container(&rule, self.names()) {
                    self.waiting().rules.push(rule.clone());
                    // Where that bus is not there, the rule waits for it.
                    if let Some((container, opened)) = self.open_container().await
                        // A new connection has got all rules already.
                        && !opened
                    {
                        self.tell_rule(&container, "AddMatch", &rule).await?;
                    }
                }
            }
            Plan::RemoveMatch(rule) => {
                let known = {
                    let mut waiting = self.waiting();
                    let place = waiting.rules.iter().position(|known| *known == rule);
                    place
                        .map(|place| waiting.rules.swap_remove(place))
                        .is_some()
                };
                if known && let Some(container) = self.container.get() {
                    self.tell_rule(container, "RemoveMatch", &rule).await?;
                }
            }
        }
        self.host.send(message).await
    }

    fn remember(&self, message: &Message, list: fn(&mut Waiting) -> &mut Vec<String>) {
        if let Some(name) = driver::first_text(message) {
            let mut waiting = self.waiting();
            let list = list(&mut waiting);
            if !list.contains(&name) {
                list.push(name);
            }
        }
    }

    fn forget(&self, message: &Message, list: fn(&mut Waiting) -> &mut Vec<String>) {
        if let Some(name) = driver::first_text(message) {
            list(&mut self.waiting()).retain(|known| *known != name);
        }
    }

    /// A message to somebody on the container's bus.
    async fn send_there(self: &Arc<Self>, message: &Message) -> zbus::Result<()> {
        let destination = message
            .header()
            .destination()
            .map(|name| to_container(name.as_str()));
        let Some((container, _)) = self.open_container().await else {
            return self.refuse(message).await;
        };
        let own = container.unique_name().map(ToString::to_string);
        let copy = rewrite::readdressed(message, own.as_deref(), destination.as_deref())?;
        container.send(&copy).await
    }

    /// A call to the container's bus itself.
    async fn ask_there(self: &Arc<Self>, message: &Message) -> zbus::Result<()> {
        let Some((container, _)) = self.open_container().await else {
            return self.refuse(message).await;
        };
        let own = container.unique_name().map(ToString::to_string);
        let copy = rewrite::renamed(message, own.as_deref(), None, to_container)?;
        container.send(&copy).await
    }

    /// The host's answer to this call is to be extended.
    fn extend_answer(&self, message: &Message, list: List) {
        if expects_reply(message) {
            let serial = message.primary_header().serial_num();
            self.waiting().lists.insert(serial, list);
        }
    }

    async fn refuse(&self, message: &Message) -> zbus::Result<()> {
        if !expects_reply(message) {
            return Ok(());
        }
        let header = message.header();
        let mut answer =
            Message::error(&header, "org.freedesktop.DBus.Error.ServiceUnknown").sender(DRIVER);
        let own = self.own_name.borrow().clone();
        if !own.is_empty() {
            answer = answer.destination(own);
        }
        let answer = answer.build(&"the container's own session bus cannot be reached")?;
        self.down.send(&answer).await
    }

    /// The connection to the container's bus, and whether it was made just now.
    async fn open_container(self: &Arc<Self>) -> Option<(Connection, bool)> {
        let mut opened = false;
        let container = self
            .container
            .get_or_try_init(async || {
                opened = true;
                let stream = connection::Builder::address(self.buses.container.as_str())
                    .max_queued(QUEUE)
                    .build_message_stream()
                    .await?;
                let container = Connection::from(&stream);
                let rules = self.waiting().rules.clone();
                for rule in rules {
                    self.tell_rule(&container, "AddMatch", &rule).await?;
                }
                let client = Arc::clone(self);
                let own = container.clone();
                tokio::spawn(async move {
                    let mut over = client.over.subscribe();
                    tokio::select! {
                        ended = client.pass_from_container(stream, &own) => {
                            if let Err(error) = ended {
                                debug!(%error, "the container's bus");
                            }
                        }
                        _ = over.wait_for(|over| *over) => {}
                    }
                    client.over.send_replace(true);
                });
                Ok::<_, zbus::Error>(container)
            })
            .await;
        match container {
            Ok(container) => Some((container.clone(), opened)),
            Err(error) => {
                debug!(%error, "the container's bus cannot be reached");
                None
            }
        }
    }

    async fn tell_rule(
        &self,
        container: &Connection,
        method: &str,
        rule: &str,
    ) -> zbus::Result<()> {
        let own_there = container.unique_name().map_or("", |name| name.as_str());
        let own = self.own_name.borrow().clone();
        let rule = rewrite::rule_for_container(rule, &own, own_there);
        let serial = self.own_serial.fetch_add(1, Ordering::Relaxed) | OWN_SERIALS;
        let mut message = Message::method_call("/org/freedesktop/DBus", method)
            .destination(DRIVER)
            .interface(DRIVER)
            .with_flags(Flags::NO_REPLY_EXPECTED);
        if let Some(serial) = NonZeroU32::new(serial) {
            message = message.serial(serial);
        }
        container.send(&message.build(&rule)?).await
    }
}

fn expects_reply(message: &Message) -> bool {
    let flags = message.primary_header().flags();
    message.message_type() == Type::MethodCall && !flags.contains(Flags::NO_REPLY_EXPECTED)
}
