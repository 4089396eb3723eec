// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `kapsule list`

use kapsule_core::container::{ContainerSummary, OwnedContainer};
use serde_json::Value;

use crate::bus::Bus;
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
    /// Those of all users, with their owners; for administrators
    #[arg(long)]
    all_users: bool,
    /// Print JSON: an array of objects
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args, bus: &Bus) -> Result<(), CommandError> {
    let answer = if args.all_users {
        let admin = bus.admin().await?;
        bus.ask(async || admin.list_all().await).await?
    } else {
        let containers = bus.containers().await?;
        bus.ask(async || containers.list().await).await?
    };
    if args.json {
        let mut containers: Vec<Value> = parse(&answer)?;
        if args.running {
            containers.retain(|container| container["status"] == "Running");
        }
        return ui::json(&containers);
    }
    if args.all_users {
        let mut containers: Vec<OwnedContainer> = parse(&answer)?;
        let total = containers.len();
        containers.retain(|it| !args.running || it.summary.is_running());
        return match containers.is_empty() {
            true => nothing(total, "No user has containers"),
            false => ui::data(&render_owned(containers)),
        };
    }
    let mut containers: Vec<ContainerSummary> = parse(&answer)?;
    let total = containers.len();
    containers.retain(|it| !args.running || it.is_running());
    match containers.is_empty() {
        true => nothing(total, "No containers yet. Make one: kapsule create NAME"),
        false => ui::data(&render(containers)),
    }
}

fn nothing(total: usize, none_at_all: &str) -> Result<(), CommandError> {
    ui::dim(match total {
        0 => none_at_all,
        _ => "No container runs. See all: kapsule list",
    });
    Ok(())
}

/// The user's containers.
pub(crate) async fn fetch(bus: &Bus) -> Result<Vec<ContainerSummary>, CommandError> {
    let containers = bus.containers().await?;
    parse(&bus.ask(async || containers.list().await).await?)
}

/// The user's containers, without anybody being asked for a password.
pub(crate) async fn fetch_quietly(bus: &Bus) -> Result<Vec<ContainerSummary>, CommandError> {
    parse(&bus.list_quietly().await?)
}

fn parse<T: serde::de::DeserializeOwned>(json: &str) -> Result<T, CommandError> {
    serde_json::from_str(json).map_err(|error| {
        CommandError::new(ErrorKind::Failed, error)
            .context("the Kapsule service answered with something that is not a list of containers")
    })
}

fn render(containers: Vec<ContainerSummary>) -> String {
    let rows = containers.into_iter().map(cells).collect();
    ui::table(HEADER, rows)
}

fn render_owned(containers: Vec<OwnedContainer>) -> String {
    let [name, status, image, mode, created, isolation] = HEADER;
    let rows = containers.into_iter().map(|it| {
        let owner = it.owner_name.unwrap_or_else(|| it.owner.to_string());
        let [name, status, image, mode, created, isolation] = cells(it.summary);
        [owner, name, status, image, mode, created, isolation]
    });
    ui::table(
        ["OWNER", name, status, image, mode, created, isolation],
        rows.collect(),
    )
}

const HEADER: [&str; 6] = ["NAME", "STATUS", "IMAGE", "MODE", "CREATED", "ISOLATION"];

fn cells(it: ContainerSummary) -> [String; 6] {
    [
        it.name.to_string(),
        it.status,
        it.image,
        it.mode.as_str().to_owned(),
        ui::date(&it.created),
        it.isolation.to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = r#"[
        {"name":"dev","status":"Running","image":"Debian 13","created":"2026-11-22T10:00:00+00:00","mode":"Default","new":1},
        {"name":"a-rather-long-name-for-a-container","status":"Stopped","image":"x\u001b[2J","created":"","mode":"DbusMux","isolation":"sealed"}
    ]"#;

    #[test]
    fn shows_the_columns_that_scripts_know() {
        let text = anstream::adapter::strip_str(&render(parse(ANSWER).unwrap())).to_string();
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(
            lines[0],
            ["NAME", "STATUS", "IMAGE", "MODE", "CREATED", "ISOLATION"]
        );
        assert_eq!(
            lines[1],
            [
                "dev",
                "Running",
                "Debian",
                "13",
                "Default",
                "2026-11-22",
                "standard"
            ]
        );
        assert_eq!(
            lines[2],
            [
                "a-rather-long-name-for-a-container",
                "Stopped",
                "x\\u{1b}[2J",
                "DbusMux",
                "sealed"
            ]
        );
    }

    #[test]
    fn tells_owners_by_name_where_they_have_one() {
        let answer = r#"[
            {"name":"dev","status":"Running","image":"x","created":"","mode":"Default","owner":1000,"owner_name":"alice"},
            {"name":"old","status":"Stopped","image":"x","created":"","mode":"Default","owner":1007,"owner_name":null}
        ]"#;
        let text = anstream::adapter::strip_str(&render_owned(parse(answer).unwrap())).to_string();
        let owners: Vec<&str> = text
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        assert_eq!(owners, ["OWNER", "alice", "1007"]);
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
