// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Who calls. The bus knows: it took the user's id from the kernel when the connection was made.
//! Nothing here is looked up by process id, which can be another process's a moment later.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use zbus::message::{Flags, Header};
use zbus::names::{BusName, OwnedUniqueName, UniqueName};
use zbus::{Connection, MatchRule, MessageStream, fdo};
use zbus_polkit::policykit1::Subject;

use crate::error::{Error, ErrorKind, Result};

/// How long the bus may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

const BUS: &str = "org.freedesktop.DBus";

/// Who made a call.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// User id.
    pub(crate) uid: u32,
    /// The connection, as polkit is asked about it. Polkit looks at the same credentials.
    pub(crate) subject: Arc<Subject>,
    /// Whether the caller agrees to a password dialog.
    pub(crate) interactive: bool,
}

impl Caller {
    /// Whether the caller may see and steer what belongs to `owner`.
    pub(crate) fn answers_for(&self, owner: u32) -> bool {
        self.uid == owner || self.uid == 0
    }

    /// Whose things the caller gets to see: everybody's for root.
    pub(crate) fn scope(&self) -> Option<u32> {
        (self.uid != 0).then_some(self.uid)
    }
}

/// The connections that have called, with their users. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Callers {
    bus: fdo::DBusProxy<'static>,
    known: Arc<Mutex<Known>>,
}

/// `None` while the bus is being asked.
type Known = HashMap<OwnedUniqueName, Option<u32>>;

impl Callers {
    /// Nobody yet. [`watch`](Self::watch) has to run for connections to be forgotten.
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
        let denied = |why: String| {
            Error::new(
                ErrorKind::AccessDenied,
                format!("cannot find out who is calling: {why}"),
            )
        };
        let sender = header
            .sender()
            .ok_or_else(|| denied("the message has no sender".to_owned()))?;
        let subject =
            Subject::new_for_message_header(header).map_err(|error| denied(error.to_string()))?;
        let name = OwnedUniqueName::from(sender.to_owned());
        let known = self.known().get(&name).copied().flatten();
        let uid = match known {
            Some(uid) => uid,
            None => tokio::time::timeout(PATIENCE, self.ask(&name))
                .await
                .map_err(|_| denied("the bus does not answer".to_owned()))?
                .map_err(|error| denied(error.to_string()))?,
        };
        let interactive = header
            .primary()
            .flags()
            .contains(Flags::ALLOW_INTERACTIVE_AUTH);
        Ok(Caller {
            uid,
            subject: Arc::new(subject),
            interactive,
        })
    }

    /// Asks the bus for the user of a connection, and to be told when the connection ends. Both
    /// go out together, in this order: an end after the answer is not missed.
    async fn ask(&self, name: &OwnedUniqueName) -> fdo::Result<u32> {
        let is_new = self.known().insert(name.clone(), None).is_none();
        let watching = async {
            if is_new {
                self.bus.add_match_rule(end_of(name)?).await?;
            }
            fdo::Result::Ok(())
        };
        let asking = self
            .bus
            .get_connection_credentials(BusName::from(name.as_ref()));
        let (watched, answer) = futures_util::future::join(watching, asking).await;
        let answer = answer.and_then(|credentials| {
            credentials
                .unix_user_id()
                .ok_or_else(|| fdo::Error::Failed("the bus does not know the user".to_owned()))
        });
        match (watched, &answer) {
            // Unless the end came in between.
            (Ok(()), Ok(uid)) => {
                if let Some(entry) = self.known().get_mut(name) {
                    *entry = Some(*uid);
                }
            }
            // The caller has gone already. Or the bus, which watches only so many connections for
            // us, refused: then one more is served all the same, and asked about at each call.
            _ => self.forget(name.clone()),
        }
        answer
    }

    /// The connections that signals about a user's operations go to: those of the user and of
    /// root that have called.
    pub(crate) fn listeners(&self, owner: u32) -> Vec<OwnedUniqueName> {
        self.known()
            .iter()
            .filter(|(_, uid)| uid.is_some_and(|uid| uid == owner || uid == 0))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Forgets connections that end. Runs until the connection to the bus does. It never waits for
    /// the bus itself: as long as a message is not taken from the stream, answers behind it do not
    /// arrive, and a burst of them would be the end of all work.
    pub(crate) async fn watch(&self, mut messages: MessageStream) {
        while let Some(message) = messages.next().await {
            let Ok(message) = message else { continue };
            let header = message.header();
            let is_end = header
                .member()
                .is_some_and(|member| member == "NameOwnerChanged")
                && header.interface().is_some_and(|interface| interface == BUS)
                && header.sender().is_some_and(|sender| sender == BUS);
            if !is_end {
                continue;
            }
            let Ok((name, _, new)) = message.body().deserialize::<(String, String, String)>()
            else {
                continue;
            };
            if new.is_empty()
                && let Ok(name) = OwnedUniqueName::try_from(name)
            {
                self.forget(name);
            }
        }
    }

    /// Forgets a connection, and has the bus stop watching it.
    fn forget(&self, name: OwnedUniqueName) {
        if self.known().remove(&name).is_none() {
            return;
        }
        let bus = self.bus.clone();
        tokio::spawn(async move {
            let removal = async { bus.remove_match_rule(end_of(&name)?).await };
            if let Err(error) = removal.await {
                tracing::debug!(%error, "a match rule stays behind");
            }
        });
    }

    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.known().len()
    }
}

/// Tells when one connection ends, and nothing of all the others: a service that sleeps should
/// not wake up for each program that comes and goes.
fn end_of<'a>(name: &'a UniqueName<'_>) -> fdo::Result<MatchRule<'a>> {
    Ok(MatchRule::builder()
        .msg_type(zbus::message::Type::Signal)
        .sender(BUS)
        .interface(BUS)
        .member("NameOwnerChanged")
        .arg(0, name.as_str())
        .build()?)
}
