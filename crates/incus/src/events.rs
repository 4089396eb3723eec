// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! The event stream (`GET /1.0/events`, `doc/events.md`).

use futures_util::StreamExt;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio_tungstenite::tungstenite::Message;

use crate::error::chain;
use crate::path::ApiPath;
use crate::types::{decode, time};
use crate::websocket::{WebSocket, is_end};
use crate::{Client, Error, OperationInfo, Result};

/// A kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventType {
    /// An operation was made or changed.
    Operation,
    /// A thing came about, changed or went away.
    Lifecycle,
    /// The server logged something.
    Logging,
}

impl EventType {
    fn as_str(self) -> &'static str {
        match self {
            EventType::Operation => "operation",
            EventType::Lifecycle => "lifecycle",
            EventType::Logging => "logging",
        }
    }
}

/// Which events to get.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// The kinds; none means all.
    pub types: Vec<EventType>,
    /// The project; `None` means all of them.
    pub project: Option<String>,
}

impl EventFilter {
    /// Events of these kinds from every project. No kinds means all.
    pub fn all_projects(types: impl IntoIterator<Item = EventType>) -> EventFilter {
        EventFilter {
            types: types.into_iter().collect(),
            project: None,
        }
    }

    /// Events of these kinds from one project. No kinds means all.
    pub fn project(
        name: impl Into<String>,
        types: impl IntoIterator<Item = EventType>,
    ) -> EventFilter {
        EventFilter {
            types: types.into_iter().collect(),
            project: Some(name.into()),
        }
    }

    fn path(&self) -> ApiPath {
        let path = ApiPath::root_with(&["events"]);
        let path = match &self.project {
            Some(project) => path.query("project", project),
            None => path.query("all-projects", "true"),
        };
        if self.types.is_empty() {
            return path;
        }
        let types: Vec<_> = self.types.iter().map(|kind| kind.as_str()).collect();
        path.query("type", &types.join(","))
    }
}

/// One event.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// An operation was made or changed.
    Operation {
        /// The project it runs in.
        project: String,
        /// The operation as it now is.
        operation: OperationInfo,
    },
    /// A thing came about, changed or went away.
    Lifecycle {
        /// What happened: `instance-started`, `instance-deleted`, `image-created` …
        action: String,
        /// The API path of the thing, such as `/1.0/instances/demo?project=p`.
        source: String,
        /// The project of the thing.
        project: String,
        /// The name of the thing; empty when Incus does not tell, as some versions do not for some things.
        name: String,
        /// More about it.
        context: Map<String, Value>,
        /// When it happened.
        timestamp: Option<Timestamp>,
    },
    /// The server logged something.
    Logging {
        /// `info`, `warning`, `error` …
        level: String,
        /// The text.
        message: String,
        /// More about it.
        context: Map<String, Value>,
    },
    /// A kind this crate does not know.
    Other {
        /// The kind.
        kind: String,
    },
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawEvent {
    #[serde(rename = "type")]
    kind: String,
    project: String,
    #[serde(deserialize_with = "time")]
    timestamp: Option<Timestamp>,
    metadata: Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawLifecycle {
    action: String,
    source: String,
    project: String,
    name: String,
    context: Map<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawLogging {
    level: String,
    message: String,
    context: Map<String, Value>,
}

impl Event {
    fn parse(text: &str) -> serde_json::Result<Event> {
        let raw: RawEvent = decode(serde_json::from_str(text)?)?;
        Ok(match raw.kind.as_str() {
            "operation" => Event::Operation {
                project: raw.project,
                operation: serde_json::from_value(raw.metadata)?,
            },
            "lifecycle" => {
                let event: RawLifecycle = serde_json::from_value(raw.metadata)?;
                Event::Lifecycle {
                    project: if event.project.is_empty() {
                        raw.project
                    } else {
                        event.project
                    },
                    action: event.action,
                    source: event.source,
                    name: event.name,
                    context: event.context,
                    timestamp: raw.timestamp,
                }
            }
            "logging" => {
                let event: RawLogging = serde_json::from_value(raw.metadata)?;
                Event::Logging {
                    level: event.level,
                    message: event.message,
                    context: event.context,
                }
            }
            _ => Event::Other { kind: raw.kind },
        })
    }

    /// The instance a lifecycle event is about, also when it is about a snapshot or file of it.
    pub fn instance(&self) -> Option<String> {
        let Event::Lifecycle { source, .. } = self else {
            return None;
        };
        let rest = source.strip_prefix("/1.0/instances/")?;
        let name = rest
            .split(['/', '?'])
            .next()
            .filter(|name| !name.is_empty())?;
        Some(
            percent_encoding::percent_decode_str(name)
                .decode_utf8_lossy()
                .into_owned(),
        )
    }
}

/// The stream of events. Incus drops a listener that does not keep up; then the stream ends.
#[derive(Debug)]
pub struct Events {
    socket: WebSocket,
    path: ApiPath,
}

impl Events {
    /// The next event; `None` when Incus ended the stream (it does when it stops). Safe to cancel.
    ///
    /// # Errors
    /// When the connection breaks, after which only `None` follows, or an event cannot be read.
    pub async fn next(&mut self) -> Option<Result<Event>> {
        loop {
            let text = match self.socket.next().await? {
                Ok(Message::Text(text)) => text,
                Ok(Message::Close(_)) => return None,
                Ok(_) => continue,
                Err(error) if is_end(&error) => return None,
                Err(error) => {
                    return Some(Err(Error::Transport {
                        method: "GET".to_owned(),
                        path: self.path.to_string(),
                        cause: chain(&error),
                    }));
                }
            };
            return Some(Event::parse(&text).map_err(|error| Error::Protocol {
                method: "GET".to_owned(),
                path: self.path.to_string(),
                problem: error.to_string(),
            }));
        }
    }
}

impl Client {
    /// Subscribes to events.
    ///
    /// Incus may take a moment after this returns to register the listener: read what you watch once more afterwards.
    ///
    /// # Errors
    /// When Incus cannot be reached, or the project does not exist.
    pub async fn events(&self, filter: EventFilter) -> Result<Events> {
        let path = filter.path();
        let socket = self.transport.websocket(&path).await?;
        Ok(Events { socket, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StatusCode;

    #[test]
    fn filters_become_queries() {
        use EventType::{Lifecycle, Operation};
        let all = EventFilter::all_projects([Operation, Lifecycle]).path();
        assert_eq!(
            all.as_str(),
            "/1.0/events?all-projects=true&type=operation%2Clifecycle"
        );
        assert_eq!(
            EventFilter::project("a&b", []).path().as_str(),
            "/1.0/events?project=a%26b"
        );
    }

    #[test]
    fn lifecycle() {
        let event = Event::parse(
            r#"{"type":"lifecycle","timestamp":"2026-11-22T10:00:00Z","project":"p","location":"none","metadata":
               {"action":"instance-started","source":"/1.0/instances/demo?project=p","context":null,"name":"demo"}}"#,
        )
        .unwrap();
        assert_eq!(event.instance().as_deref(), Some("demo"));
        let Event::Lifecycle {
            action,
            project,
            name,
            timestamp,
            ..
        } = event
        else {
            panic!("{event:?}")
        };
        assert_eq!(
            (action.as_str(), project.as_str(), name.as_str()),
            ("instance-started", "p", "demo")
        );
        assert!(timestamp.is_some());
    }

    #[test]
    fn the_instance_of_a_snapshot_event() {
        for (source, instance) in [
            ("/1.0/instances/demo/snapshots/s?project=p", Some("demo")),
            ("/1.0/instances/d%C3%A9mo", Some("démo")),
            ("/1.0/images/abc", None),
            ("/1.0/instances/", None),
        ] {
            let text = format!(r#"{{"type":"lifecycle","metadata":{{"source":"{source}"}}}}"#);
            assert_eq!(
                Event::parse(&text).unwrap().instance().as_deref(),
                instance,
                "{source}"
            );
        }
    }

    #[test]
    fn operations_logging_and_unknown_kinds() {
        let event = Event::parse(
            r#"{"type":"operation","project":"p","metadata":{"id":"1","status_code":103,"metadata":null,"resources":null}}"#,
        )
        .unwrap();
        let Event::Operation { operation, .. } = event else {
            panic!()
        };
        assert_eq!(operation.status_code, StatusCode::RUNNING);
        assert!(matches!(
            Event::parse(r#"{"type":"logging","metadata":{"level":"info","message":"m","context":{"a":"b"}}}"#).unwrap(),
            Event::Logging { level, .. } if level == "info"
        ));
        assert_eq!(
            Event::parse(r#"{"type":"network-acl","metadata":{}}"#).unwrap(),
            Event::Other {
                kind: "network-acl".into()
            }
        );
        assert!(Event::parse("nonsense").is_err());
    }
}
