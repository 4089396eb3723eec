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

mod down;
mod socket;
mod up;

use std::collections::HashMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::UnixStream;
use tokio::sync::{OnceCell, watch};
use zbus::connection::{self, AuthMechanism};
use zbus::{Connection, Guid};

use self::socket::ClientSocket;
use crate::names::Names;

/// Messages that may wait in one direction. A client that does not read stops only itself.
const QUEUE: NonZeroUsize = NonZeroUsize::new(64).unwrap();

/// Messages of our own begin to count here; clients begin at 1.
const OWN_SERIALS: u32 = 0x8000_0000;

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
    let from_client = connection::Builder::socket(ClientSocket(stream))
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
}
