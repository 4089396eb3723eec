// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! From what D-Bus says to what the user gets to see.

use kapsule_dbus::error;
use zbus::fdo;

use crate::error::{CommandError, ErrorKind};

const SEE_SERVICE: &str =
    "see what it says: systemctl status kapsule-daemon; journalctl -u kapsule-daemon";

/// Explains a failed call.
pub(crate) fn explain(failure: zbus::Error) -> CommandError {
    match failure {
        zbus::Error::MethodError(name, text, _) => {
            let text = text.unwrap_or_else(|| format!("the Kapsule service says {name}"));
            explain_kapsule(name.as_str(), &text)
        }
        zbus::Error::FDO(error) => explain_bus(&error),
        zbus::Error::InputOutput(error) => {
            CommandError::failed(format!("the connection to the system bus failed: {error}"))
                .hint("check that D-Bus runs: systemctl status dbus")
        }
        zbus::Error::SignatureMismatch(..) | zbus::Error::IncorrectType => {
            version_mismatch(&format!(
                "the Kapsule service answers in a way that this program does not understand: {failure}"
            ))
        }
        other => CommandError::failed(format!("the Kapsule service could not be asked: {other}"))
            .hint(SEE_SERVICE),
    }
}

/// The errors that the daemon gives on purpose. Their text is made for people and mostly says what
/// to do next, for every client alike.
fn explain_kapsule(name: &str, text: &str) -> CommandError {
    let error = CommandError::failed(text);
    match name {
        error::INVALID_ARGUMENT => error.with_kind(ErrorKind::Usage),
        error::NOT_FOUND => error.with_kind(ErrorKind::NotFound),
        error::PASSWORD_NEEDED => error.with_kind(ErrorKind::PasswordNeeded),
        error::NOT_RUNNING => error.with_kind(ErrorKind::NotRunning),
        error::INCUS_UNAVAILABLE => error.hint(
            "Kapsule keeps its containers in Incus; see how it is: systemctl status incus.socket incus",
        ),
        // The bus asked systemd to start the service, which answered that it is masked, or so.
        _ if name.starts_with("org.freedesktop.systemd1.") => error
            .context("the Kapsule service could not be started")
            .hint(SEE_SERVICE),
        _ => error,
    }
}

/// The errors of the bus, and those that any D-Bus service may give.
fn explain_bus(error: &fdo::Error) -> CommandError {
    use fdo::Error as E;
    match error {
        E::ServiceUnknown(_) | E::NameHasNoOwner(_) | E::SpawnServiceNotFound(_) => {
            CommandError::failed("the Kapsule service is not there: nobody on the system bus is called org.kde.kapsule, and it cannot be started on demand")
                .hint("install Kapsule's system service, or start it: sudo systemctl start kapsule-daemon")
        }
        E::SpawnExecFailed(why)
        | E::SpawnForkFailed(why)
        | E::SpawnChildExited(why)
        | E::SpawnChildSignaled(why)
        | E::SpawnFailed(why)
        | E::SpawnFailedToSetup(why)
        | E::SpawnConfigInvalid(why)
        | E::SpawnServiceNotValid(why)
        | E::SpawnPermissionsInvalid(why)
        | E::SpawnFileInvalid(why)
        | E::SpawnNoMemory(why) => {
            CommandError::failed(format!("the Kapsule service could not be started: {why}"))
                .hint(SEE_SERVICE)
        }
        E::NoReply(_) | E::Disconnected(_) => CommandError::message(
            ErrorKind::Gone,
            "the Kapsule service stopped before it answered",
        )
        .hint(SEE_SERVICE)
        .hint("it is started again by the next command; then look at what there is: kapsule list"),
        E::TimedOut(_) | E::Timeout(_) => {
            CommandError::failed("the Kapsule service does not answer, or could not be started").hint(SEE_SERVICE)
        }
        E::UnknownMethod(_) | E::UnknownInterface(_) | E::UnknownObject(_) => version_mismatch(
            "the Kapsule service does not know what it was asked",
        ),
        E::InteractiveAuthorizationRequired(why) => {
            CommandError::message(ErrorKind::PasswordNeeded, why)
        }
        E::AccessDenied(why) => {
            CommandError::failed(format!("this is not allowed: {why}"))
                .hint("log in as an administrator, or ask one to allow it (polkit, org.kde.kapsule)")
        }
        E::LimitsExceeded(why) => CommandError::failed(format!("too much is going on: {why}"))
            .hint("wait for other work to end, then try again"),
        other => CommandError::failed(other),
    }
}

fn version_mismatch(text: &str) -> CommandError {
    CommandError::failed(text).hint(
        "program and service are of different versions; after an update, restart the service: \
         sudo systemctl restart kapsule-daemon",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_kinds_apart_by_the_name_of_the_error() {
        let cases = [
            (error::NOT_FOUND, ErrorKind::NotFound),
            (error::NOT_RUNNING, ErrorKind::NotRunning),
            (error::PASSWORD_NEEDED, ErrorKind::PasswordNeeded),
            (error::INVALID_ARGUMENT, ErrorKind::Usage),
            (error::INCUS_UNAVAILABLE, ErrorKind::Failed),
            ("org.example.Error.Odd", ErrorKind::Failed),
        ];
        for (name, kind) in cases {
            let error = explain_kapsule(name, "the reason");
            assert_eq!(error.kind, kind, "{name}");
            assert_eq!(error.to_string(), "the reason");
        }
        let masked = explain_kapsule("org.freedesktop.systemd1.UnitMasked", "it is masked");
        assert!(
            masked
                .to_string()
                .contains("could not be started: it is masked"),
            "{masked}"
        );
    }

    #[test]
    fn an_absent_service_is_told_from_one_that_fails() {
        let absent = explain_bus(&fdo::Error::ServiceUnknown("x".to_owned()));
        assert!(absent.to_string().contains("is not there"), "{absent}");
        let failing = explain_bus(&fdo::Error::SpawnChildExited("status 1".to_owned()));
        assert!(failing.to_string().contains("status 1"), "{failing}");
        let password = fdo::Error::InteractiveAuthorizationRequired("x".to_owned());
        assert_eq!(explain_bus(&password).kind, ErrorKind::PasswordNeeded);
        let gone = explain_bus(&fdo::Error::NoReply("x".to_owned()));
        assert_eq!(gone.kind, ErrorKind::Gone);
    }
}
