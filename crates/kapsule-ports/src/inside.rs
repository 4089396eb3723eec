// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! One container: its session, its ports and the connections to them.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use kapsule_core::ports::{ContainerPorts, Reason};
use kapsule_proto::ports::{FromInside, MAX_PORTS, ToInside};
use kapsule_proto::session::{ChannelError, FromAgent};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use zbus::Connection;

use crate::offers::{Arrival, Offers, Reception};
use crate::opening::{self, Failure, Session};
use crate::relay::{is_connection, relay, reset};
use crate::report::Report;

/// Most connections of one container at once.
const MAX_CONNECTIONS: usize = 256;
/// How long the inside may take for one.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How soon after a change the next one counts: nobody inside makes the host listen and stop
/// listening faster than this.
const CHANGE_PAUSE: Duration = Duration::from_millis(200);
/// Most lists of ports within [`TICK`]; the agent has no more than three.
const MAX_LISTS: u32 = 50;
/// How often is looked for what takes too long, and for ports that have become free.
const TICK: Duration = Duration::from_secs(1);
/// How often a session is opened anew when none lasts, and how long that has to.
const TRIES: u32 = 8;
const SOUND: Duration = Duration::from_secs(20);
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// What all containers share.
#[derive(Clone, Debug)]
pub(crate) struct Common {
    pub(crate) bus: Connection,
    pub(crate) offers: Offers,
    pub(crate) report: Report,
    /// Changes with each new run of the daemon. Then sessions are opened anew, as one that stays
    /// would keep an agent that is too old for this daemon from making room for a new one.
    pub(crate) daemon: watch::Receiver<u64>,
}

/// Why a container is served no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parting {
    /// It has stopped, or cannot be served now.
    Ended,
    /// It does what it must not.
    Hostile,
}

/// Why a session is over.
enum End {
    /// The inside, or the session, ended.
    Ended,
    /// There is a new daemon.
    Renew,
    /// The inside does what it must not.
    Hostile(&'static str),
}

/// Serves a container until it stops, or nothing can be done for it.
pub(crate) async fn serve(name: String, mut common: Common) -> Parting {
    // Withdrawn also when this is given up from outside.
    let mut guest = Guest::new(name, common.offers.clone(), common.report.clone());
    let mut failures = 0;
    while failures < TRIES {
        common.daemon.mark_unchanged();
        let begun = Instant::now();
        match opening::open(&common.bus, &guest.name).await {
            Ok(session) => {
                let end = guest.attend(session, &mut common.daemon).await;
                guest.forget_waiting();
                match end {
                    End::Renew => continue,
                    End::Ended => {}
                    End::Hostile(what) => {
                        eprintln!("{}: {what}; its ports are left out for a while", guest.name);
                        return Parting::Hostile;
                    }
                }
            }
            Err(failure) if failure.is_final() => return Parting::Ended,
            Err(failure) => report_failure(&guest.name, &failure),
        }
        guest.withdraw();
        failures = if begun.elapsed() > SOUND {
            0
        } else {
            failures + 1
        };
        sleep(FIRST_PAUSE * 2_u32.pow(failures)).await;
    }
    Parting::Ended
}

fn report_failure(name: &str, failure: &Failure) {
    // What an agent or a daemon says may hold anything.
    let text: String = failure.to_string().escape_debug().take(500).collect();
    eprintln!("{name}: {text}");
}

/// A container as it is served.
struct Guest {
    name: String,
    offers: Offers,
    report: Report,
    reception: Reception,
    arrivals: mpsc::UnboundedReceiver<Arrival>,
    /// Connections that the inside was asked for.
    waiting: HashMap<u32, (Arrival, Instant)>,
    last_id: u32,
    /// What listens inside, and how many more.
    listening: (Vec<u16>, u32),
    told: ContainerPorts,
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.withdraw();
    }
}

impl Guest {
    fn new(name: String, offers: Offers, report: Report) -> Self {
        let (sender, arrivals) = mpsc::unbounded_channel();
        Self {
            name,
            offers,
            report,
            reception: Reception {
                arrivals: sender,
                places: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            },
            arrivals,
            waiting: HashMap::new(),
            last_id: 0,
            listening: (Vec::new(), 0),
            told: ContainerPorts::default(),
        }
    }

    fn withdraw(&mut self) {
        self.listening = (Vec::new(), 0);
        self.offers.withdraw(&self.name);
        self.told = ContainerPorts::default();
        self.report.tell(&self.name, self.told.clone());
        self.forget_waiting();
    }

    /// Those that wait for the inside wait in vain.
    fn forget_waiting(&mut self) {
        for (arrival, _) in self.waiting.drain().map(|(_, waiting)| waiting) {
            reset(&arrival.socket);
        }
    }

    async fn attend(&mut self, session: Session, daemon: &mut watch::Receiver<u64>) -> End {
        let Session {
            session: mut agent,
            mut inside,
        } = session;
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut lists = 0;
        // A list that has come and does not count yet.
        let mut change: Option<Instant> = None;
        let mut changed_at = Instant::now() - CHANGE_PAUSE;
        loop {
            tokio::select! {
                received = inside.receive::<FromInside>() => match received {
                    Ok(Some((message, descriptors))) => {
                        if let FromInside::Listening { .. } = message {
                            lists += 1;
                            change = change.or(Some(changed_at + CHANGE_PAUSE));
                        }
                        if let Err(what) = self.take(message, descriptors) {
                            return End::Hostile(what);
                        }
                        if lists > MAX_LISTS {
                            return End::Hostile("its ports change too often");
                        }
                    }
                    Ok(None) => return End::Ended,
                    Err(error) => return failed(&error),
                },
                said = agent.receive::<FromAgent>() => return match said {
                    Ok(None | Some((FromAgent::Exited(_), _))) => End::Ended,
                    Ok(Some((_, descriptors))) => {
                        std::mem::forget(descriptors);
                        End::Hostile("its agent says what it must not")
                    }
                    Err(error) => failed(&error),
                },
                Some(arrival) = self.arrivals.recv() => {
                    self.last_id = self.last_id.wrapping_add(1);
                    let (id, port) = (self.last_id, arrival.port);
                    self.waiting.insert(id, (arrival, Instant::now() + CONNECT_LIMIT));
                    if let Err(error) = inside.send(&ToInside::Connect { id, port }, &[]) {
                        return failed(&error);
                    }
                },
                () = at(change), if change.is_some() => {
                    change = None;
                    changed_at = Instant::now();
                    self.offer();
                },
                changed = daemon.changed() => return match changed {
                    Ok(()) => End::Renew,
                    Err(_) => End::Ended,
                },
                _ = tick.tick() => {
                    lists = 0;
                    self.give_up_late();
                    if self.told.left_out.iter().any(|it| it.reason != Reason::Low) {
                        self.offer();
                    }
                },
            }
        }
    }

    /// Takes what the inside says. Descriptors that it must not send are not closed: closing a file of a
    /// file system that the container serves itself (FUSE) may wait for an answer that never comes.
    fn take(
        &mut self,
        message: FromInside,
        mut descriptors: Vec<OwnedFd>,
    ) -> Result<(), &'static str> {
        let allowed = usize::from(matches!(message, FromInside::Connected { .. }));
        if descriptors.len() != allowed {
            std::mem::forget(descriptors);
            return Err("it sent files that it must not");
        }
        match message {
            FromInside::Listening { mut ports, more } => {
                ports.truncate(MAX_PORTS);
                ports.sort_unstable();
                ports.dedup();
                ports.retain(|port| *port != 0);
                self.listening = (ports, more);
            }
            FromInside::Refused { id } => {
                if let Some((arrival, _)) = self.waiting.remove(&id) {
                    reset(&arrival.socket);
                }
            }
            FromInside::Connected { id } => {
                if let Some(socket) = descriptors.pop() {
                    if !is_connection(&socket) {
                        std::mem::forget(socket);
                        return Err("it sent something else than a connection");
                    }
                    // It may have been given up.
                    if let Some((arrival, _)) = self.waiting.remove(&id) {
                        tokio::task::spawn_local(async move {
                            relay(arrival.socket, socket).await;
                            drop(arrival.place);
                        });
                    }
                }
            }
        }
        Ok(())
    }

    fn offer(&mut self) {
        let (ports, more) = &self.listening;
        let told = self.offers.set(&self.name, ports, &self.reception);
        self.told = ContainerPorts {
            more: *more,
            ..told
        };
        self.report.tell(&self.name, self.told.clone());
    }

    fn give_up_late(&mut self) {
        let now = Instant::now();
        for (_, (arrival, _)) in self.waiting.extract_if(|_, (_, limit)| *limit < now) {
            reset(&arrival.socket);
        }
    }
}

/// Waits until then.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

fn failed(error: &ChannelError) -> End {
    match error {
        ChannelError::Io(_) | ChannelError::Truncated => End::Ended,
        ChannelError::TimedOut => End::Hostile("it does not listen to what it is asked"),
        ChannelError::TooLong(_)
        | ChannelError::TooManyDescriptors
        | ChannelError::Malformed(_) => End::Hostile("it says what cannot be understood"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest() -> Guest {
        Guest::new("dev".to_owned(), Offers::default(), Report::new(None))
    }

    fn file() -> Vec<OwnedFd> {
        vec![std::fs::File::open("/dev/null").unwrap().into()]
    }

    #[test]
    fn only_what_was_asked_for_is_taken() {
        let mut guest = guest();
        let listening = || FromInside::Listening {
            ports: Vec::new(),
            more: 0,
        };
        assert!(guest.take(listening(), file()).is_err());
        assert!(guest.take(FromInside::Refused { id: 1 }, file()).is_err());
        let connected = || FromInside::Connected { id: 1 };
        assert!(guest.take(connected(), Vec::new()).is_err());
        assert!(guest.take(connected(), file()).is_err());
        // Too late, or never asked for: of no use, and no harm.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(guest.take(connected(), vec![socket.into()]).is_ok());
        assert!(
            guest
                .take(FromInside::Refused { id: 7 }, Vec::new())
                .is_ok()
        );
    }

    #[test]
    fn a_list_of_ports_is_put_in_order_and_bounded() {
        let mut guest = guest();
        let ports: Vec<u16> = [9000, 0, 9000].into_iter().chain(1000..3000).collect();
        let list = FromInside::Listening { ports, more: 7 };
        guest.take(list, Vec::new()).unwrap();
        let (ports, more) = &guest.listening;
        assert_eq!((ports.len(), ports[0], *more), (62, 1000, 7));
        assert!(ports.is_sorted() && ports.last() == Some(&9000));
    }
}
