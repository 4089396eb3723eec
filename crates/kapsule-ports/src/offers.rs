// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Who has which port of the host's localhost. First come, first served: between the user's containers,
//! and between them and everything else on the host.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use kapsule_core::ports::{ContainerPorts, LOWEST, LeftOut, Reason};
use rustix::io::Errno;
use rustix::net::sockopt::{set_ipv6_v6only, set_socket_reuseaddr};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, ipproto, listen, socket_with};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;

/// Multicast name resolution (LLMNR), which each machine answers for itself.
const NEVER: &[u16] = &[5355];
/// How many connections may wait to be accepted.
const BACKLOG: i32 = 128;
/// Pause where one cannot be accepted, as for want of descriptors.
const PAUSE: Duration = Duration::from_millis(200);

/// A connection that somebody on the host has made.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// The port.
    pub(crate) port: u16,
    /// The connection.
    pub(crate) socket: OwnedFd,
    /// Its place among the container's connections.
    pub(crate) place: OwnedSemaphorePermit,
}

/// All ports that are offered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Offers {
    taken: Rc<RefCell<BTreeMap<u16, Offer>>>,
}

#[derive(Debug)]
struct Offer {
    container: String,
    /// Take connections; the sockets that listen are theirs.
    accepting: Vec<JoinHandle<()>>,
}

impl Drop for Offer {
    fn drop(&mut self) {
        self.accepting.iter().for_each(JoinHandle::abort);
    }
}

/// Where a container's connections go to.
#[derive(Clone, Debug)]
pub(crate) struct Reception {
    /// Takes them.
    pub(crate) arrivals: mpsc::UnboundedSender<Arrival>,
    /// As many as there may be at once: none is accepted without a place.
    pub(crate) places: Arc<Semaphore>,
}

impl Offers {
    /// Offers exactly these ports of a container, as far as that is possible, and says what became of
    /// each.
    pub(crate) fn set(
        &self,
        container: &str,
        wanted: &[u16],
        reception: &Reception,
    ) -> ContainerPorts {
        let mut taken = self.taken.borrow_mut();
        taken.retain(|port, offer| offer.container != container || wanted.contains(port));
        let mut ports = ContainerPorts::default();
        for port in wanted.iter().copied().filter(|it| !NEVER.contains(it)) {
            let mut leave_out = |reason, other: Option<&str>| {
                ports.left_out.push(LeftOut {
                    port,
                    reason,
                    container: other.map(str::to_owned),
                });
            };
            match taken.get(&port) {
                Some(offer) if offer.container == container => ports.offered.push(port),
                Some(offer) => leave_out(Reason::Container, Some(&offer.container)),
                None if port < LOWEST => leave_out(Reason::Low, None),
                None => match listen_on(port) {
                    Ok(sockets) => {
                        let accept = |socket| {
                            tokio::task::spawn_local(accept_all(socket, port, reception.clone()))
                        };
                        let offer = Offer {
                            container: container.to_owned(),
                            accepting: sockets.into_iter().map(accept).collect(),
                        };
                        taken.insert(port, offer);
                        ports.offered.push(port);
                    }
                    Err(_) => leave_out(Reason::Host, None),
                },
            }
        }
        ports
    }

    /// Offers nothing more of a container.
    pub(crate) fn withdraw(&self, container: &str) {
        let mut taken = self.taken.borrow_mut();
        taken.retain(|_, offer| offer.container != container);
    }
}

/// Listens on both loopback addresses, or on one where the host has no other.
fn listen_on(port: u16) -> io::Result<Vec<TcpListener>> {
    let addresses = [
        SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        SocketAddr::from((Ipv6Addr::LOCALHOST, port)),
    ];
    let mut listeners = Vec::new();
    for address in addresses {
        match listen_at(address) {
            Ok(socket) => {
                let socket = std::net::TcpListener::from(socket);
                listeners.push(TcpListener::from_std(socket)?);
            }
            Err(Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT) => {}
            // One of the two is not enough: programs try both, in an order of their own.
            Err(errno) => return Err(errno.into()),
        }
    }
    if listeners.is_empty() {
        return Err(io::ErrorKind::AddrNotAvailable.into());
    }
    Ok(listeners)
}

fn listen_at(address: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
    // Connections of before that have not quite ended are no reason not to listen.
    set_socket_reuseaddr(&socket, true)?;
    if family == AddressFamily::INET6 {
        set_ipv6_v6only(&socket, true)?;
    }
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(socket)
}

async fn accept_all(listener: TcpListener, port: u16, reception: Reception) {
    loop {
        let Ok(place) = Arc::clone(&reception.places).acquire_owned().await else {
            return;
        };
        let socket = match listener.accept().await {
            Ok((stream, _)) => stream.into_std().map(OwnedFd::from),
            Err(error) => Err(error),
        };
        match socket {
            Ok(socket) => {
                let arrival = Arrival {
                    port,
                    socket,
                    place,
                };
                if reception.arrivals.send(arrival).is_err() {
                    return;
                }
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_this_thread<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, work)
    }

    fn reception() -> (Reception, mpsc::UnboundedReceiver<Arrival>) {
        let (arrivals, receiver) = mpsc::unbounded_channel();
        let places = Arc::new(Semaphore::new(4));
        (Reception { arrivals, places }, receiver)
    }

    fn reasons(ports: &ContainerPorts) -> Vec<(u16, Reason)> {
        ports
            .left_out
            .iter()
            .map(|it| (it.port, it.reason))
            .collect()
    }

    #[test]
    fn first_come_first_served() {
        on_this_thread(async {
            // A port that the host has, and one that it had a moment ago.
            let host = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let taken = host.local_addr().unwrap().port();
            let free = std::net::TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap()
                .port();
            let offers = Offers::default();
            let (reception, mut arrivals) = reception();
            let ports = offers.set("dev", &[80, taken, free, 5355], &reception);
            assert_eq!(ports.offered, [free]);
            assert_eq!(reasons(&ports), [(80, Reason::Low), (taken, Reason::Host)]);

            let other = offers.set("web", &[free], &reception);
            assert_eq!(reasons(&other), [(free, Reason::Container)]);
            assert_eq!(other.left_out[0].container.as_deref(), Some("dev"));

            let client = std::net::TcpStream::connect(("127.0.0.1", free)).unwrap();
            assert_eq!(arrivals.recv().await.unwrap().port, free);
            drop(client);

            // Once it is free, it is whose who asks next, with what has not quite ended on it.
            assert!(offers.set("dev", &[], &reception).is_empty());
            tokio::task::yield_now().await;
            drop(host);
            let other = offers.set("web", &[taken, free], &reception);
            assert_eq!(other.offered, [taken, free]);
            offers.withdraw("web");
            tokio::task::yield_now().await;
            assert!(std::net::TcpStream::connect(("127.0.0.1", free)).is_err());
        });
    }
}
