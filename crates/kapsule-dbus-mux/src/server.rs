// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The socket that clients connect to.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tracing::{debug, warn};

use crate::client::{self, Buses};

/// As many as a session bus takes by default (`max_connections_per_user`).
const MAX_CLIENTS: usize = 256;
/// How long a client may take over saying who it is.
const PAUSE: Duration = Duration::from_millis(100);

/// How long nobody may be connected before a multiplexer that was started on demand ends.
const IDLE: Duration = Duration::from_secs(30);

/// Where clients connect.
#[derive(Debug)]
pub(crate) struct Socket {
    /// Where it was made, to be removed at the end. Nothing for one that somebody else has made: that
    /// one goes on listening when this program ends.
    path: Option<PathBuf>,
    listener: UnixListener,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Socket {
    /// Makes it. One that a killed process has left is replaced; anything else at that place is not.
    ///
    /// # Errors
    /// When something else is there, or somebody still listens.
    pub(crate) fn listen(path: &Path) -> anyhow::Result<Self> {
        match std::fs::symlink_metadata(path) {
            Ok(there) if there.file_type().is_socket() => {
                if std::os::unix::net::UnixStream::connect(path).is_ok() {
                    bail!("{}: somebody listens there already", path.display());
                }
                std::fs::remove_file(path).with_context(|| path.display().to_string())?;
            }
            Ok(_) => bail!("{}: there is something else than a socket", path.display()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        }
        let listener = UnixListener::bind(path).with_context(|| path.display().to_string())?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self {
            path: Some(path.to_owned()),
            listener,
        })
    }

    /// Takes over the one that is standard input.
    ///
    /// # Errors
    /// When that is no socket that listens.
    pub(crate) fn from_stdin() -> anyhow::Result<Self> {
        let no_listener = "standard input is not a socket that listens";
        let stdin = io::stdin();
        if !rustix::net::sockopt::socket_acceptconn(&stdin).context(no_listener)? {
            bail!(no_listener);
        }
        let own = rustix::io::fcntl_dupfd_cloexec(&stdin, 3)?;
        let listener = std::os::unix::net::UnixListener::from(own);
        listener.set_nonblocking(true)?;
        Ok(Self {
            path: None,
            listener: UnixListener::from_std(listener)?,
        })
    }

    /// Takes clients: for ever, or until there is none any more.
    pub(crate) async fn serve(&self, buses: Arc<Buses>) {
        let places = Arc::new(Semaphore::new(MAX_CLIENTS));
        loop {
            // Never closed.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            let accepted = tokio::time::timeout(IDLE, self.listener.accept()).await;
            let stream = match accepted {
                Err(_) => {
                    // One is ours.
                    let nobody = places.available_permits() + 1 == MAX_CLIENTS;
                    if self.path.is_none() && nobody {
                        return;
                    }
                    continue;
                }
                Ok(Ok((stream, _))) => stream,
                Ok(Err(error)) => {
                    warn!(%error, "cannot take a client");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let buses = Arc::clone(&buses);
            tokio::spawn(async move {
                if let Err(error) = take(stream, buses).await {
                    debug!(%error, "a client is gone");
                }
                drop(place);
            });
        }
    }
}

async fn take(stream: UnixStream, buses: Arc<Buses>) -> anyhow::Result<()> {
    // The socket's mode says so, too; this holds whatever became of it.
    let peer = stream.peer_cred()?.uid();
    let own = rustix::process::getuid().as_raw();
    if peer != own {
        bail!("user {peer} is not {own}");
    }
    client::serve(stream, buses).await?;
    Ok(())
}
