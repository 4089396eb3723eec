// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Who calls. The bus knows: it took the user's id from the kernel when the connection was made.
//! Nothing here rests on a process id, which can be another process's a moment later.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use zbus::message::{Flags, Header};
use zbus::names::{BusName, OwnedUniqueName};
use zbus::{Connection, fdo};
use zbus_polkit::policykit1::Subject;

use crate::error::{Error, ErrorKind, Result};
use crate::login_session;

/// How long the bus may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many connections are remembered before those that have ended are forgotten.
const MANY: usize = 128;

/// Who made a call.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// User id.
    pub(crate) uid: u32,
    /// Which of the user's login sessions the program is in; see [`login_session`].
    pub(crate) session: Arc<str>,
    /// The connection, as polkit is asked about it. Polkit looks at the same credentials.
    pub(crate) subject: Arc<Subject>,
    /// Whether the caller agrees to a password dialog.
    pub(crate) interactive: bool,
}

/// The connections that have called, with their users. Cheap to clone.
///
/// The bus gives a unique name to one connection and never again, so what is remembered of one
/// that has ended is wrong about nobody. That is why the daemon does not watch for their ends:
/// it would wake up for each program that comes and goes. The ended ones are forgotten when there
/// are many, and before signals are sent to them.
#[derive(Clone, Debug)]
pub(crate) struct Callers {
    bus: fdo::DBusProxy<'static>,
    known: Arc<Mutex<Known>>,
}

type Known = HashMap<OwnedUniqueName, Person>;

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
struct Person {
    uid: u32,
    session: Arc<str>,
}

impl Callers {
    /// Nobody yet.
    ///
    /// # Errors
    /// When the connection is closed already.
    pub(crate) async fn new(connection: &Connection) -> zbus::Result<Self> {
        let bus = fdo::DBusProxy::builder(connection)
            .cache_properties(zbus::proxy::CacheProperties::No)
            .build()
            .await?;
        Ok(Self {
            bus,
            known: Arc::default(),
        })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who sent a message.
    ///
    /// # Errors
    /// `AccessDenied` when the bus cannot tell, as for a caller that is gone already.
    pub(crate) async fn identify(&self, header: &Header<'_>) -> Result<Caller> {
        let sender = header
            .sender()
            .ok_or_else(|| denied("the message has no sender".to_owned()))?;
        let subject =
            Subject::new_for_message_header(header).map_err(|error| denied(error.to_string()))?;
        let name = OwnedUniqueName::from(sender.to_owned());
        let Person { uid, session } = self.person(&name).await?;
        let interactive = header
            .primary()
            .flags()
            .contains(Flags::ALLOW_INTERACTIVE_AUTH);
        Ok(Caller {
            uid,
            session,
            subject: Arc::new(subject),
            interactive,
        })
    }

    /// The user of a connection.
    ///
    /// # Errors
    /// As [`identify`](Self::identify).
    pub(crate) async fn user_of(&self, name: &OwnedUniqueName) -> Result<u32> {
        Ok(self.person(name).await?.uid)
    }

    async fn person(&self, name: &OwnedUniqueName) -> Result<Person> {
        let known = self.known().get(name).cloned();
        match known {
            Some(person) => Ok(person),
            None => tokio::time::timeout(PATIENCE, self.ask(name))
                .await
                .map_err(|_| denied("the bus does not answer".to_owned()))?
                .map_err(|error| denied(error.to_string())),
        }
    }

    /// Asks the bus for the user of a connection.
    async fn ask(&self, name: &OwnedUniqueName) -> fdo::Result<Person> {
        let credentials = self
            .bus
            .get_connection_credentials(BusName::from(name.as_ref()))
            .await?;
        let uid = credentials
            .unix_user_id()
            .ok_or_else(|| fdo::Error::Failed("the bus does not know the user".to_owned()))?;
        let person = Person {
            uid,
            session: login_session::of(&credentials),
        };
        let count = {
            let mut known = self.known();
            known.insert(name.clone(), person.clone());
            known.len()
        };
        if count % MANY == 0 {
            let callers = self.clone();
            tokio::spawn(async move { callers.forget_ended().await });
        }
        Ok(person)
    }

    /// Forgets the connections that have ended. Where the bus does not answer, they stay.
    pub(crate) async fn forget_ended(&self) {
        let before: Vec<_> = self.known().keys().cloned().collect();
        let Ok(Ok(names)) = tokio::time::timeout(PATIENCE, self.bus.list_names()).await else {
            return;
        };
        let alive: HashSet<&str> = names.iter().map(|name| name.as_str()).collect();
        // Not those that came while the bus was answering.
        let mut known = self.known();
        for name in before.iter().filter(|name| !alive.contains(name.as_str())) {
            known.remove(name);
        }
    }

    /// The connections of a user that have called: those that signals about the user's things go
    /// to.
    pub(crate) fn listeners(&self, user: u32) -> Vec<OwnedUniqueName> {
        self.known()
            .iter()
            .filter(|(_, person)| person.uid == user)
            .map(|(name, _)| name.clone())
            .collect()
    }

    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.known().len()
    }
}

fn denied(why: String) -> Error {
    Error::new(
        ErrorKind::AccessDenied,
        format!("cannot find out who is calling: {why}"),
    )
}
