// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Long work of the daemon, watched to its end.
//!
//! The order matters: subscribe, then call, and keep what arrives meanwhile, as the work may be
//! over before the call's answer is here. Signals count only if they come from the connection
//! that owns the daemon's name: anybody may send a signal to this program.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;

use futures_util::StreamExt as _;
use kapsule_dbus::operation::{OperationLog1Proxy, OperationProxy};
use kapsule_dbus::{BUS_NAME, OPERATIONS_PATH, error};
use tokio::signal::unix::{SignalKind, signal};
use zbus::fdo::DBusProxy;
use zbus::message::Type;
use zbus::names::{BusName, OwnedUniqueName};
use zbus::{MatchRule, Message, MessageStream, OwnedObjectPath};

use super::event::{Event, INTERFACE};
use super::{Bus, METHOD_TIMEOUT, explain, within};
use crate::error::{CommandError, ErrorKind};
use crate::ui::ProgressView;

/// Starts an operation with the call `start` and shows its progress until it is over. The first
/// Ctrl-C cancels it, the second leaves it alone. Where it takes a password that nobody could be
/// asked for, it is started once more, when there is somebody.
pub(crate) async fn run_operation(
    bus: &Bus,
    start: impl AsyncFn() -> zbus::Result<OwnedObjectPath>,
) -> Result<(), CommandError> {
    match run_once(bus, within(METHOD_TIMEOUT, start())).await {
        Err(error) if error.kind == ErrorKind::PasswordNeeded && bus.find_somebody().await => {
            run_once(bus, within(METHOD_TIMEOUT, start())).await
        }
        result => result,
    }
}

async fn run_once(
    bus: &Bus,
    start: impl Future<Output = zbus::Result<OwnedObjectPath>>,
) -> Result<(), CommandError> {
    let mut signals = Signals::subscribe(bus).await.map_err(explain)?;
    // Caught from here on: once the call is made there is something to cancel.
    let mut interrupts = Interrupts::catch()?;
    let path = interrupts
        .during(signals.during(start))
        .await?
        .map_err(explain)?;
    let daemon = signals
        .during(owner(bus))
        .await
        .map_err(|_| daemon_lost())?;
    if interrupts.count > 0 {
        cancel(bus, &path);
    }

    let mut view = ProgressView::new();
    loop {
        let message = tokio::select! {
            message = signals.next() => message.ok_or_else(daemon_lost)?,
            () = interrupts.next() => {
                if interrupts.count > 1 {
                    return Err(left());
                }
                view.print("Cancelling… (Ctrl-C again to leave at once)");
                cancel(bus, &path);
                continue;
            }
        };
        match Event::of(&message, &path, &daemon) {
            None => {}
            Some(Event::DaemonLost) => return Err(daemon_lost()),
            Some(Event::Completed { success, error }) => {
                let result = result(success, &error, interrupts.count > 0);
                return match result {
                    Err(error)
                        if error.kind == ErrorKind::Failed
                            && bus.may_find_somebody()
                            && lacked_a_password(bus, &path).await =>
                    {
                        Err(error.with_kind(ErrorKind::PasswordNeeded))
                    }
                    result => result,
                };
            }
            Some(Event::Progress(progress)) => progress.show(&mut view),
        }
    }
}

/// Ctrl-C, counted.
struct Interrupts {
    signal: tokio::signal::unix::Signal,
    count: u32,
}

impl Interrupts {
    fn catch() -> Result<Self, CommandError> {
        let signal = signal(SignalKind::interrupt()).map_err(|error| {
            CommandError::new(ErrorKind::Failed, error).context("cannot catch Ctrl-C")
        })?;
        Ok(Self { signal, count: 0 })
    }

    async fn next(&mut self) {
        if self.signal.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
        self.count += 1;
    }

    /// Waits for `work`, or for the second Ctrl-C.
    async fn during<T>(&mut self, work: impl Future<Output = T>) -> Result<T, CommandError> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                result = &mut work => return Ok(result),
                () = self.next() => {
                    if self.count > 1 {
                        return Err(left());
                    }
                    anstream::eprintln!("Cancelling as soon as the service answers… (Ctrl-C again to leave at once)");
                }
            }
        }
    }
}

fn left() -> CommandError {
    CommandError::interrupted("left without waiting for the end of the work")
        .hint("see what has become of it: kapsule list")
}

fn result(success: bool, error: &str, interrupted: bool) -> Result<(), CommandError> {
    match (success, interrupted) {
        (true, false) => Ok(()),
        (true, true) => Err(CommandError::interrupted(
            "interrupted, but the work was finished before it could be cancelled",
        )),
        (false, true) => Err(CommandError::interrupted(if error.is_empty() {
            "cancelled"
        } else {
            error
        })),
        (false, false) => Err(CommandError::failed(if error.is_empty() {
            "the Kapsule service does not say why it failed"
        } else {
            error
        })),
    }
}

fn daemon_lost() -> CommandError {
    CommandError::failed("the Kapsule service stopped in the middle of the work")
        .hint("it is started again by the next command and tidies up what was left half done; look at what there is: kapsule list")
        .hint("see why it stopped: journalctl -u kapsule-daemon")
}

/// Asks for the end of the operation, without waiting for the answer: `Completed` comes in any
/// case, and if the work is over already there is nothing to cancel.
fn cancel(bus: &Bus, path: &OwnedObjectPath) {
    let connection = bus.connection.clone();
    let path = path.clone();
    tokio::spawn(async move {
        OperationProxy::builder(&connection)
            .path(path)
            .build()
            .await?
            .cancel()
            .await
    });
}

/// Whether an operation that has failed can succeed when somebody is there to give a password.
async fn lacked_a_password(bus: &Bus, path: &OwnedObjectPath) -> bool {
    let name = async {
        OperationLog1Proxy::builder(&bus.connection)
            .path(path.clone())
            .build()
            .await?
            .get_error_name()
            .await
    };
    name.await.is_ok_and(|name| name == error::PASSWORD_NEEDED)
}

async fn owner(bus: &Bus) -> zbus::Result<OwnedUniqueName> {
    let name = BusName::try_from(BUS_NAME)?;
    Ok(DBusProxy::new(&bus.connection)
        .await?
        .get_name_owner(name)
        .await?)
}

/// The signals of operations, and those that tell of the daemon's end.
struct Signals {
    operations: MessageStream,
    owners: MessageStream,
    kept: VecDeque<Message>,
}

impl Signals {
    async fn subscribe(bus: &Bus) -> zbus::Result<Self> {
        let operations = MatchRule::builder()
            .msg_type(Type::Signal)
            .sender(BUS_NAME)
            .interface(INTERFACE)
            .path_namespace(OPERATIONS_PATH)
            .build()?;
        let owners = MatchRule::builder()
            .msg_type(Type::Signal)
            .sender("org.freedesktop.DBus")
            .interface("org.freedesktop.DBus")
            .member("NameOwnerChanged")
            .add_arg(BUS_NAME)
            .build()?;
        let (operations, owners) = tokio::try_join!(
            MessageStream::for_match_rule(operations, &bus.connection, None),
            MessageStream::for_match_rule(owners, &bus.connection, None),
        )?;
        Ok(Self {
            operations,
            owners,
            kept: VecDeque::new(),
        })
    }

    /// Waits for `work` and keeps the signals that come meanwhile.
    async fn during<T>(&mut self, work: impl Future<Output = zbus::Result<T>>) -> zbus::Result<T> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                message = self.receive() => match message {
                    Some(message) => self.kept.push_back(message),
                    None => return work.await,
                },
                result = &mut work => return result,
            }
        }
    }

    /// The next signal; `None` when the connection to the bus is gone.
    async fn next(&mut self) -> Option<Message> {
        match self.kept.pop_front() {
            Some(message) => Some(message),
            None => self.receive().await,
        }
    }

    async fn receive(&mut self) -> Option<Message> {
        loop {
            // What operations said before the daemon died comes first.
            let message = tokio::select! {
                biased;
                message = self.operations.next() => message,
                message = self.owners.next() => message,
            };
            match message {
                Some(Ok(message)) => return Some(message),
                // Not a message that anybody can use.
                Some(Err(_)) => {}
                None => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupted_operation_is_never_a_success() {
        assert!(result(true, "", false).is_ok());
        for (success, interrupted, kind) in [
            (true, true, ErrorKind::Interrupted),
            (false, true, ErrorKind::Interrupted),
            (false, false, ErrorKind::Failed),
        ] {
            assert_eq!(result(success, "", interrupted).unwrap_err().kind, kind);
        }
    }
}
