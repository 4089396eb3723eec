// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! Running commands in an instance.
//!
//! Each stream is a websocket. Incus marks the end of a stream with an empty text message and expects the same for
//! the command's input. It kills the command when the control socket closes early, so dropping an [`Exec`], or the
//! future of [`Project::exec_collect`], ends the command.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use hyper::Method;
use serde::Serialize;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use crate::error::chain;
use crate::path::ApiPath;
use crate::transport::Call;
use crate::websocket::{WebSocket, is_end};
use crate::{Error, Operation, OperationInfo, Project, Result};

/// How much input goes into one message.
const CHUNK: usize = 64 * 1024;

/// A command to run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ExecPost {
    /// The program and its arguments. No shell is involved.
    pub command: Vec<String>,
    /// Environment variables to add.
    pub environment: BTreeMap<String, String>,
    /// The user id to run as; root if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<u32>,
    /// The group id to run as; root if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<u32>,
    /// The directory to run in; root's home if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Whether to give it a terminal.
    pub interactive: bool,
    /// Columns of the terminal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Rows of the terminal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
}

impl ExecPost {
    /// A command without a terminal, run as root.
    pub fn new(command: impl IntoIterator<Item = impl Into<String>>) -> ExecPost {
        ExecPost {
            command: command.into_iter().map(Into::into).collect(),
            ..ExecPost::default()
        }
    }
}

/// A running command. Dropping it kills the command.
#[derive(Debug)]
pub struct Exec {
    /// The operation that ends with the command.
    pub operation: Operation,
    /// The command's input.
    pub stdin: ExecInput,
    /// The command's output; all of it when there is a terminal.
    pub stdout: ExecStream,
    /// The command's error output, unless there is a terminal.
    pub stderr: Option<ExecStream>,
    /// Signals and terminal size. The command is killed when this is dropped.
    pub control: ExecControl,
}

/// The input of a command.
#[derive(Debug)]
pub struct ExecInput(SplitSink<WebSocket, Message>);

/// An output of a command.
#[derive(Debug)]
pub struct ExecStream(SplitStream<WebSocket>);

/// Signals and terminal size of a command.
#[derive(Debug)]
pub struct ExecControl(WebSocket);

/// What [`Project::exec_collect`] may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExecLimits {
    /// Bytes of output to keep; the rest is read and forgotten.
    pub stdout: usize,
    /// Bytes of error output to keep; the rest is read and forgotten.
    pub stderr: usize,
    /// How long the command may run, `None` for as long as it takes.
    pub time: Option<Duration>,
}

impl Default for ExecLimits {
    /// One megabyte each, one minute.
    fn default() -> ExecLimits {
        ExecLimits {
            stdout: 1 << 20,
            stderr: 1 << 20,
            time: Some(Duration::from_secs(60)),
        }
    }
}

/// What a command left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecOutput {
    /// The exit status, 128 and the signal's number if one ended it, 127 or 126 if it could not be run.
    pub status: i32,
    /// Its output.
    pub stdout: Vec<u8>,
    /// Its error output.
    pub stderr: Vec<u8>,
    /// Whether there was more of either than was to be kept.
    pub truncated: bool,
}

impl Project {
    /// Starts a command in a running instance.
    ///
    /// # Errors
    /// When the instance does not exist or does not run. That the program does not exist shows in its exit status.
    pub async fn exec(&self, instance: &str, post: &ExecPost) -> Result<Exec> {
        let call = Call::new(Method::POST, &self.path(&["instances", instance, "exec"])?);
        let mut body =
            serde_json::to_value(post).map_err(|error| call.protocol(error.to_string()))?;
        body["wait-for-websocket"] = true.into();
        let operation = self.client.start(call.json(&body)?).await?;
        // The command starts when all but the control socket are there, so that one comes first.
        let control = ExecControl(self.exec_socket(&operation, "control").await?);
        let (stdin, stdout) = self.exec_socket(&operation, "0").await?.split();
        let (stdout, stderr) = if post.interactive {
            (stdout, None)
        } else {
            let stdout = self.exec_socket(&operation, "1").await?.split().1;
            let stderr = self.exec_socket(&operation, "2").await?.split().1;
            (stdout, Some(ExecStream(stderr)))
        };
        Ok(Exec {
            operation,
            stdin: ExecInput(stdin),
            stdout: ExecStream(stdout),
            stderr,
            control,
        })
    }

    /// Runs a command without a terminal, with `stdin` as its input, and keeps what it wrote.
    ///
    /// # Errors
    /// As [`Project::exec`]; [`Error::ExecTimeout`] when it took too long and was killed.
    pub async fn exec_collect(
        &self,
        instance: &str,
        post: &ExecPost,
        stdin: impl Into<Bytes>,
        limits: ExecLimits,
    ) -> Result<ExecOutput> {
        let post = ExecPost {
            interactive: false,
            ..post.clone()
        };
        let run = self.run_and_collect(instance, &post, stdin.into(), limits);
        match limits.time {
            None => run.await,
            Some(after) => tokio::time::timeout(after, run).await.unwrap_or_else(|_| {
                Err(Error::ExecTimeout {
                    command: post.command.first().cloned().unwrap_or_default(),
                    after,
                })
            }),
        }
    }

    async fn run_and_collect(
        &self,
        instance: &str,
        post: &ExecPost,
        stdin: Bytes,
        limits: ExecLimits,
    ) -> Result<ExecOutput> {
        let Exec {
            operation,
            stdin: mut input,
            stdout,
            stderr,
            control,
        } = self.exec(instance, post).await?;
        let outputs = async {
            tokio::try_join!(stdout.collect(limits.stdout), async {
                match stderr {
                    Some(stderr) => stderr.collect(limits.stderr).await,
                    None => Ok((Vec::new(), false)),
                }
            })
        };
        let feed = async {
            for chunk in 0..stdin.len().div_ceil(CHUNK) {
                let start = chunk * CHUNK;
                input
                    .write(stdin.slice(start..stdin.len().min(start + CHUNK)))
                    .await?;
            }
            input.close().await
        };
        let mut outputs = std::pin::pin!(outputs);
        // A command may end without reading its input, and then nobody takes it.
        let ((stdout, more_out), (stderr, more_err)) = tokio::select! {
            biased;
            outputs = &mut outputs => outputs?,
            fed = feed => {
                fed?;
                outputs.await?
            }
        };
        let status = exit_status(operation.ended().await?)?;
        drop((input, control));
        Ok(ExecOutput {
            status,
            stdout,
            stderr,
            truncated: more_out || more_err,
        })
    }

    async fn exec_socket(&self, operation: &Operation, stream: &str) -> Result<WebSocket> {
        let path = ApiPath::new(&["operations", operation.id(), "websocket"])?;
        let Some(secret) = operation
            .info()
            .metadata
            .get("fds")
            .and_then(|fds| fds.get(stream))
            .and_then(Value::as_str)
        else {
            return Err(Error::Protocol {
                method: "POST".to_owned(),
                path: path.to_string(),
                problem: format!("there is no secret for the websocket {stream}"),
            });
        };
        self.client
            .transport
            .websocket(&path.query("secret", secret))
            .await
    }
}

impl Exec {
    /// Waits for the command's end and returns its exit status, 128 and the signal's number if one ended it.
    ///
    /// Read the outputs first: Incus ends the operation only when they are read.
    ///
    /// # Errors
    /// When the command could not be run at all.
    pub async fn wait(self) -> Result<i32> {
        let Exec {
            operation,
            mut stdin,
            control,
            ..
        } = self;
        stdin.close().await?;
        let status = operation.ended().await.and_then(exit_status);
        drop(control);
        status
    }
}

/// The exit status an exec operation ended with. A program that is not there makes the operation fail, and still has
/// its status, 127, in the metadata; -1 stands for a command that could not be started.
fn exit_status(ended: OperationInfo) -> Result<i32> {
    let status = ended
        .metadata
        .get("return")
        .and_then(Value::as_i64)
        .and_then(|status| i32::try_from(status).ok());
    match status {
        Some(status) if status >= 0 => Ok(status),
        _ => {
            let info = ended.outcome()?;
            Err(Error::OperationFailed {
                operation: info.id,
                description: info.description,
                code: info.status_code.0,
                message: "Incus told no exit status".to_owned(),
            })
        }
    }
}

impl ExecInput {
    /// Writes input.
    ///
    /// # Errors
    /// When the connection breaks. That the command has ended is no error.
    pub async fn write(&mut self, bytes: impl Into<Bytes>) -> Result<()> {
        ignore_end(self.0.send(Message::Binary(bytes.into())).await)
    }

    /// Tells the command that there is no more input.
    ///
    /// # Errors
    /// When the connection breaks. That the command has ended is no error.
    pub async fn close(&mut self) -> Result<()> {
        ignore_end(self.0.send(Message::Text(String::new().into())).await)
    }
}

impl ExecStream {
    /// The next piece of output; `None` at its end. Safe to cancel.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn next(&mut self) -> Option<Result<Bytes>> {
        loop {
            match self.0.next().await? {
                Ok(Message::Binary(bytes)) => return Some(Ok(bytes)),
                Ok(Message::Text(_) | Message::Close(_)) => return None,
                Ok(_) => {}
                Err(error) if is_end(&error) => return None,
                Err(error) => return Some(Err(broken(&error))),
            }
        }
    }

    /// The first `limit` bytes, and whether there were more.
    async fn collect(mut self, limit: usize) -> Result<(Vec<u8>, bool)> {
        let mut kept = Vec::new();
        let mut more = false;
        while let Some(bytes) = self.next().await {
            let bytes = bytes?;
            let room = limit - kept.len();
            more |= bytes.len() > room;
            kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
        Ok((kept, more))
    }
}

impl ExecControl {
    /// Sends a signal to the command.
    ///
    /// # Errors
    /// When the connection breaks. That the command has ended is no error.
    pub async fn signal(&mut self, signal: i32) -> Result<()> {
        self.send(&json!({"command": "signal", "signal": signal}))
            .await
    }

    /// Tells the command's terminal its size.
    ///
    /// # Errors
    /// When the connection breaks. That the command has ended is no error.
    pub async fn resize(&mut self, width: u16, height: u16) -> Result<()> {
        let args = json!({"width": width.to_string(), "height": height.to_string()});
        self.send(&json!({"command": "window-resize", "args": args}))
            .await
    }

    async fn send(&mut self, message: &Value) -> Result<()> {
        ignore_end(self.0.send(Message::Text(message.to_string().into())).await)
    }
}

fn ignore_end(result: std::result::Result<(), WsError>) -> Result<()> {
    match result {
        Err(error) if !is_end(&error) => Err(broken(&error)),
        _ => Ok(()),
    }
}

fn broken(error: &WsError) -> Error {
    Error::Transport {
        method: "GET".to_owned(),
        path: "the stream of a command".to_owned(),
        cause: chain(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn posts_leave_out_what_is_not_given() {
        let post = ExecPost::new(["true"]);
        assert_eq!(
            serde_json::to_value(&post).unwrap(),
            json!({"command": ["true"], "environment": {}, "interactive": false})
        );
    }

    #[test]
    fn exit_statuses() {
        let mut info = OperationInfo {
            status_code: crate::StatusCode::FAILURE,
            ..OperationInfo::default()
        };
        assert!(exit_status(info.clone()).is_err());
        info.metadata.insert("return".into(), (-1).into());
        assert!(exit_status(info.clone()).is_err());
        info.metadata.insert("return".into(), 127.into());
        assert_eq!(exit_status(info).unwrap(), 127);
    }
}
