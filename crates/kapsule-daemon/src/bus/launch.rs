// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! From a method call to a running operation.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use zbus::OwnedObjectPath;
use zbus::message::Header;
use zbus::object_server::ResponseDispatchNotifier;
use zbus_polkit::policykit1::Subject;

use super::operation::{self, OperationLog1, OperationObject};
use super::{Shared, signals};
use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::ops::{OperationKind, OperationSpec, Reporter};
use crate::policy::Act;
use crate::service::Service;

/// The answer to a method that starts an operation: its path.
pub(super) type Launched = ResponseDispatchNotifier<OwnedObjectPath>;

/// How long the answer to a call may take to leave. It takes microseconds; this is for a caller
/// that wants no answer.
const DISPATCH: Duration = Duration::from_secs(1);

/// What the work of an operation has at hand.
pub(super) struct Job {
    shared: Arc<Shared>,
    /// Who asked for it, as the bus says.
    pub(super) caller: u32,
    subject: Arc<Subject>,
    interactive: bool,
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
    /// `AccessDenied`, also for a caller that has not waited; `Cancelled`.
    pub(super) async fn require(&self, act: Act) -> Result<()> {
        let caller = Caller {
            uid: self.caller,
            subject: Arc::clone(&self.subject),
            interactive: self.interactive,
        };
        let policy = &self.shared.policy;
        let verdict = policy.judge(&caller, act).await;
        policy
            .enforce(verdict, &self.subject, act, &self.reporter)
            .await
    }
}

impl Shared {
    /// Makes the operation's object and begins the work when the answer with its path has left.
    /// Whether the caller may do it is found out before that; a refusal comes as any failure does,
    /// with the operation's end.
    ///
    /// # Errors
    /// `LimitExceeded`.
    pub(super) async fn launch<Work>(
        self: &Arc<Self>,
        header: &Header<'_>,
        kind: OperationKind,
        subject: &str,
        work: impl FnOnce(Job) -> Work + Send + 'static,
    ) -> Result<Launched>
    where
        Work: Future<Output = Result<()>> + Send + 'static,
    {
        let caller = self.caller(header).await?;
        // Those that are left are the ones to be told.
        self.callers.forget_ended().await;
        let act = Act::of(kind);
        let spec = OperationSpec::new(kind, subject, caller.uid);
        let verdict = self.policy.judge(&caller, act).await;
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
                    caller: caller.uid,
                    subject: caller.subject,
                    interactive: caller.interactive,
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
