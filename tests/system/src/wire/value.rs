// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Values of D-Bus. See the D-Bus specification, "Type System" and "Marshaling".

use std::sync::Arc;

use rustix::fd::OwnedFd;

/// A value that knows its type. Texts are bytes, since not every text that is sent is one.
#[derive(Clone, Debug)]
pub enum Value {
    /// `y`
    Byte(u8),
    /// `b`, of which only 0 and 1 are valid.
    Bool(u32),
    /// `n`, `q`
    Short(u16, char),
    /// `i`, `u`
    Int(u32, char),
    /// `x`, `t`, `d`
    Long(u64, char),
    /// `s`, `o`
    Text(Vec<u8>, char),
    /// `g`
    Signature(String),
    /// `h`
    Fd(Arc<OwnedFd>),
    /// `v`
    Variant(Box<Value>),
    /// `a…`, with the signature of the elements.
    Array(String, Vec<Value>),
    /// `(…)`
    Struct(Vec<Value>),
    /// `{…}`, only in arrays.
    Entry(Box<Value>, Box<Value>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.as_bytes().to_vec(), 's')
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value.into())
    }
}

impl Value {
    /// Its signature.
    pub fn signature(&self) -> String {
        match self {
            Self::Byte(_) => "y".to_owned(),
            Self::Bool(_) => "b".to_owned(),
            Self::Short(_, kind)
            | Self::Int(_, kind)
            | Self::Long(_, kind)
            | Self::Text(_, kind) => kind.to_string(),
            Self::Signature(_) => "g".to_owned(),
            Self::Fd(_) => "h".to_owned(),
            Self::Variant(_) => "v".to_owned(),
            Self::Array(element, _) => format!("a{element}"),
            Self::Struct(fields) => {
                let fields: String = fields.iter().map(Self::signature).collect();
                format!("({fields})")
            }
            Self::Entry(key, value) => format!("{{{}{}}}", key.signature(), value.signature()),
        }
    }

    /// Appends its bytes.
    pub fn write(&self, out: &mut Body) {
        match self {
            Self::Byte(value) => out.bytes.push(*value),
            Self::Bool(value) | Self::Int(value, _) => out.number(*value),
            Self::Short(value, _) => {
                out.pad(2);
                out.bytes.extend(value.to_le_bytes());
            }
            Self::Long(value, _) => {
                out.pad(8);
                out.bytes.extend(value.to_le_bytes());
            }
            Self::Text(text, _) => out.text(text),
            Self::Signature(text) => out.signature(text),
            Self::Fd(fd) => {
                out.number(u32::try_from(out.fds.len()).unwrap_or(u32::MAX));
                out.fds.push(Arc::clone(fd));
            }
            Self::Variant(value) => {
                out.signature(&value.signature());
                value.write(out);
            }
            Self::Array(element, values) => {
                out.number(0);
                let length_at = out.bytes.len() - 4;
                out.pad(alignment(element));
                let begin = out.bytes.len();
                for value in values {
                    value.write(out);
                }
                let length = u32::try_from(out.bytes.len() - begin).unwrap_or(u32::MAX);
                out.bytes[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
            }
            Self::Struct(fields) => {
                out.pad(8);
                for field in fields {
                    field.write(out);
                }
            }
            Self::Entry(key, value) => {
                out.pad(8);
                key.write(out);
                value.write(out);
            }
        }
    }
}

fn alignment(signature: &str) -> usize {
    match signature.chars().next() {
        Some('y' | 'g' | 'v') => 1,
        Some('n' | 'q') => 2,
        Some('x' | 't' | 'd' | '(' | '{') => 8,
        _ => 4,
    }
}

/// Bytes under construction, in little-endian order, and the descriptors that go with them.
#[derive(Clone, Debug, Default)]
pub struct Body {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The descriptors.
    pub fds: Vec<Arc<OwnedFd>>,
}

impl Body {
    /// Zero bytes up to a multiple of `to`.
    pub fn pad(&mut self, to: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(to), 0);
    }

    /// A number of four bytes.
    pub fn number(&mut self, value: u32) {
        self.pad(4);
        self.bytes.extend(value.to_le_bytes());
    }

    /// A text or path.
    pub fn text(&mut self, text: &[u8]) {
        self.number(u32::try_from(text.len()).unwrap_or(u32::MAX));
        self.bytes.extend(text);
        self.bytes.push(0);
    }

    /// A signature.
    pub fn signature(&mut self, text: &str) {
        self.bytes.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
        self.bytes.extend(text.as_bytes());
        self.bytes.push(0);
    }
}
