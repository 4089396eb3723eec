// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! A container's registration socket.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kapsule_proto::paths::AGENT_SOCKET_FILE;
use kapsule_proto::registration::{self, Context, Hello, MAX_PACKET, PROTOCOL_VERSION, ToAgent};
use tokio_seqpacket::{UnixSeqpacket, UnixSeqpacketListener};
use tracing::{debug, warn};

use super::registered::Registered;
use super::{News, SessionUser, Slot, Slots};
use crate::container_id::ContainerId;

/// How long an agent may take for its first packet.
const HELLO_LIMIT: Duration = Duration::from_secs(5);
/// Pause after a failed accept, so that a lack of descriptors does not turn into a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Makes the socket in the container's folder, in place of one that an earlier daemon left. Only
/// the owner may connect (and the host's root): no other user of the guest can register.
pub(super) fn bind(
    folder: &Path,
    owner: u32,
    group: Option<u32>,
) -> io::Result<UnixSeqpacketListener> {
    let directory = OpenOptions::new()
        .read(true)
        .custom_flags(O_DIRECTORY)
        .open(folder)?;
    // An address has at most 107 bytes; the folder of a long name alone can exceed that.
    let socket = PathBuf::from(format!(
        "/proc/self/fd/{}/{AGENT_SOCKET_FILE}",
        directory.as_raw_fd()
    ));
    match fs::remove_file(&socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixSeqpacketListener::bind(&socket)?;
    // The mode first: it takes no capability as long as the socket is our own.
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o600))?;
    // The group too: guest root's rights reach only files of which both numbers are known inside.
    chown(&socket, Some(owner), group)?;
    Ok(listener)
}

/// `O_DIRECTORY` for `OpenOptionsExt::custom_flags`.
const O_DIRECTORY: i32 = rustix::fs::OFlags::DIRECTORY.bits().cast_signed();

/// Takes registrations for ever. The newest one counts: an agent that was restarted may come back
/// before the end of the old one is noticed.
pub(super) async fn serve(
    id: ContainerId,
    owner: u32,
    mut listener: UnixSeqpacketListener,
    slots: Arc<Slots>,
    news: Arc<News>,
) {
    loop {
        match listener.accept().await {
            // One at a time: whoever floods the socket only delays the agents of their own container.
            Ok(socket) => match register(owner, &slots, socket).await {
                Ok((user, agent)) => {
                    debug!(container = %id, ?user, "agent registered");
                    let told =
                        (user == SessionUser::Owner).then(|| (Arc::clone(&news), id.clone()));
                    take(slots.of(user), Arc::new(agent), told);
                }
                Err(reason) => debug!(container = %id, reason, "registration refused"),
            },
            Err(error) => {
                warn!(container = %id, %error, "cannot accept an agent");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn register(
    owner: u32,
    slots: &Slots,
    socket: UnixSeqpacket,
) -> Result<(SessionUser, Registered), &'static str> {
    let peer = socket.peer_cred().map_err(|_| "no credentials")?;
    let user = slots
        .user(owner, peer.uid())
        .ok_or("neither the owner nor root")?;
    let context = match tokio::time::timeout(HELLO_LIMIT, hello(&socket)).await {
        Ok(context) => context?,
        Err(_) => return Err("said nothing"),
    };
    Ok((user, Registered::new(socket, context)))
}

async fn hello(socket: &UnixSeqpacket) -> Result<Context, &'static str> {
    let mut packet = [0; MAX_PACKET];
    let received = socket.recv(&mut packet).await.map_err(|_| "not readable")?;
    if received.truncated() {
        return Err("packet too long");
    }
    let bytes = packet
        .get(..received.bytes_read())
        .ok_or("packet too long")?;
    let hello: Hello = registration::decode(bytes).map_err(|_| "not a registration")?;
    let welcome = registration::encode(&ToAgent::Welcome {
        version: PROTOCOL_VERSION,
    })
    .map_err(|_| "no answer")?;
    socket.send(&welcome).await.map_err(|_| "gone")?;
    if hello.version != PROTOCOL_VERSION {
        // It restarts itself from its new binary once it has read the welcome.
        return Err("another protocol version");
    }
    Ok(hello.context)
}

/// Makes the agent the container's, until it is gone or replaced. A replaced one is dropped at
/// once, so that a guest cannot use up the daemon's descriptors by registering again and again.
fn take(slot: &Arc<Slot>, agent: Arc<Registered>, told: Option<(Arc<News>, ContainerId)>) {
    slot.send_replace(Some(Arc::clone(&agent)));
    let tell = move || {
        if let Some((news, id)) = &told {
            news.note(id);
        }
    };
    tell();
    let mut changes = slot.subscribe();
    let slot = Arc::downgrade(slot);
    tokio::spawn(async move {
        let is_mine = |current: &Option<Arc<Registered>>| {
            current
                .as_ref()
                .is_some_and(|current| Arc::ptr_eq(current, &agent))
        };
        tokio::select! {
            () = agent.gone() => {}
            _ = changes.wait_for(|current| !is_mine(current)) => return,
        }
        if let Some(slot) = slot.upgrade() {
            slot.send_if_modified(|current| {
                let mine = is_mine(current);
                if mine {
                    *current = None;
                }
                mine
            });
            tell();
        }
    });
}
