// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What callers may do. The daemon decides whose things are whose; polkit decides, for the
//! administrator, who may do what with their own.

use std::collections::HashMap;
use std::time::Duration;

use zbus::Connection;
use zbus_polkit::policykit1::{AuthorityProxy, CheckAuthorizationFlags};

use crate::caller::Caller;
use crate::error::{Error, ErrorKind, Result};
use crate::ops::Reporter;

/// How long polkit may take when it asks nobody.
const PATIENCE: Duration = Duration::from_secs(25);

/// How long a person may take over a password.
const PATIENCE_WITH_PEOPLE: Duration = Duration::from_secs(5 * 60);

/// An action that polkit is asked about. `data/org.kde.kapsule.policy` describes the same ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Making a container.
    CreateContainer,
    /// Starting, stopping, deleting and setting up one's own containers.
    ManageContainers,
    /// Importing, refreshing and deleting images.
    ManageImages,
}

impl Act {
    /// All of them.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 3] = [
        Self::CreateContainer,
        Self::ManageContainers,
        Self::ManageImages,
    ];

    /// The id of the action.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::CreateContainer => "org.kde.kapsule.create-container",
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

impl Policy {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// Checks that the caller may do this. Root may, always. Where the caller agreed to it,
    /// polkit may ask for a password first; cancelling the operation takes the dialog away.
    ///
    /// # Errors
    /// `AccessDenied`, also when polkit cannot be asked; `Cancelled`.
    pub(crate) async fn check(&self, caller: &Caller, act: Act, reporter: &Reporter) -> Result<()> {
        if caller.uid == 0 {
            return Ok(());
        }
        let cancellation = if caller.interactive {
            format!("kapsule-{}", reporter.id())
        } else {
            String::new()
        };
        tokio::select! {
            answer = self.ask(caller, act, &cancellation) => answer,
            () = reporter.cancelled() => {
                if !cancellation.is_empty() {
                    self.give_up(&cancellation).await;
                }
                Err(Error::cancelled())
            }
        }
    }

    async fn ask(&self, caller: &Caller, act: Act, cancellation: &str) -> Result<()> {
        let id = act.id();
        let (flags, patience) = if caller.interactive {
            (
                CheckAuthorizationFlags::ALLOW_USER_INTERACTION,
                PATIENCE_WITH_PEOPLE,
            )
        } else {
            (CheckAuthorizationFlags::empty(), PATIENCE)
        };
        let answer = tokio::time::timeout(patience, async {
            let details = HashMap::new();
            self.authority()
                .await?
                .check_authorization(&caller.subject, id, &details, flags, cancellation)
                .await
        })
        .await;
        match answer {
            Ok(Ok(result)) if result.is_authorized => Ok(()),
            Ok(Ok(result)) if result.is_challenge => Err(denied(format!(
                "a password is needed for this ({id}), and it could not be asked for: run it in a graphical session, or as root"
            ))),
            Ok(Ok(_)) => Err(denied(format!(
                "the administrator does not allow this ({id})"
            ))),
            Ok(Err(error)) => Err(denied(format!(
                "polkit, which decides about {id}, cannot be asked: {error}. See `systemctl status polkit`"
            ))),
            Err(_) => Err(denied(format!(
                "polkit, which decides about {id}, does not answer. See `systemctl status polkit`"
            ))),
        }
    }

    async fn give_up(&self, cancellation: &str) {
        let asked = tokio::time::timeout(PATIENCE, async {
            self.authority()
                .await?
                .cancel_check_authorization(cancellation)
                .await
        });
        if let Ok(Err(error)) = asked.await {
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
