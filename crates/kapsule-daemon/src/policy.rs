// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What callers may do. The daemon decides whose things are whose; polkit decides, for the
//! administrator, who may do what with their own.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::error::Elapsed;
use tokio::time::timeout;
use zbus::Connection;
use zbus_polkit::policykit1::{
    AuthorityProxy, AuthorizationResult, CheckAuthorizationFlags, Subject,
};

use crate::caller::Caller;
use crate::error::{Error, ErrorKind, Result};
use crate::ops::{OperationKind, Reporter};

/// How long polkit may take when it asks nobody: less than clients wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a person may take over a password.
const PATIENCE_WITH_PEOPLE: Duration = Duration::from_secs(5 * 60);

/// What polkit says of a connection that has ended.
const NOBODY_THERE: &str = "org.freedesktop.DBus.Error.NameHasNoOwner";

/// An action that polkit is asked about. `data/org.kde.kapsule.policy` describes the same ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Making a container that is confined.
    CreateContainer,
    /// Making a container that has the host's network and devices.
    CreatePrivileged,
    /// Showing a container a folder that its owner could not read.
    MountBeyondOwnRights,
    /// Starting, stopping, deleting and setting up one's own containers.
    ManageContainers,
    /// Importing, refreshing and deleting images.
    ManageImages,
}

impl Act {
    /// All of them.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 5] = [
        Self::CreateContainer,
        Self::CreatePrivileged,
        Self::MountBeyondOwnRights,
        Self::ManageContainers,
        Self::ManageImages,
    ];

    /// What an operation of this kind is.
    pub(crate) fn of(kind: OperationKind) -> Self {
        match kind {
            OperationKind::Create => Self::CreateContainer,
            OperationKind::Delete
            | OperationKind::Restart
            | OperationKind::SetupUser
            | OperationKind::Start
            | OperationKind::Stop => Self::ManageContainers,
            OperationKind::DeleteImage
            | OperationKind::ImportImage
            | OperationKind::RefreshImages => Self::ManageImages,
        }
    }

    /// The id of the action.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::CreateContainer => "org.kde.kapsule.create-container",
            Self::CreatePrivileged => "org.kde.kapsule.create-privileged",
            Self::MountBeyondOwnRights => "org.kde.kapsule.mount-beyond-own-rights",
            Self::ManageContainers => "org.kde.kapsule.manage-containers",
            Self::ManageImages => "org.kde.kapsule.manage-images",
        }
    }
}

/// Asks polkit. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    connection: Connection,
}

/// What is known about a request before anybody is asked for a password.
#[derive(Debug)]
pub(crate) enum Verdict {
    Allowed,
    Denied(Error),
    /// Allowed to who knows a password.
    Challenge,
}

impl Policy {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// Asks what can be told at once. Root may do everything. This has to come before the
    /// caller's answer: one that does not wait for the operation's end is gone afterwards, and
    /// polkit knows nothing about who is gone.
    pub(crate) async fn judge(&self, caller: &Caller, act: Act) -> Verdict {
        if caller.uid == 0 {
            return Verdict::Allowed;
        }
        let asked = self.ask(&caller.subject, act, CheckAuthorizationFlags::empty(), "");
        match timeout(PATIENCE, asked).await {
            Ok(Ok(result)) if result.is_authorized => Verdict::Allowed,
            Ok(Ok(result)) if result.is_challenge && caller.interactive => Verdict::Challenge,
            other => Verdict::Denied(refusal(act, other)),
        }
    }

    /// Carries out a verdict, with a password dialog where that is what is needed. Cancelling the
    /// operation takes the dialog away.
    ///
    /// # Errors
    /// `AccessDenied`, also when polkit cannot be asked; `Cancelled`.
    pub(crate) async fn enforce(
        &self,
        verdict: Verdict,
        subject: &Subject,
        act: Act,
        reporter: &Reporter,
    ) -> Result<()> {
        match verdict {
            Verdict::Allowed => return Ok(()),
            Verdict::Denied(error) => return Err(error),
            Verdict::Challenge => {}
        }
        let dialog = format!("kapsule-{}", reporter.id());
        let asked = self.ask(
            subject,
            act,
            CheckAuthorizationFlags::ALLOW_USER_INTERACTION,
            &dialog,
        );
        tokio::select! {
            answer = timeout(PATIENCE_WITH_PEOPLE, asked) => match answer {
                Ok(Ok(result)) if result.is_authorized => Ok(()),
                other => Err(refusal(act, other)),
            },
            () = reporter.cancelled() => {
                self.take_away(&dialog).await;
                Err(Error::cancelled())
            }
        }
    }

    async fn ask(
        &self,
        subject: &Subject,
        act: Act,
        flags: CheckAuthorizationFlags,
        dialog: &str,
    ) -> zbus::Result<AuthorizationResult> {
        let details = HashMap::new();
        self.authority()
            .await?
            .check_authorization(subject, act.id(), &details, flags, dialog)
            .await
    }

    async fn take_away(&self, dialog: &str) {
        let asked = async {
            self.authority()
                .await?
                .cancel_check_authorization(dialog)
                .await
        };
        if let Ok(Err(error)) = timeout(PATIENCE, asked).await {
            tracing::debug!(%error, "nothing to cancel at polkit");
        }
    }

    async fn authority(&self) -> zbus::Result<AuthorityProxy<'static>> {
        AuthorityProxy::builder(&self.connection)
            .cache_properties(zbus::proxy::CacheProperties::No)
            .build()
            .await
    }
}

/// Polkit's answer that is not a yes, or that did not come, in words.
fn refusal(act: Act, answer: Result<zbus::Result<AuthorizationResult>, Elapsed>) -> Error {
    let id = act.id();
    denied(match answer {
        Ok(Ok(result)) if result.details.contains_key("polkit.dismissed") => {
            format!("the password was not given ({id})")
        }
        Ok(Ok(result)) if result.is_challenge => format!(
            "a password is needed for this ({id}), and it could not be asked for: run it in a graphical session, or as root"
        ),
        Ok(Ok(_)) => format!("the administrator does not allow this ({id})"),
        Ok(Err(zbus::Error::MethodError(name, _, _))) if name == NOBODY_THERE => format!(
            "the program that asked for this ({id}) ended before polkit could look at it; let it wait for the operation's end"
        ),
        Ok(Err(error)) => format!(
            "polkit, which decides about {id}, cannot be asked: {error}. See `systemctl status polkit`"
        ),
        Err(_) => {
            format!(
                "polkit, which decides about {id}, does not answer. See `systemctl status polkit`"
            )
        }
    })
}

fn denied(message: String) -> Error {
    Error::new(ErrorKind::AccessDenied, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Polkit refuses actions that it has no description of.
    #[test]
    fn the_installed_policy_describes_exactly_these_actions() {
        let policy = include_str!("../../../data/org.kde.kapsule.policy");
        let described: Vec<&str> = policy
            .split("<action id=\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect();
        assert_eq!(described, Act::ALL.map(Act::id));
    }
}
