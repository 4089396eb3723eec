// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! Background work of Incus: starting it, waiting for it, cancelling it.
//!
//! Incus forgets an operation five seconds after its end, so wait for one soon after starting it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use hyper::{Method, StatusCode as HttpStatus};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::path::ApiPath;
use crate::progress::Progress;
use crate::transport::Call;
use crate::types::time;
use crate::{Client, Error, Event, EventFilter, EventType, Result, StatusCode};

/// How often an operation is looked at when its events cannot be had.
const POLL_EVERY: Duration = Duration::from_millis(500);

/// An operation as Incus describes it (`Operation` in `rest-api.yaml`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OperationInfo {
    /// The id, a UUID.
    pub id: String,
    /// `task`, `websocket` or `token`.
    pub class: String,
    /// What it does, such as "Creating instance".
    pub description: String,
    /// When it was started.
    #[serde(deserialize_with = "time")]
    pub created_at: Option<Timestamp>,
    /// When it last changed.
    #[serde(deserialize_with = "time")]
    pub updated_at: Option<Timestamp>,
    /// The status in words.
    pub status: String,
    /// The status.
    pub status_code: StatusCode,
    /// The things it is about: API paths by kind (`instances`, `images` …).
    pub resources: BTreeMap<String, Vec<String>>,
    /// Progress while it runs, results when it has ended.
    pub metadata: Map<String, Value>,
    /// Whether it can be cancelled now.
    pub may_cancel: bool,
    /// Why it failed, empty if it did not.
    pub err: String,
    /// The cluster member it runs on.
    pub location: String,
}

impl OperationInfo {
    /// The fingerprint of the image that a download or import made.
    pub fn fingerprint(&self) -> Option<&str> {
        self.metadata.get("fingerprint").and_then(Value::as_str)
    }

    /// How far it is, if it says so.
    pub fn progress(&self) -> Option<Progress> {
        Progress::from_metadata(&self.metadata)
    }

    /// The outcome of an operation that has ended.
    pub(crate) fn outcome(self) -> Result<OperationInfo> {
        match self.status_code {
            StatusCode::SUCCESS => Ok(self),
            StatusCode::CANCELLED => Err(Error::Cancelled {
                operation: self.id,
                description: self.description,
            }),
            code => Err(Error::OperationFailed {
                operation: self.id,
                description: self.description,
                code: code.0,
                message: if self.err.is_empty() {
                    self.status
                } else {
                    self.err
                },
            }),
        }
    }
}

/// A running operation. Dropping the handle does not stop the operation.
#[derive(Clone, Debug)]
pub struct Operation {
    client: Client,
    info: OperationInfo,
}

impl Operation {
    /// The operation's id.
    pub fn id(&self) -> &str {
        &self.info.id
    }

    /// The operation as it was when this handle was made.
    pub fn info(&self) -> &OperationInfo {
        &self.info
    }

    /// Waits for the end, however long it takes.
    ///
    /// # Errors
    /// [`Error::OperationFailed`] and [`Error::Cancelled`] when it ended so, [`Error::OperationGone`] when it ended
    /// more than five seconds ago, and whatever keeps Incus from being reached.
    pub async fn wait(self) -> Result<OperationInfo> {
        self.ended().await?.outcome()
    }

    /// Waits for the end and calls `on_progress` for every step that Incus tells of.
    ///
    /// Steps come from the event stream, or from asking twice a second if there is none. The end never depends on
    /// events, so none can be missed by subscribing too late.
    ///
    /// # Errors
    /// As [`Operation::wait`].
    pub async fn wait_with_progress(
        self,
        mut on_progress: impl FnMut(Progress),
    ) -> Result<OperationInfo> {
        let info = {
            let mut end = pin!(self.ended());
            let mut watch = pin!(self.watch(&mut on_progress));
            tokio::select! {
                biased;
                ended = &mut end => ended?,
                never = &mut watch => match never {},
            }
        };
        info.outcome()
    }

    /// Asks Incus to cancel. That it did shows in [`Operation::wait`].
    ///
    /// # Errors
    /// When the operation cannot be cancelled, or no longer exists.
    pub async fn cancel(&self) -> Result<()> {
        let call = Call::new(Method::DELETE, &self.path(&[])?);
        self.client.transport.call::<Value>(call).await?;
        Ok(())
    }

    fn path(&self, more: &[&str]) -> Result<ApiPath> {
        ApiPath::new(&[&["operations", self.id()], more].concat())
    }

    /// The operation after its end, however it ended.
    pub(crate) async fn ended(&self) -> Result<OperationInfo> {
        if self.info.status_code.is_final() {
            return Ok(self.info.clone());
        }
        let mut call = Call::new(Method::GET, &self.path(&["wait"])?);
        call.time = None;
        let protocol = call.protocol("the wait ended before the operation did");
        match self.client.transport.call::<OperationInfo>(call).await {
            Ok(info) if info.value.status_code.is_final() => Ok(info.value),
            Ok(_) => Err(protocol),
            Err(Error::Api { status: 404, .. }) => Err(Error::OperationGone {
                operation: self.info.id.clone(),
            }),
            Err(error) => Err(error),
        }
    }

    /// Tells of progress for as long as it is polled.
    async fn watch(&self, on_progress: &mut impl FnMut(Progress)) -> Infallible {
        let mut steps = Steps {
            last: None,
            on_progress,
        };
        steps.see(&self.info);
        let filter = EventFilter::all_projects([EventType::Operation]);
        match self.client.events(filter).await {
            Err(error) => tracing::debug!(%error, "no events; asking for progress instead"),
            Ok(mut events) => {
                // What happened before the subscription took effect is in the operation itself.
                if let Ok(info) = self.look().await {
                    steps.see(&info);
                }
                while let Some(Ok(event)) = events.next().await {
                    match event {
                        Event::Operation { operation, .. } if operation.id == self.info.id => {
                            steps.see(&operation)
                        }
                        _ => {}
                    }
                }
            }
        }
        loop {
            tokio::time::sleep(POLL_EVERY).await;
            if let Ok(info) = self.look().await {
                steps.see(&info);
            }
        }
    }

    async fn look(&self) -> Result<OperationInfo> {
        Ok(self.client.transport.get(&self.path(&[])?).await?.value)
    }
}

/// Passes on progress that differs from the last.
struct Steps<'a, F> {
    last: Option<Progress>,
    on_progress: &'a mut F,
}

impl<F: FnMut(Progress)> Steps<'_, F> {
    fn see(&mut self, info: &OperationInfo) {
        let progress = info.progress();
        if progress.is_some() && progress != self.last {
            self.last.clone_from(&progress);
            if let Some(progress) = progress {
                (self.on_progress)(progress);
            }
        }
    }
}

impl Client {
    /// A handle on an operation that is known by its id.
    ///
    /// # Errors
    /// When Incus does not know it (any more).
    pub async fn operation(&self, id: &str) -> Result<Operation> {
        let info = self
            .transport
            .get(&ApiPath::new(&["operations", id])?)
            .await?
            .value;
        Ok(Operation {
            client: self.clone(),
            info,
        })
    }

    /// Sends a request that Incus answers with an operation.
    pub(crate) async fn start(&self, call: Call) -> Result<Operation> {
        let mut reply = self.transport.send(call).await?;
        let envelope = reply.envelope().await?;
        if envelope.kind != "async" && reply.status != HttpStatus::ACCEPTED {
            return Err(reply.protocol("an operation was expected"));
        }
        let info: OperationInfo = crate::types::decode(envelope.metadata)
            .map_err(|error| reply.protocol(error.to_string()))?;
        if info.id.is_empty() {
            return Err(reply.protocol("the operation has no id"));
        }
        Ok(Operation {
            client: self.clone(),
            info,
        })
    }

    /// Sends a request whose answer holds nothing, and waits should Incus make an operation of it: some calls are
    /// synchronous in one version and not in another.
    pub(crate) async fn done(&self, call: Call) -> Result<()> {
        let mut reply = self.transport.send(call).await?;
        let envelope = reply.envelope().await?;
        if envelope.kind == "async" {
            let info: OperationInfo = crate::types::decode(envelope.metadata)
                .map_err(|error| reply.protocol(error.to_string()))?;
            Operation {
                client: self.clone(),
                info,
            }
            .wait()
            .await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(code: StatusCode) -> OperationInfo {
        OperationInfo {
            id: "7".into(),
            description: "Creating instance".into(),
            status: "Failure".into(),
            status_code: code,
            err: "no luck".into(),
            ..OperationInfo::default()
        }
    }

    #[test]
    fn outcomes() {
        assert!(ended(StatusCode::SUCCESS).outcome().is_ok());
        assert!(matches!(
            ended(StatusCode::CANCELLED).outcome(),
            Err(Error::Cancelled { .. })
        ));
        let error = ended(StatusCode::FAILURE).outcome().unwrap_err();
        assert_eq!(
            error.to_string(),
            "Creating instance failed in Incus: no luck"
        );
    }

    #[test]
    fn steps_are_told_once() {
        let mut seen = Vec::new();
        let mut on_progress = |progress: Progress| seen.push(progress.percent);
        let mut steps = Steps {
            last: None,
            on_progress: &mut on_progress,
        };
        for text in ["rootfs: 1%", "rootfs: 1%", "rootfs: 2%"] {
            let mut info = ended(StatusCode::RUNNING);
            steps.see(&info);
            info.metadata
                .insert("download_progress".into(), text.into());
            steps.see(&info);
        }
        assert_eq!(seen, [Some(1), Some(2)]);
    }
}
