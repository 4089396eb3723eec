// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Messages. See the D-Bus specification, "Message Protocol".

use super::value::{Body, Value};

/// Kinds of messages that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A call.
    Call,
    /// An answer.
    Return,
    /// An error.
    Error,
    /// A signal, or what nobody knows.
    Other,
}

/// A method call to be sent.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// Empty for none.
    pub destination: String,
    /// Object path.
    pub path: String,
    /// Empty for none.
    pub interface: String,
    /// Name of the method.
    pub member: String,
    /// Arguments.
    pub arguments: Vec<Value>,
    /// Whether to say that no answer is wanted.
    pub no_reply: bool,
}

impl Call {
    /// The message with this serial number.
    pub fn message(&self, serial: u32) -> Body {
        let mut body = Body::default();
        let mut signature = String::new();
        for argument in &self.arguments {
            signature.push_str(&argument.signature());
            argument.write(&mut body);
        }
        let field = |code, value| {
            let value = Value::Variant(Box::new(value));
            Value::Struct(vec![Value::Byte(code), value])
        };
        let text = |text: &str, kind| Value::Text(text.as_bytes().to_vec(), kind);
        let mut fields = vec![
            field(1, text(&self.path, 'o')),
            field(3, text(&self.member, 's')),
        ];
        if !self.interface.is_empty() {
            fields.push(field(2, text(&self.interface, 's')));
        }
        if !self.destination.is_empty() {
            fields.push(field(6, text(&self.destination, 's')));
        }
        if !signature.is_empty() {
            fields.push(field(8, Value::Signature(signature)));
        }
        if !body.fds.is_empty() {
            let count = u32::try_from(body.fds.len()).unwrap_or(u32::MAX);
            fields.push(field(9, Value::Int(count, 'u')));
        }
        let mut message = Body::default();
        message.bytes.extend([b'l', 1, u8::from(self.no_reply), 1]);
        message.number(u32::try_from(body.bytes.len()).unwrap_or(u32::MAX));
        message.number(serial);
        Value::Array("(yv)".to_owned(), fields).write(&mut message);
        message.pad(8);
        message.bytes.append(&mut body.bytes);
        message.fds = body.fds;
        message
    }
}

/// A message that came.
#[derive(Clone, Debug)]
pub struct Received {
    /// What it is.
    pub kind: Kind,
    /// The call that it answers.
    pub reply_to: u32,
    /// Name of the error.
    pub error: String,
    /// Its arguments.
    pub body: Vec<u8>,
}

/// How long a message is of which these are the first 16 bytes: header and body.
pub fn lengths(start: [u8; 16]) -> (usize, usize) {
    let number = |at: usize| {
        let bytes = [start[at], start[at + 1], start[at + 2], start[at + 3]];
        usize::try_from(match start[0] {
            b'B' => u32::from_be_bytes(bytes),
            _ => u32::from_le_bytes(bytes),
        })
        .unwrap_or(usize::MAX)
    };
    ((16 + number(12)).next_multiple_of(8), number(4))
}

impl Received {
    /// Reads a whole message of a bus that speaks little-endian, as far as it is needed here.
    pub fn parse(header: &[u8], body: Vec<u8>) -> Self {
        let kind = match header.get(1) {
            Some(1) => Kind::Call,
            Some(2) => Kind::Return,
            Some(3) => Kind::Error,
            _ => Kind::Other,
        };
        let mut received = Self {
            kind,
            reply_to: 0,
            error: String::new(),
            body,
        };
        let number = |at: usize| {
            let bytes = header.get(at..at + 4).and_then(|it| it.try_into().ok());
            bytes.map_or(0, u32::from_le_bytes)
        };
        let mut at = 16;
        while at + 4 < header.len() {
            // Code, then a variant: the length of its signature, the signature, a zero.
            let (code, length) = (header[at], usize::from(header[at + 1]));
            let kind = header.get(at + 2).copied();
            let value = at + 3 + length;
            let end = match kind {
                Some(b'u') => {
                    let value = value.next_multiple_of(4);
                    if code == 5 {
                        received.reply_to = number(value);
                    }
                    value + 4
                }
                Some(b'g') => value + 2 + usize::from(header.get(value).copied().unwrap_or(0)),
                _ => {
                    let value = value.next_multiple_of(4);
                    let end = value + 4 + usize::try_from(number(value)).unwrap_or(0);
                    if code == 4 {
                        let text = header.get(value + 4..end).unwrap_or_default();
                        received.error = String::from_utf8_lossy(text).into_owned();
                    }
                    end + 1
                }
            };
            at = end.next_multiple_of(8);
        }
        received
    }

    /// The text at the beginning of its body, as all errors and some answers have one.
    pub fn text(&self) -> String {
        let length = self.body.get(..4).and_then(|it| it.try_into().ok());
        let length = length.map_or(0, |it| usize::try_from(u32::from_le_bytes(it)).unwrap_or(0));
        let text = self.body.get(4..4 + length).unwrap_or_default();
        String::from_utf8_lossy(text).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let call = Call {
            destination: "org.example".to_owned(),
            path: "/a/b".to_owned(),
            interface: "org.example.I".to_owned(),
            member: "M".to_owned(),
            arguments: vec!["text".into(), true.into()],
            no_reply: false,
        };
        let message = call.message(7);
        let start = message.bytes[..16].try_into().unwrap();
        let (header, body) = lengths(start);
        assert_eq!(header + body, message.bytes.len());
        let received = Received::parse(&message.bytes[..header], message.bytes[header..].to_vec());
        assert_eq!(
            (received.kind, received.text().as_str()),
            (Kind::Call, "text")
        );
    }
}
