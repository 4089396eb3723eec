// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! From a method call to a running operation. What each kind of operation does stands in
//! [`containers`] and [`images`], once for all interfaces that offer it.

mod containers;
mod images;

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use zbus::OwnedObjectPath;
use zbus::message::Header;
use zbus::object_server::ResponseDispatchNotifier;

pub(super) use containers::Change;

use super::operation::{self, OperationLog1, OperationObject};
use super::{Shared, signals};
use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::ops::{OperationKind, OperationSpec, Reporter};
use crate::policy::{Act, Verdict};
use crate::service::Service;

/// The answer to a method that starts an operation: its path.
pub(super) type Launched = ResponseDispatchNotifier<OwnedObjectPath>;

/// How long the answer to a call may take to leave. It takes microseconds; this is for a caller
/// that wants no answer.
const DISPATCH: Duration = Duration::from_secs(1);

/// Whose things a call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// The caller's.
    Own,
    /// A user's, whom the caller names. What is another's takes an administrator.
    Of(u32),
}

impl Whose {
    pub(super) fn owner(self, caller: u32) -> u32 {
        match self {
            Self::Own => caller,
            Self::Of(owner) => owner,
        }
    }
}

/// What a call asks for.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    kind: OperationKind,
    /// The container or image.
    subject: String,
    whose: Whose,
}

impl Asked {
    fn new(kind: OperationKind, subject: &str, whose: Whose) -> Self {
        Self {
            kind,
            subject: subject.to_owned(),
            whose,
        }
    }

    fn own(kind: OperationKind, subject: &str) -> Self {
        Self::new(kind, subject, Whose::Own)
    }
}

/// What the work of an operation has at hand.
pub(super) struct Job {
    shared: Arc<Shared>,
    /// Who asked for it, as the bus says.
    caller: Caller,
    /// Whose things it is about: the caller's own, or those that an administrator has named.
    pub(super) owner: u32,
    /// What polkit said before the caller got its answer about acts that might follow.
    judged: Mutex<Vec<(Act, Verdict)>>,
    pub(super) reporter: Reporter,
}

impl Job {
    pub(super) fn service(&self) -> &Service {
        &self.shared.service
    }

    /// Asks about something beyond what the operation's kind allows, with a password dialog where the
    /// caller agrees to one.
    ///
    /// # Errors
    /// `AccessDenied`, also for a caller that has not waited and an act that nobody thought of
    /// ([`Act::that_may_follow`]); `PasswordNeeded`; `Cancelled`.
    pub(super) async fn require(&self, act: Act) -> Result<()> {
        let policy = &self.shared.policy;
        let verdict = match self.take_verdict(act) {
            Some(verdict) => verdict,
            None => policy.judge(&self.caller, act).await,
        };
        policy
            .enforce(verdict, &self.caller.subject, act, &self.reporter)
            .await
    }

    fn take_verdict(&self, act: Act) -> Option<Verdict> {
        let mut judged = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        let place = judged.iter().position(|(other, _)| *other == act)?;
        Some(judged.swap_remove(place).1)
    }
}

impl Shared {
    /// Makes the operation's object and begins the work when the answer with its path has left.
    /// Whether the caller may do it is found out before that; a refusal comes as any failure does,
    /// with the operation's end.
    ///
    /// # Errors
    /// `LimitExceeded`.
    async fn launch<Work>(
        self: &Arc<Self>,
        header: &Header<'_>,
        asked: Asked,
        work: impl FnOnce(Job) -> Work + Send + 'static,
    ) -> Result<Launched>
    where
        Work: Future<Output = Result<()>> + Send + 'static,
    {
        let caller = self.caller(header).await?;
        // Those that are left are the ones to be told.
        self.callers.forget_ended().await;
        let owner = asked.whose.owner(caller.uid);
        let act = match owner == caller.uid {
            true => Act::of(asked.kind),
            false => Act::ManageOthers,
        };
        let spec = OperationSpec::new(asked.kind, &asked.subject, caller.uid).about(owner);
        let verdict = self.policy.judge(&caller, act).await;
        let mut judged = Vec::new();
        for act in Act::that_may_follow(asked.kind) {
            judged.push((*act, self.policy.judge(&caller, *act).await));
        }
        let (open, gate) = oneshot::channel::<()>();
        let gate = async {
            gate.await
                .map_err(|_| Error::failed("it could not be announced on the bus"))
        };
        let shared = Arc::clone(self);
        let operation = self
            .operations
            .start(spec, gate, async move |reporter: Reporter| {
                shared
                    .policy
                    .enforce(verdict, &caller.subject, act, &reporter)
                    .await?;
                work(Job {
                    shared,
                    caller,
                    owner,
                    judged: Mutex::new(judged),
                    reporter,
                })
                .await
            })?;

        let path = operation::path(operation.id)?;
        let server = self.connection.object_server();
        let object = OperationObject {
            shared: Arc::clone(self),
            operation: Arc::clone(&operation),
        };
        server.at(&path, OperationLog1(object.clone())).await?;
        server.at(&path, object).await?;
        signals::interfaces_added(self, &operation).await;

        let (answer, left) = ResponseDispatchNotifier::new(OwnedObjectPath::from(path));
        tokio::spawn(async move {
            let _ = tokio::time::timeout(DISPATCH, left).await;
            // The operation waits for nothing else, so it cannot be gone.
            let _ = open.send(());
        });
        Ok(answer)
    }
}
