// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Which TCP ports can be reached on the loopback of this network namespace.
//!
//! Asked for with `NETLINK_SOCK_DIAG` (sock_diag(7)), which lets the kernel pick sockets that listen:
//! some microseconds, whatever else there is. Where the kernel has no such interface, from
//! `/proc/net/tcp`, for which it walks through every connection.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};

/// A port that something listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listener {
    pub(super) port: u16,
    /// It is reached at 127.0.0.1; else at ::1.
    pub(super) v4: bool,
}

/// Looks them up.
#[derive(Debug)]
pub(super) struct Listeners {
    /// Absent where the kernel has no such interface.
    netlink: Option<OwnedFd>,
}

// linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST_DUMP: u16 = 0x301;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const TCP: u8 = 6;
const TCP_LISTEN: u8 = 10;
/// `struct nlmsghdr`
const HEADER: usize = 16;
/// `struct inet_diag_req_v2`
const REQUEST: usize = 56;
/// As far as the address in `struct inet_diag_msg`.
const WANTED: usize = 24;

impl Listeners {
    pub(super) fn new() -> Self {
        let socket = || -> io::Result<OwnedFd> {
            Ok(socket_with(
                AddressFamily::NETLINK,
                SocketType::RAW,
                SocketFlags::CLOEXEC,
                Some(netlink::SOCK_DIAG),
            )?)
        };
        let listeners = Self {
            netlink: socket().ok(),
        };
        match listeners.by_netlink() {
            Ok(_) => listeners,
            Err(_) => Self { netlink: None },
        }
    }

    /// All of them, by port.
    pub(super) fn find(&self) -> io::Result<Vec<Listener>> {
        let found = match self.netlink {
            Some(_) => self.by_netlink()?,
            None => from_proc(),
        };
        Ok(reachable(found))
    }

    fn by_netlink(&self) -> io::Result<Vec<(IpAddr, u16)>> {
        let socket = self.netlink.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        let mut found = Vec::new();
        for family in [AddressFamily::INET, AddressFamily::INET6] {
            // Both numbers are below 256.
            let family = u8::try_from(family.as_raw()).unwrap_or_default();
            send(socket, &request(family), SendFlags::empty())?;
            let mut buffer = [0; 16 * 1024];
            loop {
                let (length, _) = recv(socket, &mut buffer, RecvFlags::empty())?;
                if take(&buffer[..length], &mut found)? {
                    break;
                }
            }
        }
        Ok(found)
    }
}

/// Asks for all sockets of a family that listen.
fn request(family: u8) -> [u8; HEADER + REQUEST] {
    let mut message = [0; HEADER + REQUEST];
    let length = u32::try_from(message.len()).unwrap_or_default();
    message[..4].copy_from_slice(&length.to_ne_bytes());
    message[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    message[6..8].copy_from_slice(&NLM_F_REQUEST_DUMP.to_ne_bytes());
    message[HEADER] = family;
    message[HEADER + 1] = TCP;
    message[HEADER + 4..HEADER + 8].copy_from_slice(&(1_u32 << TCP_LISTEN).to_ne_bytes());
    message
}

/// Takes what one packet of the kernel tells; true when it was the last one.
fn take(mut packet: &[u8], found: &mut Vec<(IpAddr, u16)>) -> io::Result<bool> {
    while packet.len() >= HEADER {
        let number = |at: usize| {
            u32::from_ne_bytes([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]])
        };
        let length = usize::try_from(number(0)).unwrap_or(usize::MAX);
        if length < HEADER || length > packet.len() {
            break;
        }
        let body = &packet[HEADER..length];
        match u16::from_ne_bytes([packet[4], packet[5]]) {
            NLMSG_DONE => return Ok(true),
            NLMSG_ERROR => {
                let errno = body
                    .first_chunk()
                    .map_or(0, |errno| i32::from_ne_bytes(*errno));
                return Err(io::Error::from_raw_os_error(errno.saturating_neg()));
            }
            _ => found.extend(listener(body)),
        }
        // Each begins at a multiple of four.
        packet = &packet[length.next_multiple_of(4).min(packet.len())..];
    }
    Ok(false)
}

/// The address and port in a `struct inet_diag_msg`.
fn listener(message: &[u8]) -> Option<(IpAddr, u16)> {
    let message: &[u8; WANTED] = message.first_chunk()?;
    let port = u16::from_be_bytes([message[4], message[5]]);
    let address: [u8; 16] = *message[8..].first_chunk()?;
    let address = if AddressFamily::from_raw(message[0].into()) == AddressFamily::INET {
        let [a, b, c, d, ..] = address;
        IpAddr::from([a, b, c, d])
    } else {
        IpAddr::from(address)
    };
    Some((address, port))
}

fn from_proc() -> Vec<(IpAddr, u16)> {
    let mut found = Vec::new();
    for file in ["/proc/self/net/tcp", "/proc/self/net/tcp6"] {
        // One of them is missing where there is no IPv6.
        let table = std::fs::read_to_string(file).unwrap_or_default();
        found.extend(table.lines().filter_map(line));
    }
    found
}

/// A line of proc_pid_net(5): `  0: 0100007F:1F90 00000000:0000 0A …`. Addresses are words of 32 bits in
/// the order of this machine's bytes.
fn line(line: &str) -> Option<(IpAddr, u16)> {
    let mut words = line.split_ascii_whitespace();
    let (local, state) = (words.nth(1)?, words.nth(1)?);
    if u8::from_str_radix(state, 16).ok()? != TCP_LISTEN {
        return None;
    }
    let (address, port) = local.split_once(':')?;
    let word = |at: usize| {
        let digits = address.get(at * 8..at * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    let address = if address.len() == 8 {
        IpAddr::from(word(0)?)
    } else {
        let bytes = [word(0)?, word(1)?, word(2)?, word(3)?].concat();
        IpAddr::from(*bytes.first_chunk::<16>()?)
    };
    Some((address, u16::from_str_radix(port, 16).ok()?))
}

/// Those that the loopback's own addresses lead to, once for each port.
fn reachable(found: Vec<(IpAddr, u16)>) -> Vec<Listener> {
    let mut ports: BTreeMap<u16, bool> = BTreeMap::new();
    for (address, port) in found {
        let v4 = match address.to_canonical() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED | Ipv4Addr::LOCALHOST) => true,
            IpAddr::V6(Ipv6Addr::UNSPECIFIED | Ipv6Addr::LOCALHOST) => false,
            _ => continue,
        };
        *ports.entry(port).or_default() |= v4;
    }
    let listener = |(port, v4)| Listener { port, v4 };
    ports.into_iter().map(listener).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_find_the_same() {
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let wanted = (
            IpAddr::from([127, 0, 0, 1]),
            server.local_addr().unwrap().port(),
        );
        assert!(from_proc().contains(&wanted));
        let by_netlink = Listeners::new();
        if by_netlink.netlink.is_some() {
            assert!(by_netlink.by_netlink().unwrap().contains(&wanted));
        }
    }

    #[test]
    fn lines_of_proc() {
        let of = |text| line(text).map(|(address, port)| format!("{address} {port}"));
        if cfg!(target_endian = "little") {
            let v4 =
                "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 1000";
            assert_eq!(of(v4).as_deref(), Some("127.0.0.1 8080"));
            let v6 = "   1: 00000000000000000000000001000000:0016 00000000000000000000000000000000:0000 0A";
            assert_eq!(of(v6).as_deref(), Some("::1 22"));
        }
        for nothing in [
            "",
            "  sl  local_address rem_address   st",
            "   0: 0100007F:1F90 0100007F:1F91 01",
            "   0: 01:1F90 00000000:0000 0A",
            "   0: 0100007F 00000000:0000 0A",
        ] {
            assert_eq!(of(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn only_what_the_loopback_leads_to() {
        let found = [
            ("10.77.0.5", 1),
            ("127.0.0.53", 2),
            ("fe80::1", 3),
            ("::1", 4),
            ("::", 5),
            ("0.0.0.0", 5),
            ("::ffff:127.0.0.1", 6),
        ];
        let found = found.map(|(address, port)| (address.parse().unwrap(), port));
        let ports: Vec<_> = reachable(found.to_vec())
            .into_iter()
            .map(|it| (it.port, it.v4))
            .collect();
        assert_eq!(ports, [(4, false), (5, true), (6, true)]);
    }

    #[test]
    fn packets_are_taken_as_far_as_they_are_whole() {
        let mut found = Vec::new();
        for packet in [&[][..], &[0; 8], &[0; 16], &[255; 64]] {
            assert!(!take(packet, &mut found).unwrap());
        }
        assert!(found.is_empty());
        // An error of the kernel's: ENOENT.
        let mut refused = [0; 20];
        refused[..4].copy_from_slice(&20_u32.to_ne_bytes());
        refused[4..6].copy_from_slice(&NLMSG_ERROR.to_ne_bytes());
        refused[16..].copy_from_slice(&(-2_i32).to_ne_bytes());
        assert_eq!(
            take(&refused, &mut found).unwrap_err().raw_os_error(),
            Some(2)
        );
    }
}
