// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! One client: a connection of its own to the host's bus, whose unique name is the client's, and
//! one to the container's bus as soon as it is needed.
//!
//! Between client and host, messages pass as they are, in both directions: serials, senders,
//! descriptors, handles in bodies. So there are no tables of who waits for what, calls may take as
//! long as they like, and when the client goes, its connections go, and with them its names and
//! rules. Only what goes to or comes from the container's bus is readdressed (see
//! [`names`](crate::names)); serials stay the client's there, too, since that connection is its
//! own.

use std::collections::HashMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt as _;
use tokio::sync::{OnceCell, watch};
use tracing::debug;
use zbus::connection::{self, AuthMechanism};
use zbus::message::{Builder, Flags, Message, Type};
use zbus::{Connection, Guid, MessageStream};

use crate::driver::{self, Plan};
use crate::names::{DRIVER, Names, Side, to_client, to_container};
use crate::rewrite;

/// Messages that may wait in one direction. A client that does not read stops only itself.
const QUEUE: NonZeroUsize = NonZeroUsize::new(64).unwrap();

/// Messages of our own begin to count here; clients begin at 1.
const OWN_SERIALS: u32 = 0x8000_0000;

/// What the bus may send before it has answered `Hello`.
const EARLY: usize = 16;

/// The two buses, and what is known of their names.
#[derive(Debug)]
pub(crate) struct Buses {
    /// Address of the host's bus.
    pub(crate) host: String,
    /// Address of the container's.
    pub(crate) container: String,
    pub(crate) names: Arc<Names>,
}

/// The answer that a call waits for is to be extended.
#[derive(Clone, Copy, Debug)]
enum List {
    Owned,
    Activatable,
}

#[derive(Debug)]
struct Client {
    buses: Arc<Buses>,
    down: Connection,
    host: Connection,
    container: OnceCell<Connection>,
    /// Empty until the host's bus has said it.
    own_name: watch::Sender<String>,
    hello: AtomicU32,
    own_serial: AtomicU32,
    waiting: Mutex<Waiting>,
    /// Set when one of the three connections is closed, and so the others are to be.
    over: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Waiting {
    lists: HashMap<NonZeroU32, List>,
    /// Match rules for the container's bus, as the client wrote them.
    rules: Vec<String>,
    /// Names that the client has asked the container's bus for, and has not given back.
    names_there: Vec<String>,
    names_at_host: Vec<String>,
}

/// Serves one client until it or one of its buses is gone.
///
/// # Errors
/// When the connection cannot be made, or breaks.
pub(crate) async fn serve(stream: UnixStream, buses: Arc<Buses>) -> zbus::Result<()> {
    let from_client = connection::Builder::unix_stream(stream)
        .server(Guid::generate())
        .p2p()
        // The claimed user has to be the one whom the kernel names.
        .auth_mechanism(AuthMechanism::External)
        .max_queued(QUEUE)
        .validate_bodies()
        .build_message_stream()
        .await?;
    let from_host = connection::Builder::address(buses.host.as_str())
        // No `Hello` of ours: the client's goes there.
        .p2p()
        .max_queued(QUEUE)
        .build_message_stream()
        .await?;
    let client = Arc::new(Client {
        buses,
        down: Connection::from(&from_client),
        host: Connection::from(&from_host),
        container: OnceCell::new(),
        own_name: watch::Sender::new(String::new()),
        hello: AtomicU32::new(0),
        own_serial: AtomicU32::new(OWN_SERIALS),
        waiting: Mutex::default(),
        over: watch::Sender::new(false),
    });
    let mut over = client.over.subscribe();
    let ended = tokio::select! {
        ended = client.pass_up(from_client) => ended,
        ended = client.pass_down(from_host) => ended,
        _ = over.wait_for(|over| *over) => Ok(()),
    };
    client.over.send_replace(true);
    ended
}

impl Client {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn names(&self) -> &Names {
        &self.buses.names
    }

    /// What the client sends.
    async fn pass_up(self: &Arc<Self>, mut messages: MessageStream) -> zbus::Result<()> {
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
        let serial = message.primary_header().serial_num();
        match driver::plan(message, self.names()) {
            Plan::Ask(Side::Host) => {
                let member = message.header().member().map(ToString::to_string);
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
            Plan::ListNames => {
                self.waiting().lists.insert(serial, List::Owned);
            }
            Plan::ListActivatable => {
                self.waiting().lists.insert(serial, List::Activatable);
            }
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

    async fn refuse(&self, message: &Message) -> zbus::Result<()> {
        let flags = message.primary_header().flags();
        if message.message_type() != Type::MethodCall || flags.contains(Flags::NO_REPLY_EXPECTED) {
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

    /// What the host's bus sends.
    async fn pass_down(&self, mut messages: MessageStream) -> zbus::Result<()> {
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
    async fn pass_from_container(
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
