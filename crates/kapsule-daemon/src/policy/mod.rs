// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What callers may do. The daemon decides whose things are whose; polkit decides, for the
//! administrator, who may do what with their own.

mod act;
mod remembered;
mod turns;

use std::collections::HashMap;
use std::time::Duration;

pub(crate) use act::Act;
use futures_util::StreamExt as _;
use remembered::{Era, Key, Known, Remembered};
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use turns::Turns;
use zbus::{Connection, fdo};
use zbus_polkit::policykit1::{
    AuthorityProxy, AuthorizationResult, CheckAuthorizationFlags, Subject,
};

use crate::caller::Caller;
use crate::error::{Error, ErrorKind, Result};
use crate::ops::Reporter;

/// How long polkit may take when it asks nobody: less than clients wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a person may take over a password.
const PATIENCE_WITH_PEOPLE: Duration = Duration::from_secs(5 * 60);

/// In polkit's answer, when it rests on a password that was given a short while ago.
const TEMPORARY: &str = "polkit.temporary_authorization_id";

/// Asks polkit. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    connection: Connection,
    remembered: Remembered,
    turns: Turns,
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
        Self {
            connection,
            remembered: Remembered::default(),
            turns: Turns::default(),
        }
    }

    /// Lets a call go on that answers at once, or refuses it. What is done all the time only waits
    /// for polkit the first time in a login session.
    ///
    /// # Errors
    /// `AccessDenied`, also when polkit cannot be asked; `PasswordNeeded`.
    pub(crate) async fn permit(&self, caller: &Caller, act: Act) -> Result<()> {
        if caller.uid == 0 {
            return Ok(());
        }
        let key = Key::new(caller, act);
        match key.as_ref().map(|key| self.remembered.look(key)) {
            Some(Known::Fresh | Known::InDoubt) => return Ok(()),
            Some(Known::Doubtful) => {
                let (policy, caller) = (self.clone(), caller.clone());
                tokio::spawn(async move { policy.ask_again(&caller, act).await });
                return Ok(());
            }
            Some(Known::Nothing) | None => {}
        }
        match self.judge(caller, act).await {
            Verdict::Allowed => Ok(()),
            Verdict::Denied(error) => Err(error),
            Verdict::Challenge => {
                let flags = CheckAuthorizationFlags::ALLOW_USER_INTERACTION;
                let asked = self.ask(&caller.subject, act, flags, "");
                match timeout(PATIENCE_WITH_PEOPLE, asked).await {
                    Ok(Ok(result)) if result.is_authorized => Ok(()),
                    other => Err(refusal(act, Asked::People, other)),
                }
            }
        }
    }

    /// Asks what can be told at once. Root may do everything. This has to come before the
    /// caller's answer: one that does not wait for the operation's end is gone afterwards, and
    /// polkit knows nothing about who is gone.
    pub(crate) async fn judge(&self, caller: &Caller, act: Act) -> Verdict {
        if caller.uid == 0 {
            return Verdict::Allowed;
        }
        let era = self.remembered.era();
        match self.ask_at_once(caller, act).await {
            Ok(Ok(result)) if result.is_authorized => {
                self.remember(caller, act, &result, era);
                Verdict::Allowed
            }
            Ok(Ok(result)) if result.is_challenge && caller.interactive => Verdict::Challenge,
            other => Verdict::Denied(refusal(act, Asked::Rules, other)),
        }
    }

    /// Finds out whether a yes is one still. The next caller gets to know.
    async fn ask_again(&self, caller: &Caller, act: Act) {
        let Some(key) = Key::new(caller, act) else {
            return;
        };
        let era = self.remembered.era();
        match self.ask_at_once(caller, act).await {
            Ok(Ok(result)) if result.is_authorized => self.remember(caller, act, &result, era),
            Ok(Ok(_)) => self.remembered.refused(&key),
            // Most often the caller is gone.
            Ok(Err(_)) | Err(_) => self.remembered.unanswered(&key),
        }
    }

    fn remember(&self, caller: &Caller, act: Act, answer: &AuthorizationResult, asked: Era) {
        // One that a password was given for ends when polkit says.
        let borrowed = answer.details.contains_key(TEMPORARY);
        if let Some(key) = Key::new(caller, act).filter(|_| !borrowed) {
            self.remembered.allowed(key, asked);
        }
    }

    /// Forgets what polkit has said whenever something changes there. Ends with the connection.
    /// It waits for nothing but the signals: what is not taken from the connection holds up
    /// everything that comes after it.
    pub(crate) async fn follow_changes(&self) -> zbus::Result<()> {
        let authority = self.authority().await?;
        let mut changes = authority.receive_changed().await?;
        let mut owners = authority.inner().receive_owner_changed().await?;
        self.remembered.follow(true);
        loop {
            let came = tokio::select! {
                change = changes.next() => change.is_some(),
                owner = owners.next() => owner.is_some(),
            };
            if !came {
                self.remembered.follow(false);
                return Ok(());
            }
            self.remembered.forget();
        }
    }

    async fn ask_at_once(
        &self,
        caller: &Caller,
        act: Act,
    ) -> Result<zbus::Result<AuthorizationResult>, Elapsed> {
        let _turn = self.turns.wait(caller.uid).await;
        let asked = self.ask(&caller.subject, act, CheckAuthorizationFlags::empty(), "");
        timeout(PATIENCE, asked).await
    }

    /// Carries out a verdict, with a password dialog where that is what is needed. Cancelling the
    /// operation takes the dialog away.
    ///
    /// # Errors
    /// `AccessDenied`, also when polkit cannot be asked; `PasswordNeeded`; `Cancelled`.
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
                other => Err(refusal(act, Asked::People, other)),
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

/// Who had a say in an answer of polkit's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Rules,
    /// Somebody in front of a password dialog, too, where there is one.
    People,
}

/// Polkit's answer that is not a yes, or that did not come, in words.
fn refusal(
    act: Act,
    asked: Asked,
    answer: Result<zbus::Result<AuthorizationResult>, Elapsed>,
) -> Error {
    let id = act.id();
    let denied = |message: String| Error::new(ErrorKind::AccessDenied, message);
    match answer {
        Ok(Ok(result)) if result.details.contains_key("polkit.dismissed") => {
            denied(format!("the password was not given ({id})"))
        }
        Ok(Ok(result)) if result.is_challenge => Error::new(
            ErrorKind::PasswordNeeded,
            format!(
                "a password is needed for this ({id}), and there is nobody who could be asked: run it in a terminal or a graphical session, or as root"
            ),
        ),
        Ok(Ok(_)) if asked == Asked::People => denied(format!(
            "the password was not right, or not given in time ({id})"
        )),
        Ok(Ok(_)) => denied(format!("the administrator does not allow this ({id})")),
        Ok(Err(error)) if says_nobody_is_there(&error) && asked == Asked::People => Error::new(
            ErrorKind::PasswordNeeded,
            format!(
                "a password is needed for this ({id}), and the program that asked for it has ended; let it wait for the operation's end"
            ),
        ),
        Ok(Err(error)) if says_nobody_is_there(&error) => denied(format!(
            "the program that asked for this ({id}) ended before polkit could look at it; let it wait for the operation's end"
        )),
        Ok(Err(error)) => denied(format!(
            "polkit, which decides about {id}, cannot be asked: {error}. See `systemctl status polkit`"
        )),
        Err(_) if asked == Asked::People => {
            denied(format!("nobody has given the password in time ({id})"))
        }
        Err(_) => denied(format!(
            "polkit, which decides about {id}, does not answer. See `systemctl status polkit`"
        )),
    }
}

/// What polkit says of a connection that has ended.
fn says_nobody_is_there(error: &zbus::Error) -> bool {
    const NAME: &str = "org.freedesktop.DBus.Error.NameHasNoOwner";
    match error {
        zbus::Error::FDO(error) => matches!(**error, fdo::Error::NameHasNoOwner(_)),
        zbus::Error::MethodError(name, _, _) => *name == NAME,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_gone_is_told_from_a_polkit_that_is() {
        let gone = || {
            let error = fdo::Error::NameHasNoOwner("x".to_owned());
            Ok(Err(zbus::Error::FDO(Box::new(error))))
        };
        let act = Act::ManageOthers;
        let error = refusal(act, Asked::Rules, gone());
        assert_eq!(error.kind, ErrorKind::AccessDenied);
        assert!(error.message.contains("ended before"), "{error}");
        let error = refusal(act, Asked::People, gone());
        assert_eq!(error.kind, ErrorKind::PasswordNeeded);
        assert!(error.message.contains("has ended"), "{error}");
        let absent = fdo::Error::ServiceUnknown("x".to_owned());
        let error = refusal(
            act,
            Asked::Rules,
            Ok(Err(zbus::Error::FDO(Box::new(absent)))),
        );
        assert!(error.message.contains("systemctl status polkit"), "{error}");
    }
}
