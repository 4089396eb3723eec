// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The head of a message of D-Bus: who sent what, and how long it is. See the D-Bus specification,
//! "Message Format". The bus has checked what is read here, and replaces the sender by the true one.

/// Length of the part that each message has.
pub(super) const START: usize = 16;

/// A head longer than this has a path that is nobody's.
pub(super) const MAX_HEAD: usize = 64 * 1024;

/// Where in the start the flags are, and the one that says that no answer is wanted.
pub(super) const FLAGS: usize = 2;
pub(super) const NO_REPLY: u8 = 1;

/// Kinds of messages that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Call,
    Signal,
    /// An answer, which the bus only lets through to who asked.
    Answer,
}

/// What a message's head tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) kind: Kind,
    pub(super) no_reply: bool,
    pub(super) serial: u32,
    /// Empty in messages of a bus that says nothing about itself.
    pub(super) sender: String,
    /// Addressed to somebody, and not to all who listen.
    pub(super) is_addressed: bool,
    /// How many descriptors come with it.
    pub(super) descriptors: usize,
}

/// How long head and whole message are; none where these are not the first bytes of one.
pub(super) fn lengths(start: &[u8; START]) -> Option<(usize, usize)> {
    let big = is_big(start[0])?;
    let fields = usize::try_from(number(start, 12, big)?).ok()?;
    let body = usize::try_from(number(start, 4, big)?).ok()?;
    let head = START.checked_add(fields)?.checked_next_multiple_of(8)?;
    Some((head, head.checked_add(body)?))
}

fn is_big(first: u8) -> Option<bool> {
    match first {
        b'l' => Some(false),
        b'B' => Some(true),
        _ => None,
    }
}

fn number(bytes: &[u8], at: usize, big: bool) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    Some(match big {
        true => u32::from_be_bytes(bytes),
        false => u32::from_le_bytes(bytes),
    })
}

/// Reads a head; none where it is none that a bus sends.
pub(super) fn parse(head: &[u8]) -> Option<Head> {
    let big = is_big(*head.first()?)?;
    let mut parsed = Head {
        kind: match head.get(1)? {
            1 => Kind::Call,
            4 => Kind::Signal,
            _ => Kind::Answer,
        },
        no_reply: head.get(FLAGS)? & NO_REPLY != 0,
        serial: number(head, 8, big)?,
        sender: String::new(),
        is_addressed: false,
        descriptors: 0,
    };
    let end = START.checked_add(usize::try_from(number(head, 12, big)?).ok()?)?;
    let mut at = START;
    while at < end {
        // A code, and a variant: length of the signature, signature, zero, value.
        let code = *head.get(at)?;
        let [1, kind, 0] = *head.get(at + 1..at + 4)? else {
            return None;
        };
        at += 4;
        match kind {
            b'u' => {
                if code == 9 {
                    parsed.descriptors = usize::try_from(number(head, at, big)?).ok()?;
                }
                at += 4;
            }
            b's' | b'o' => {
                let length = usize::try_from(number(head, at, big)?).ok()?;
                let text = head.get(at + 4..(at + 4).checked_add(length)?)?;
                match code {
                    6 => parsed.is_addressed = true,
                    7 => parsed.sender = std::str::from_utf8(text).ok()?.to_owned(),
                    _ => {}
                }
                at += 4 + length + 1;
            }
            b'g' => at += 1 + usize::from(*head.get(at)?) + 1,
            _ => return None,
        }
        at = at.next_multiple_of(8);
    }
    Some(parsed)
}

#[cfg(test)]
mod tests {
    use zbus::Message;

    use super::*;

    fn message() -> Message {
        Message::method_call("/org/kde/kapsule", "StartContainer")
            .interface("org.kde.kapsule.Manager")
            .destination("org.kde.kapsule")
            .sender(":1.7")
            .build(&"name")
            .unwrap()
    }

    #[test]
    fn tells_who_sent_what() {
        let message = message();
        let bytes = message.data().to_vec();
        let start = bytes[..START].try_into().unwrap();
        let (head, whole) = lengths(start).unwrap();
        assert_eq!(whole, bytes.len());
        let parsed = parse(&bytes[..head]).unwrap();
        assert_eq!(parsed.kind, Kind::Call);
        assert_eq!(
            (parsed.sender.as_str(), parsed.is_addressed),
            (":1.7", true)
        );
        assert_eq!(parsed.serial, message.primary_header().serial_num().get());
        assert!(!parsed.no_reply && parsed.descriptors == 0);
    }

    /// Whatever is in it: no panic, and no length that overflows.
    #[test]
    fn survives_any_bytes() {
        let bytes = message().data().to_vec();
        for cut in 0..bytes.len() {
            let _ = parse(&bytes[..cut]);
        }
        for at in 0..bytes.len() {
            for value in [0, 1, 7, 0x7f, 0xff] {
                let mut changed = bytes.clone();
                changed[at] = value;
                let _ = lengths(changed[..START].try_into().unwrap());
                let _ = parse(&changed);
            }
        }
        let mut longest = [0xff; START];
        longest[0] = b'B';
        assert!(lengths(&longest).is_none_or(|(_, whole)| whole > u32::MAX as usize));
    }
}
