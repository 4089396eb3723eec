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
use kapsule_dbus::operation::{MessageType, OperationProxy};
use kapsule_dbus::{BUS_NAME, OPERATIONS_PATH};
use tokio::signal::unix::{SignalKind, signal};
use zbus::fdo::DBusProxy;
use zbus::message::Type;
use zbus::names::{BusName, OwnedUniqueName};
use zbus::{MatchRule, Message, MessageStream, OwnedObjectPath};

use super::{Bus, explain};
use crate::error::{CommandError, ErrorKind};
use crate::ui::ProgressView;

const INTERFACE: &str = "org.kde.kapsule.Operation";

/// Starts an operation with the call `start` and shows its progress until it is over. The first
/// Ctrl-C cancels it, the second leaves it alone.
pub(crate) async fn run_operation(
    bus: &Bus,
    start: impl Future<Output = zbus::Result<OwnedObjectPath>>,
) -> Result<(), CommandError> {
    let mut signals = Signals::subscribe(bus).await.map_err(explain)?;
    // Caught from here on: once the call is made there is something to cancel.
    let mut interrupts = signal(SignalKind::interrupt()).map_err(|error| {
        CommandError::new(ErrorKind::Failed, error).context("cannot catch Ctrl-C")
    })?;

    let path = signals.during(start).await.map_err(explain)?;
    let daemon = signals
        .during(owner(bus))
        .await
        .map_err(|_| daemon_lost())?;

    let mut view = ProgressView::new();
    let mut interrupted = false;
    loop {
        let message = tokio::select! {
            message = signals.next() => message.ok_or_else(daemon_lost)?,
            _ = interrupts.recv() => {
                if interrupted {
                    drop(view);
                    return Err(CommandError::interrupted("left while the work is being cancelled")
                        .hint("see what has become of it: kapsule list"));
                }
                interrupted = true;
                view.print("Cancelling… (Ctrl-C again to leave at once)");
                cancel(bus, &path);
                continue;
            }
        };
        match Event::of(&message, &path, &daemon) {
            None => {}
            Some(Event::DaemonLost) => {
                drop(view);
                return Err(daemon_lost());
            }
            Some(Event::Completed { success, error }) => {
                drop(view);
                return result(success, &error, interrupted);
            }
            Some(Event::Progress(progress)) => progress.show(&mut view),
        }
    }
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

#[derive(Debug, PartialEq)]
enum Event {
    Progress(Progress),
    Completed { success: bool, error: String },
    DaemonLost,
}

#[derive(Debug, PartialEq)]
enum Progress {
    Message(i32, String, i32),
    Started(String, String, i32, i32),
    Moved(String, i32),
    Text(String, String),
    Completed(String, bool, String),
}

impl Event {
    /// What a signal means for the operation at `path` of the daemon `daemon`, if anything.
    fn of(message: &Message, path: &OwnedObjectPath, daemon: &OwnedUniqueName) -> Option<Self> {
        let header = message.header();
        let member = header.member()?.as_str();
        if member == "NameOwnerChanged" {
            let body = message.body();
            let (_, old, _): (&str, &str, &str) = body.deserialize().ok()?;
            return (old == daemon.as_str()).then_some(Self::DaemonLost);
        }
        let ours = header.path().map(|it| it.as_str()) == Some(path.as_str())
            && header.sender().map(|it| it.as_str()) == Some(daemon.as_str());
        if !ours {
            return None;
        }
        let body = message.body();
        let progress = match member {
            "Completed" => {
                let (success, error) = body.deserialize().ok()?;
                return Some(Self::Completed { success, error });
            }
            "Message" => {
                let (message_type, text, level) = body.deserialize().ok()?;
                Progress::Message(message_type, text, level)
            }
            "ProgressStarted" => {
                let (id, description, total, level) = body.deserialize().ok()?;
                Progress::Started(id, description, total, level)
            }
            "ProgressUpdate" => {
                let (id, current, _rate): (String, i32, f64) = body.deserialize().ok()?;
                Progress::Moved(id, current)
            }
            "ProgressTextUpdate" => {
                let (id, text) = body.deserialize().ok()?;
                Progress::Text(id, text)
            }
            "ProgressCompleted" => {
                let (id, success, message) = body.deserialize().ok()?;
                Progress::Completed(id, success, message)
            }
            _ => return None,
        };
        Some(Self::Progress(progress))
    }
}

impl Progress {
    fn show(self, view: &mut ProgressView) {
        match self {
            Self::Message(message_type, text, level) => {
                view.message(MessageType::from_wire(message_type), &text, level);
            }
            Self::Started(id, description, total, level) => {
                view.started(&id, &description, total, level);
            }
            Self::Moved(id, current) => view.moved(&id, current),
            Self::Text(id, text) => view.text(&id, &text),
            Self::Completed(id, success, message) => view.completed(&id, success, &message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/org/kde/kapsule/operations/7";
    const DAEMON: &str = ":1.5";

    fn event<B>(sender: &str, path: &str, member: &str, body: &B) -> Option<Event>
    where
        B: serde::Serialize + zbus::wire::DynamicType,
    {
        let message = Message::signal(path, INTERFACE, member)
            .sender(sender)
            .build(body)
            .unwrap();
        Event::of(
            &message,
            &OwnedObjectPath::try_from(PATH).unwrap(),
            &OwnedUniqueName::try_from(DAEMON).unwrap(),
        )
    }

    #[test]
    fn only_the_operation_itself_can_end_it() {
        let over = Some(Event::Completed {
            success: false,
            error: "why".to_owned(),
        });
        let body = (false, "why");
        assert_eq!(event(DAEMON, PATH, "Completed", &body), over);
        assert_eq!(event(":1.6", PATH, "Completed", &body), None);
        assert_eq!(
            event(DAEMON, "/org/kde/kapsule/operations/70", "Completed", &body),
            None
        );
        assert_eq!(event(DAEMON, PATH, "Completed", &"malformed"), None);
    }

    #[test]
    fn reads_what_the_contract_says() {
        let progress = |event| match event {
            Some(Event::Progress(progress)) => progress,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            progress(event(DAEMON, PATH, "Message", &(2, "text", 1))),
            Progress::Message(2, "text".to_owned(), 1)
        );
        assert_eq!(
            progress(event(
                DAEMON,
                PATH,
                "ProgressStarted",
                &("3", "Downloading", -1, 1)
            )),
            Progress::Started("3".to_owned(), "Downloading".to_owned(), -1, 1)
        );
        assert_eq!(
            progress(event(DAEMON, PATH, "ProgressUpdate", &("3", 12, 0.0))),
            Progress::Moved("3".to_owned(), 12)
        );
        assert_eq!(
            progress(event(DAEMON, PATH, "ProgressTextUpdate", &("3", "40%"))),
            Progress::Text("3".to_owned(), "40%".to_owned())
        );
        assert_eq!(
            progress(event(DAEMON, PATH, "ProgressCompleted", &("3", true, ""))),
            Progress::Completed("3".to_owned(), true, String::new())
        );
    }

    #[test]
    fn notices_that_this_daemon_has_gone_and_not_another_one() {
        let changed = |old: &str| {
            event(
                "org.freedesktop.DBus",
                "/org/freedesktop/DBus",
                "NameOwnerChanged",
                &(BUS_NAME, old, ""),
            )
        };
        assert_eq!(changed(DAEMON), Some(Event::DaemonLost));
        assert_eq!(changed(":1.4"), None);
        assert_eq!(changed(""), None);
    }

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
