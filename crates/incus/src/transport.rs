// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! HTTP over the unix socket: one connection for each request, bounded in time and size.
//!
//! A connection of its own makes a dropped future mean exactly one closed connection, which is how Incus learns
//! that nobody waits any more. On a unix socket it costs some tens of microseconds.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, ETAG, HOST, HeaderMap, IF_MATCH};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::error::chain;
use crate::path::ApiPath;
use crate::types::decode;
use crate::{Error, Result, Versioned};

/// How long a connection may take. Only a server whose queue is full makes this wait at all.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// How long an ordinary answer may take: Incus formats disks within some of its synchronous calls, and may still
/// be starting up when its socket is already there.
const ANSWER_TIME: Duration = Duration::from_secs(120);

/// How large a JSON answer may be. A hundred instances with all their state are about one megabyte.
pub(crate) const JSON_LIMIT: usize = 64 << 20;

/// What an upload may fail with, besides the connection.
pub(crate) type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A request body, whole or streamed.
pub(crate) type Body = UnsyncBoxBody<Bytes, BodyError>;

/// One request before it is sent.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: ApiPath,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Body,
    /// How long the answer may take, `None` for as long as it takes.
    pub(crate) time: Option<Duration>,
}

impl Call {
    /// A request without a body.
    pub(crate) fn new(method: Method, path: &ApiPath) -> Call {
        Call {
            method,
            path: path.clone(),
            headers: Vec::new(),
            body: empty(),
            time: Some(ANSWER_TIME),
        }
    }

    /// The request with `value` as its JSON body.
    pub(crate) fn json(mut self, value: &impl Serialize) -> Result<Call> {
        let text = serde_json::to_vec(value)
            .map_err(|error| self.protocol(format!("request body: {error}")))?;
        self.body = whole(text);
        Ok(self.header(CONTENT_TYPE.as_str(), "application/json"))
    }

    /// The request with one more header.
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Call {
        self.headers.push((name, value.into()));
        self
    }

    /// The request made to fail if the thing is no longer what the ETag says. An empty ETag asks for nothing.
    pub(crate) fn if_match(self, etag: Option<&str>) -> Call {
        match etag {
            Some(etag) if !etag.is_empty() => self.header(IF_MATCH.as_str(), etag),
            _ => self,
        }
    }

    /// An answer to this request that is not understood.
    pub(crate) fn protocol(&self, problem: impl Into<String>) -> Error {
        Error::Protocol {
            method: self.method.to_string(),
            path: self.path.to_string(),
            problem: problem.into(),
        }
    }
}

/// No body.
pub(crate) fn empty() -> Body {
    Empty::new().map_err(never).boxed_unsync()
}

/// A body that is in memory.
pub(crate) fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(never).boxed_unsync()
}

fn never(error: Infallible) -> BodyError {
    match error {}
}

/// The task that moves a connection's bytes; the connection closes when this is dropped.
#[derive(Debug)]
struct ConnectionTask(JoinHandle<()>);

impl Drop for ConnectionTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The head of an answer, its body still to be read.
#[derive(Debug)]
pub(crate) struct Reply {
    method: Method,
    path: ApiPath,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    body: Incoming,
    until: Option<Instant>,
    _connection: ConnectionTask,
}

/// What Incus wraps every JSON answer in.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Envelope {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) error: String,
    pub(crate) error_code: i64,
    pub(crate) metadata: Value,
}

impl Reply {
    /// A header as text, empty when it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The whole body, which may have at most `limit` bytes.
    pub(crate) async fn bytes(&mut self, limit: usize) -> Result<Vec<u8>> {
        match self.until {
            None => self.collect(limit).await,
            Some(until) => match tokio::time::timeout_at(until, self.collect(limit)).await {
                Ok(result) => result,
                Err(_) => Err(self.timed_out()),
            },
        }
    }

    async fn collect(&mut self, limit: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|error| Error::Transport {
                method: self.method.to_string(),
                path: self.path.to_string(),
                cause: chain(&error),
            })?;
            if let Some(data) = frame.data_ref() {
                if bytes.len() + data.len() > limit {
                    return Err(Error::TooLarge {
                        what: format!("the answer to {} {}", self.method, self.path),
                        limit,
                    });
                }
                bytes.extend_from_slice(data);
            }
        }
        Ok(bytes)
    }

    /// The envelope of a JSON answer, or the error it tells of.
    pub(crate) async fn envelope(&mut self) -> Result<Envelope> {
        let bytes = self.bytes(JSON_LIMIT).await?;
        let envelope: Envelope = match serde_json::from_slice(&bytes) {
            Ok(envelope) => envelope,
            Err(_) if !self.status.is_success() => {
                return Err(self.refused(
                    self.status.as_u16().into(),
                    &String::from_utf8_lossy(&bytes),
                ));
            }
            Err(error) => return Err(self.protocol(error.to_string())),
        };
        if envelope.kind == "error" || !self.status.is_success() {
            return Err(self.refused(envelope.error_code, &envelope.error));
        }
        Ok(envelope)
    }

    /// An answer that is not understood.
    pub(crate) fn protocol(&self, problem: impl Into<String>) -> Error {
        Error::Protocol {
            method: self.method.to_string(),
            path: self.path.to_string(),
            problem: problem.into(),
        }
    }

    fn refused(&self, code: i64, message: &str) -> Error {
        // A streamed answer carries status 200 and tells of its failure only in the envelope.
        let status = match u16::try_from(code) {
            Ok(code) if self.status.is_success() => code,
            _ => self.status.as_u16(),
        };
        api_error(&self.method, &self.path, status, code, message)
    }

    fn timed_out(&self) -> Error {
        Error::Timeout {
            method: self.method.to_string(),
            path: self.path.to_string(),
            after: ANSWER_TIME,
        }
    }
}

/// An error answer as an [`Error`].
pub(crate) fn api_error(
    method: &Method,
    path: &ApiPath,
    status: u16,
    code: i64,
    message: &str,
) -> Error {
    Error::Api {
        method: method.to_string(),
        path: path.to_string(),
        status,
        code,
        message: message.trim().to_owned(),
    }
}

/// Opens connections to one socket and speaks HTTP on them.
#[derive(Debug)]
pub(crate) struct Transport {
    socket: PathBuf,
}

impl Transport {
    pub(crate) fn new(socket: PathBuf) -> Transport {
        Transport { socket }
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// A connection to the socket.
    pub(crate) async fn connect(&self) -> Result<UnixStream> {
        let start = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            let source = match UnixStream::connect(&self.socket).await {
                Ok(stream) => return Ok(stream),
                Err(error) => error,
            };
            // A full queue of a listening unix socket shows as EAGAIN and cannot be waited for.
            let full = source.kind() == std::io::ErrorKind::WouldBlock;
            let source = if full && start.elapsed() >= CONNECT_TIME {
                std::io::ErrorKind::TimedOut.into()
            } else {
                source
            };
            if source.kind() != std::io::ErrorKind::WouldBlock {
                return Err(Error::Connect {
                    socket: self.socket.clone(),
                    source,
                });
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    }

    /// Sends a request and reads the head of its answer, whatever its status.
    pub(crate) async fn send(&self, call: Call) -> Result<Reply> {
        let Call {
            method,
            path,
            headers,
            body,
            time,
        } = call;
        let until = time.map(|time| Instant::now() + time);
        let transport = |error: hyper::Error| Error::Transport {
            method: method.to_string(),
            path: path.to_string(),
            cause: chain(&error),
        };
        let stream = self.connect().await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(transport)?;
        let connection = ConnectionTask(tokio::spawn(async move {
            // Its failure reaches the caller through the request or the body.
            let _ = connection.await;
        }));

        let mut request = Request::builder()
            .method(method.clone())
            .uri(path.as_str())
            .header(HOST, "incus");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(body).map_err(|error| Error::Protocol {
            method: method.to_string(),
            path: path.to_string(),
            problem: format!("the request cannot be written: {error}"),
        })?;
        tracing::trace!(%method, %path, "request");
        let answer = sender.send_request(request);
        let response = match time {
            None => answer.await,
            Some(time) => timeout(time, answer).await.map_err(|_| Error::Timeout {
                method: method.to_string(),
                path: path.to_string(),
                after: time,
            })?,
        }
        .map_err(transport)?;
        let (head, body) = response.into_parts();
        tracing::trace!(%method, %path, status = head.status.as_u16(), "answer");
        Ok(Reply {
            method,
            path,
            status: head.status,
            headers: head.headers,
            body,
            until,
            _connection: connection,
        })
    }

    /// Sends a request and reads its JSON answer.
    pub(crate) async fn call<T: DeserializeOwned>(&self, call: Call) -> Result<Versioned<T>> {
        let mut reply = self.send(call).await?;
        let envelope = reply.envelope().await?;
        let etag = reply.header(ETAG.as_str()).to_owned();
        let value = decode(envelope.metadata).map_err(|error| reply.protocol(error.to_string()))?;
        Ok(Versioned { value, etag })
    }

    /// `GET`.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &ApiPath) -> Result<Versioned<T>> {
        self.call(Call::new(Method::GET, path)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_socket_is_unreachable_and_says_what_to_do() {
        let error = Transport::new("/nonexistent/incus.socket".into())
            .get::<Value>(&ApiPath::root())
            .await
            .unwrap_err();
        assert!(error.is_unreachable());
        assert!(
            error.to_string().contains("/nonexistent/incus.socket"),
            "{error}"
        );
    }
}
