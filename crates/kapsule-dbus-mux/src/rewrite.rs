// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Copies of messages with other names in them. What goes to and comes from the host is never
//! rewritten; this is for the container's side only.

use zbus::message::{Builder, Message};
use zbus::names::{BusName, UniqueName};
use zbus::wire::StructureBuilder;
use zbus::{Result, Signature, Structure, Variant};

/// A copy of a message with other names in its header, serial, flags, body and descriptors being
/// the same.
pub(crate) fn readdressed(
    message: &Message,
    sender: Option<&str>,
    destination: Option<&str>,
) -> Result<Message> {
    let builder = header(message, sender, destination)?;
    let body = message.body();
    if matches!(body.signature(), Signature::Unit) {
        return builder.build(&());
    }
    let body: Structure<'_> = body.deserialize()?;
    builder.build(&body)
}

/// The same with another body: each text in it, also in lists, goes through `change`. For answers
/// and signals of a bus, whose bodies hold names and nothing else.
pub(crate) fn renamed(
    message: &Message,
    sender: Option<&str>,
    destination: Option<&str>,
    change: fn(&str) -> String,
) -> Result<Message> {
    let builder = header(message, sender, destination)?;
    let body = message.body();
    if matches!(body.signature(), Signature::Unit) {
        return builder.build(&());
    }
    let body: Structure<'_> = body.deserialize()?;
    let mut changed = StructureBuilder::new();
    for field in body.fields() {
        changed = changed.append_field(match field {
            Variant::Str(text) => Variant::from(change(text.as_str())),
            other => match <Vec<String>>::try_from(other.try_clone()?) {
                Ok(texts) => {
                    let texts: Vec<String> = texts.iter().map(|text| change(text)).collect();
                    Variant::from(texts)
                }
                Err(_) => other.try_clone()?,
            },
        });
    }
    builder.build(&changed.build()?)
}

fn header<'m>(
    message: &'m Message,
    sender: Option<&'m str>,
    destination: Option<&'m str>,
) -> Result<Builder<'m>> {
    let mut builder = Builder::from(message.header());
    if let Some(sender) = sender {
        builder = builder.sender(UniqueName::try_from(sender)?);
    }
    if let Some(destination) = destination {
        builder = builder.destination(BusName::try_from(destination)?);
    }
    Ok(builder)
}

/// A match rule as the container's bus understands it.
pub(crate) fn rule_for_container(rule: &str, own: &str, own_there: &str) -> String {
    rule.replace("':k.", "':")
        .replace(&format!("'{own}'"), &format!("'{own_there}'"))
}
