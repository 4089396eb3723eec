// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `kapsule list`

use kapsule_core::container::ContainerSummary;
use serde_json::Value;

use crate::bus::{Bus, explain};
use crate::error::{CommandError, ErrorKind};
use crate::ui;

/// List your containers
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  kapsule list --running
  kapsule list --json | jq -r '.[] | select(.status == \"Stopped\") | .name'")]
pub(crate) struct Args {
    /// Only those that run
    #[arg(short, long, overrides_with = "all")]
    running: bool,
    /// All of them; this is the default
    #[arg(short, long)]
    all: bool,
    /// Print JSON: an array of objects
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args, bus: &Bus) -> Result<(), CommandError> {
    if args.json {
        let mut containers: Vec<Value> = parse(&answer(bus).await?)?;
        if args.running {
            containers.retain(|container| container["status"] == "Running");
        }
        return ui::json(&containers);
    }
    let mut containers = fetch(bus).await?;
    let total = containers.len();
    if args.running {
        containers.retain(ContainerSummary::is_running);
    }
    if containers.is_empty() {
        ui::dim(if total == 0 {
            "No containers yet. Make one: kapsule create NAME"
        } else {
            "No container runs. See all: kapsule list"
        });
        return Ok(());
    }
    ui::data(&render(containers))
}

/// The user's containers.
pub(crate) async fn fetch(bus: &Bus) -> Result<Vec<ContainerSummary>, CommandError> {
    parse(&answer(bus).await?)
}

async fn answer(bus: &Bus) -> Result<String, CommandError> {
    bus.containers().await?.list().await.map_err(explain)
}

fn parse<T: serde::de::DeserializeOwned>(json: &str) -> Result<T, CommandError> {
    serde_json::from_str(json).map_err(|error| {
        CommandError::new(ErrorKind::Failed, error)
            .context("the Kapsule service answered with something that is not a list of containers")
    })
}

fn render(containers: Vec<ContainerSummary>) -> String {
    ui::table(
        ["NAME", "STATUS", "IMAGE", "MODE", "CREATED"],
        containers
            .into_iter()
            .map(|it| {
                [
                    it.name.to_string(),
                    it.status,
                    it.image,
                    it.mode.as_str().to_owned(),
                    ui::date(&it.created),
                ]
            })
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = r#"[
        {"name":"dev","status":"Running","image":"Debian 13","created":"2026-11-22T10:00:00+00:00","mode":"Default","new":1},
        {"name":"a-rather-long-name-for-a-container","status":"Stopped","image":"x\u001b[2J","created":"","mode":"DbusMux"}
    ]"#;

    #[test]
    fn shows_the_columns_that_scripts_know() {
        let text = anstream::adapter::strip_str(&render(parse(ANSWER).unwrap())).to_string();
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(lines[0], ["NAME", "STATUS", "IMAGE", "MODE", "CREATED"]);
        assert_eq!(
            lines[1],
            ["dev", "Running", "Debian", "13", "Default", "2026-11-22"]
        );
        assert_eq!(
            lines[2],
            [
                "a-rather-long-name-for-a-container",
                "Stopped",
                "x\\u{1b}[2J",
                "DbusMux"
            ]
        );
    }

    #[test]
    fn json_keeps_what_this_version_does_not_know() {
        let containers: Vec<Value> = parse(ANSWER).unwrap();
        assert_eq!(containers[0]["new"], 1);
    }

    #[test]
    fn nonsense_is_an_error() {
        assert!(parse::<Vec<ContainerSummary>>("{}").is_err());
    }
}
