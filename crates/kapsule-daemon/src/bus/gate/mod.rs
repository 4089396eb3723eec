// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What stands between the bus and the service: nobody gets more of the service's time and memory
//! than their share.
//!
//! All calls of all users come through one connection, in the order in which they were sent. Whoever
//! sends the most would be served the most, and as long as their calls wait to be read, the bus turns
//! everybody away ("destination has a full message queue"). So the connection is read at once,
//! whatever comes; calls wait in a queue of their user; users take turns; and what is more than a
//! user's share is refused before the service has looked at it.
//!
//! | module | |
//! |---|---|
//! | [`head`] | as much of a message as is needed for that |
//! | [`queues`] | who waits, and whose turn it is |
//! | [`socket`] | the socket that zbus reads and writes through |
//!
//! Signals that somebody addresses to the service are dropped: it asks for none of users.

mod head;
mod queues;
mod socket;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::UnixStream;
use tokio::sync::{Notify, mpsc};
use zbus::address::Transport;
use zbus::address::transport::UnixSocket;
use zbus::names::OwnedUniqueName;
use zbus::{Address, Connection, Message, connection};

use self::queues::Queues;
use crate::caller::Callers;

/// Error of a call that was not let in.
const LIMIT_EXCEEDED: &str = "org.kde.kapsule.Error.LimitExceeded";

/// Most errors about refused calls that wait to be sent. A flood gets no more of them.
const MAX_REFUSALS: usize = 512;

/// A connection's gate. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    queues: Mutex<Queues>,
    /// Something in the queues has become possible.
    changed: Notify,
    strangers: mpsc::UnboundedSender<String>,
    refusals: mpsc::Sender<Refusal>,
}

/// What the gate cannot do itself: it needs the connection.
#[derive(Debug)]
pub(crate) struct Attendance {
    strangers: mpsc::UnboundedReceiver<String>,
    refusals: mpsc::Receiver<Refusal>,
}

/// A call that was not let in and wants an answer.
#[derive(Debug, PartialEq, Eq)]
struct Refusal {
    sender: String,
    serial: u32,
    why: &'static str,
}

impl Gate {
    fn new() -> (Self, Attendance) {
        let (strangers, unknown) = mpsc::unbounded_channel();
        let (refusals, refused) = mpsc::channel(MAX_REFUSALS);
        let inner = Inner {
            queues: Mutex::default(),
            changed: Notify::new(),
            strangers,
            refusals,
        };
        let attendance = Attendance {
            strangers: unknown,
            refusals: refused,
        };
        (Self(Arc::new(inner)), attendance)
    }

    /// Begins a connection to a bus. Calls are let in when the gate is [attended](Self::attend).
    ///
    /// # Errors
    /// When the bus cannot be reached, or is not on this machine.
    pub(crate) async fn connect(
        address: &Address,
    ) -> io::Result<(connection::Builder<'static>, Self, Attendance)> {
        let stream = match address.transport() {
            Transport::Unix(unix) => match unix.path() {
                UnixSocket::File(path) => UnixStream::connect(path).await?,
                UnixSocket::Abstract(name) => {
                    use std::os::linux::net::SocketAddrExt as _;
                    let name = name.as_encoded_bytes();
                    let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
                    let stream = std::os::unix::net::UnixStream::connect_addr(&address)?;
                    stream.set_nonblocking(true)?;
                    UnixStream::from_std(stream)?
                }
                _ => return Err(io::Error::other("the bus has no socket to connect to")),
            },
            _ => return Err(io::Error::other("the bus is not on this machine")),
        };
        let (gate, attendance) = Self::new();
        let builder = connection::Builder::socket(socket::split(stream, gate.clone()));
        Ok((builder, gate, attendance))
    }

    /// Finds out who strangers are, and answers those that are refused. Runs as long as the connection.
    pub(crate) fn attend(self, attendance: Attendance, connection: Connection, callers: Callers) {
        let Attendance {
            mut strangers,
            mut refusals,
        } = attendance;
        tokio::spawn(async move {
            while let Some(name) = strangers.recv().await {
                let (gate, callers) = (self.clone(), callers.clone());
                tokio::spawn(async move {
                    let uid = match OwnedUniqueName::try_from(name.as_str()) {
                        Ok(unique) => callers.user_of(&unique).await.ok(),
                        Err(_) => None,
                    };
                    let refused = gate.queues().identified(&name, uid);
                    refused.into_iter().for_each(|refusal| gate.refuse(refusal));
                    gate.0.changed.notify_one();
                });
            }
        });
        tokio::spawn(async move {
            while let Some(refusal) = refusals.recv().await {
                if let Err(error) = answer(&connection, &refusal).await {
                    tracing::debug!(%error, "a refusal was not sent");
                }
            }
        });
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.0.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refuse(&self, refusal: Refusal) {
        // One that finds no place is one of very many.
        let _ = self.0.refusals.try_send(refusal);
    }
}

async fn answer(connection: &Connection, refusal: &Refusal) -> zbus::Result<()> {
    let Some(serial) = std::num::NonZeroU32::new(refusal.serial) else {
        return Ok(());
    };
    // Only who is to be answered, and what, is taken from it.
    let call = Message::method_call("/", "Refused")
        .sender(refusal.sender.as_str())
        .serial(serial)
        .build(&())?;
    let error = Message::error(&call.header(), LIMIT_EXCEEDED).build(&refusal.why)?;
    connection.send(&error).await
}
