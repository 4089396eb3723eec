// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Which containers are served: the user's own that run and are to offer their ports, as the daemon
//! tells and as long as it does.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use futures_util::StreamExt as _;
use kapsule_core::container::ContainerSummary;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use zbus::fdo::DBusProxy;
use zbus::{Connection, MatchRule, MessageStream, message};

use crate::inside::{self, Common, Parting};
use crate::offers::Offers;
use crate::report::Report;

/// How long a call may take: the daemon, or Incus, may have to be started.
const CALL_LIMIT: Duration = Duration::from_secs(90);
/// When to ask again where the daemon did not answer.
const RETRY: Duration = Duration::from_secs(30);
/// How long a container is left out that does what it must not.
const PENALTY: Duration = Duration::from_secs(60);
/// What comes within this time is one change.
const SETTLE: Duration = Duration::from_millis(50);

/// Containers and what serves them.
type Served = HashMap<String, JoinHandle<()>>;

/// Serves for ever.
///
/// # Errors
/// When the bus is not there, or closes the connection.
pub(crate) async fn serve() -> zbus::Result<()> {
    let bus = zbus::connection::Builder::system()
        .method_timeout(CALL_LIMIT)
        .build()
        .await?;
    let mut changes = futures_util::stream::select(
        changes(&bus, "org.kde.kapsule.Manager", "ContainersChanged").await?,
        // Of those that something else than the daemon has started.
        changes(&bus, "org.kde.kapsule.Containers1", "AgentChanged").await?,
    );
    let dbus = DBusProxy::new(&bus).await?;
    let name = kapsule_dbus::BUS_NAME;
    let mut owners = dbus
        .receive_name_owner_changed_with_args(&[(0, name)])
        .await?;
    let (daemons, daemon) = watch::channel(0_u64);
    let (ended, mut ends) = mpsc::unbounded_channel();
    let common = Common {
        bus: bus.clone(),
        offers: Offers::default(),
        report: Report::new(std::env::var_os("RUNTIME_DIRECTORY").map(PathBuf::from)),
        daemon,
    };
    let served: Rc<RefCell<Served>> = Rc::default();
    let mut ask = true;
    loop {
        let mut answered = true;
        if std::mem::take(&mut ask) {
            match list(&bus).await {
                Ok(list) => adjust(&mut served.borrow_mut(), &list, &common, &ended),
                Err(error) => {
                    eprintln!("cannot ask which containers there are: {error}");
                    answered = false;
                }
            }
        }
        tokio::select! {
            change = changes.next() => {
                if change.is_none() {
                    return Err(zbus::Error::Failure("the message bus has closed the connection".into()));
                }
                tokio::time::sleep(SETTLE).await;
                ask = true;
            },
            Some(owner) = owners.next() => {
                // One that has just ended is asked again once it is back.
                if owner.args().is_ok_and(|args| args.new_owner().is_some()) {
                    is_of_this_version(&bus).await?;
                    daemons.send_modify(|run| *run += 1);
                    ask = true;
                }
            },
            Some(name) = ends.recv() => {
                let name: String = name;
                let mut served = served.borrow_mut();
                if served.get(&name).is_some_and(JoinHandle::is_finished) {
                    served.remove(&name);
                }
            },
            () = tokio::time::sleep(RETRY), if !answered => ask = true,
        }
    }
}

/// Begins to serve what is new, and ends what is no more.
fn adjust(
    served: &mut Served,
    list: &[ContainerSummary],
    common: &Common,
    ended: &mpsc::UnboundedSender<String>,
) {
    let wanted: Vec<&str> = list
        .iter()
        .filter(|container| container.is_running() && container.ports)
        .map(|container| container.name.as_str())
        .collect();
    served.retain(|name, task| {
        let stays = wanted.contains(&name.as_str());
        if !stays {
            task.abort();
        }
        stays
    });
    for name in wanted {
        if !served.contains_key(name) {
            let (own, common, ended) = (name.to_owned(), common.clone(), ended.clone());
            let task = tokio::task::spawn_local(async move {
                // Not at once again, whatever it does to be looked at.
                if inside::serve(own.clone(), common).await == Parting::Hostile {
                    tokio::time::sleep(PENALTY).await;
                }
                // Nobody is left to hear it when this program ends.
                let _ = ended.send(own);
            });
            served.insert(name.to_owned(), task);
        }
    }
}

/// What the daemon announces when something about containers has changed.
async fn changes(
    bus: &Connection,
    interface: &'static str,
    member: &'static str,
) -> zbus::Result<MessageStream> {
    let rule = MatchRule::builder()
        .msg_type(message::Type::Signal)
        .sender(kapsule_dbus::BUS_NAME)
        .path(kapsule_dbus::ROOT_PATH)
        .interface(interface)
        .member(member)
        .build()?;
    MessageStream::for_match_rule(rule, bus, None).await
}

async fn list(bus: &Connection) -> Result<Vec<ContainerSummary>, String> {
    // Not with the flag that has people asked for a password.
    let reply = bus
        .call_method(
            Some(kapsule_dbus::BUS_NAME),
            kapsule_dbus::ROOT_PATH,
            Some("org.kde.kapsule.Containers1"),
            "List",
            &(),
        )
        .await
        .map_err(|error| error.to_string())?;
    let body = reply.body();
    let json: &str = body.deserialize().map_err(|error| error.to_string())?;
    serde_json::from_str(json).map_err(|error| error.to_string())
}

/// After an update the daemon and the agents are of another version, and this program has to be, too:
/// systemd starts it anew when it fails.
async fn is_of_this_version(bus: &Connection) -> zbus::Result<()> {
    let reply = bus
        .call_method(
            Some(kapsule_dbus::BUS_NAME),
            kapsule_dbus::ROOT_PATH,
            Some("org.freedesktop.DBus.Properties"),
            "Get",
            &("org.kde.kapsule.Manager", "Version"),
        )
        .await;
    // One that does not answer is asked for containers next, and again.
    let Ok(reply) = reply else { return Ok(()) };
    let version: zbus::OwnedVariant = reply.body().deserialize()?;
    let version = String::try_from(version)?;
    if version == kapsule_core::VERSION {
        return Ok(());
    }
    Err(zbus::Error::Failure(format!(
        "the service is now of version {}, this is {}",
        version.escape_debug(),
        kapsule_core::VERSION
    )))
}
