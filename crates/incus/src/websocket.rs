// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! Websockets over the unix socket.

use hyper::Method;
use tokio::net::UnixStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::error::chain;
use crate::path::ApiPath;
use crate::transport::{Envelope, Transport, api_error};
use crate::{Error, Result};

/// A websocket to Incus.
pub(crate) type WebSocket = WebSocketStream<UnixStream>;

/// How large one message may be. The largest are events that carry an operation.
const MESSAGE_LIMIT: usize = 16 << 20;

/// How long an upgrade may take.
const UPGRADE_TIME: std::time::Duration = std::time::Duration::from_secs(30);

impl Transport {
    /// Opens a websocket.
    pub(crate) async fn websocket(&self, path: &ApiPath) -> Result<WebSocket> {
        let stream = self.connect().await?;
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_LIMIT))
            .max_frame_size(Some(MESSAGE_LIMIT));
        let upgrade = tokio_tungstenite::client_async_with_config(
            format!("ws://incus{path}"),
            stream,
            Some(config),
        );
        match tokio::time::timeout(UPGRADE_TIME, upgrade).await {
            Ok(Ok((socket, _))) => Ok(socket),
            Ok(Err(error)) => Err(refused(path, error)),
            Err(_) => Err(Error::Timeout {
                method: "GET".to_owned(),
                path: path.to_string(),
                after: UPGRADE_TIME,
            }),
        }
    }
}

fn refused(path: &ApiPath, error: WsError) -> Error {
    let WsError::Http(answer) = error else {
        return Error::Transport {
            method: "GET".to_owned(),
            path: path.to_string(),
            cause: chain(&error),
        };
    };
    let status = answer.status().as_u16();
    let text = answer.body().as_deref().unwrap_or_default();
    let envelope: Envelope = serde_json::from_slice(text).unwrap_or_default();
    let message = match envelope.error.as_str() {
        "" => answer.status().to_string(),
        message => message.to_owned(),
    };
    api_error(&Method::GET, path, status, envelope.error_code, &message)
}

/// Incus often ends a websocket by closing the connection under it.
pub(crate) fn is_end(error: &WsError) -> bool {
    match error {
        WsError::ConnectionClosed
        | WsError::AlreadyClosed
        | WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => true,
        WsError::Io(error) => {
            matches!(
                error.kind(),
                std::io::ErrorKind::BrokenPipe | std::io::ErrorKind::ConnectionReset
            )
        }
        _ => false,
    }
}
