// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Where a message of D-Bus ends, by its first 16 bytes (D-Bus Specification, "Message Format").

use std::io;

/// Bytes that say how long a message is.
pub(crate) const HEADER: usize = 16;
/// The most that a message may be, with its header.
const MAX_MESSAGE: u64 = 128 << 20;
/// The most that the fields of its header may be.
const MAX_FIELDS: u32 = 64 << 20;

/// Whether this is the first byte of a message: its byte order. No line before begins so.
pub(crate) fn begins(byte: u8) -> bool {
    matches!(byte, b'l' | b'B')
}

/// How many bytes of a message are behind its first 16.
///
/// # Errors
/// When it is no message, or longer than any may be.
pub(crate) fn rest(header: &[u8; HEADER]) -> io::Result<usize> {
    let number = |at: usize| {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&header[at..at + 4]);
        match header[0] {
            b'l' => u32::from_le_bytes(bytes),
            _ => u32::from_be_bytes(bytes),
        }
    };
    let (body, fields) = (number(4), number(12));
    let rest = u64::from(fields).next_multiple_of(8) + u64::from(body);
    let is_message = begins(header[0]) && fields <= MAX_FIELDS && rest < MAX_MESSAGE;
    match usize::try_from(rest) {
        Ok(rest) if is_message => Ok(rest),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "what came is no message of D-Bus",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(order: u8, body: u32, fields: u32) -> [u8; HEADER] {
        let bytes = |number: u32| match order {
            b'B' => number.to_be_bytes(),
            _ => number.to_le_bytes(),
        };
        let mut header = [0; HEADER];
        header[0] = order;
        header[4..8].copy_from_slice(&bytes(body));
        header[12..].copy_from_slice(&bytes(fields));
        header
    }

    #[test]
    fn fields_are_padded_and_a_body_follows() {
        for order in [b'l', b'B'] {
            assert_eq!(rest(&header(order, 0, 0)).unwrap(), 0);
            assert_eq!(rest(&header(order, 5, 1)).unwrap(), 8 + 5);
            assert_eq!(rest(&header(order, 3, 16)).unwrap(), 16 + 3);
        }
    }

    #[test]
    fn what_no_message_may_be_is_refused() {
        rest(&header(b'l', (128 << 20) - 17, 0)).unwrap();
        for wrong in [
            header(b'l', 128 << 20, 0),
            header(b'l', u32::MAX, u32::MAX),
            header(b'l', 0, (64 << 20) + 1),
            header(b'x', 0, 0),
        ] {
            rest(&wrong).unwrap_err();
        }
    }
}
