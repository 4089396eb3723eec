// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `kapsule image list`

use serde::Deserialize;
use serde_json::Value;

use crate::bus::Bus;
use crate::error::{CommandError, ErrorKind};
use crate::ui;

/// List the images that are on this machine
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print JSON: an array of objects, as Incus describes images
    #[arg(long)]
    json: bool,
}

/// What is shown of Incus' description.
#[derive(Debug, Deserialize)]
struct Image {
    fingerprint: String,
    #[serde(default)]
    aliases: Option<Vec<Alias>>,
    #[serde(default)]
    properties: Option<Properties>,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    uploaded_at: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Alias {
    name: String,
}

#[derive(Debug, Deserialize)]
struct Properties {
    #[serde(default)]
    description: Option<String>,
}

pub(crate) async fn run(args: Args, bus: &Bus) -> Result<(), CommandError> {
    let manager = bus.manager().await?;
    let answer = bus.ask(async || manager.list_images().await).await?;
    if args.json {
        return ui::json(&parse::<Value>(&answer)?);
    }
    let images = parse(&answer)?;
    if images.is_empty() {
        ui::dim("No images here yet. They come with the first container: kapsule create NAME");
        return Ok(());
    }
    ui::data(&render(images))
}

fn parse<T: serde::de::DeserializeOwned>(json: &str) -> Result<Vec<T>, CommandError> {
    serde_json::from_str(json).map_err(|error| {
        CommandError::new(ErrorKind::Failed, error)
            .context("the Kapsule service answered with something that is not a list of images")
    })
}

fn render(images: Vec<Image>) -> String {
    ui::table(
        ["FINGERPRINT", "ALIAS", "DESCRIPTION", "SIZE", "UPLOADED"],
        images.into_iter().map(Image::into_row).collect(),
    )
}

impl Image {
    fn into_row(self) -> [String; 5] {
        let aliases: Vec<String> = self
            .aliases
            .into_iter()
            .flatten()
            .map(|it| it.name)
            .collect();
        [
            self.fingerprint.chars().take(12).collect(),
            aliases.join(", "),
            self.properties
                .and_then(|it| it.description)
                .unwrap_or_default(),
            ui::size(self.size),
            ui::date(&self.uploaded_at.unwrap_or_default()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = r#"[
        {"fingerprint":"0123456789abcdef","aliases":[{"name":"debian","description":""},{"name":"d13"}],
         "properties":{"description":"Debian trixie","os":"debian"},"size":62345678,"uploaded_at":"2026-11-22T10:00:00Z","public":false},
        {"fingerprint":"ffff","aliases":null,"properties":null,"size":1,"uploaded_at":null}
    ]"#;

    #[test]
    fn shows_the_description_where_incus_has_it() {
        let text = anstream::adapter::strip_str(&render(parse(ANSWER).unwrap())).to_string();
        let expected = "\
FINGERPRINT   ALIAS        DESCRIPTION    SIZE     UPLOADED
0123456789ab  debian, d13  Debian trixie  62.3 MB  2026-11-22
ffff                                      1 B
";
        assert_eq!(text, expected);
    }

    #[test]
    fn nonsense_is_an_error() {
        assert!(parse::<Image>("{}").is_err());
    }
}
