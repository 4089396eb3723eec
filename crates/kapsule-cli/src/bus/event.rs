// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What the signals of an operation say.

use kapsule_dbus::operation::MessageType;
use zbus::names::OwnedUniqueName;
use zbus::{Message, OwnedObjectPath};

use crate::ui::ProgressView;

/// The interface that the signals belong to.
pub(super) const INTERFACE: &str = "org.kde.kapsule.Operation";

#[derive(Debug, PartialEq)]
pub(super) enum Event {
    Progress(Progress),
    Completed { success: bool, error: String },
    DaemonLost,
}

#[derive(Debug, PartialEq)]
pub(super) enum Progress {
    Message(i32, String, i32),
    Started(String, String, i32, i32),
    Moved(String, i32),
    Text(String, String),
    Completed(String, bool, String),
}

impl Event {
    /// What a signal means for the operation at `path` of the daemon `daemon`, if anything.
    pub(super) fn of(
        message: &Message,
        path: &OwnedObjectPath,
        daemon: &OwnedUniqueName,
    ) -> Option<Self> {
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
    pub(super) fn show(self, view: &mut ProgressView) {
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
    use kapsule_dbus::BUS_NAME;

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
}
