// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `kapsule info`

use std::fmt::Write as _;

use clap_complete::ArgValueCandidates;
use kapsule_core::container::{AgentState, ContainerInfo};
use kapsule_core::name::ContainerName;
use kapsule_core::ports::ContainerPorts;
use serde_json::Value;

use crate::bus::Bus;
use crate::completion;
use crate::error::{CommandError, ErrorKind};
use crate::localhost;
use crate::ui;

use super::container_name;
use super::owner::OwnerFlag;

/// Tell about a container, and what it can see of this system
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The container
    #[arg(add = ArgValueCandidates::new(completion::container_names))]
    name: String,
    /// Print JSON: an object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    owner: OwnerFlag,
}

pub(crate) async fn run(args: Args, bus: &Bus) -> Result<(), CommandError> {
    let name = container_name(&args.name)?;
    let answer = ask(bus, &args.owner, &name).await?;
    // Another user's are in that user's session.
    let ports = match args.owner.other() {
        None => localhost::ports_of(name.as_str()),
        Some(_) => ContainerPorts::default(),
    };
    if args.json {
        let mut info: Value = parse(&answer)?;
        info["localhost"] = serde_json::to_value(&ports).unwrap_or_default();
        return ui::json(&info);
    }
    ui::data(&render(&parse(&answer)?, &ports))
}

/// What there is to tell about a container.
pub(crate) async fn fetch(
    bus: &Bus,
    owner: &OwnerFlag,
    name: &ContainerName,
) -> Result<ContainerInfo, CommandError> {
    parse(&ask(bus, owner, name).await?)
}

async fn ask(bus: &Bus, owner: &OwnerFlag, name: &ContainerName) -> Result<String, CommandError> {
    match owner.other() {
        None => {
            let containers = bus.containers().await?;
            bus.ask(async || containers.get_info(name.as_str()).await)
                .await
        }
        Some(owner) => {
            let admin = bus.admin().await?;
            bus.ask(async || admin.get_info(owner, name.as_str()).await)
                .await
        }
    }
}

fn parse<T: serde::de::DeserializeOwned>(json: &str) -> Result<T, CommandError> {
    serde_json::from_str(json).map_err(|error| {
        CommandError::new(ErrorKind::Failed, error).context(
            "the Kapsule service answered with something that does not describe a container",
        )
    })
}

fn render(info: &ContainerInfo, ports: &ContainerPorts) -> String {
    let mut text = ui::styled(ui::HEADING, info.summary.name.as_str());
    text.push('\n');
    for (label, value) in facts(info, ports) {
        // A String takes everything.
        let _ = writeln!(text, "  {label:10}  {}", ui::escape(&value));
    }
    let _ = writeln!(
        text,
        "\n{}",
        ui::styled(ui::HEADING, "What it can see and do")
    );
    for fact in &info.exposure {
        let _ = writeln!(text, "  {}", ui::escape(&fact.text));
    }
    text
}

fn facts(info: &ContainerInfo, ports: &ContainerPorts) -> Vec<(&'static str, String)> {
    let summary = &info.summary;
    let mut facts = vec![("Status", summary.status.clone())];
    let image = match (summary.image.as_str(), info.image_reference.as_str()) {
        (image, "") => image.to_owned(),
        ("", reference) => reference.to_owned(),
        (image, reference) => format!("{image} ({reference})"),
    };
    facts.push(("Image", image));
    let mut fact = |label, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            facts.push((label, value));
        }
    };
    fact("Created", Some(ui::date(&summary.created)));
    fact("Isolation", Some(summary.isolation.to_string()));
    fact("Addresses", Some(info.addresses.join(", ")));
    fact("Ports", Some(ports.to_words()));
    fact("Processes", info.processes.map(|count| count.to_string()));
    fact("Memory", info.memory_bytes.map(ui::size));
    fact("Disk", info.disk_bytes.map(ui::size));
    if summary.is_running() {
        fact("Sessions", Some(sessions(info.agent).to_owned()));
    }
    facts
}

fn sessions(agent: AgentState) -> &'static str {
    match agent {
        AgentState::Absent => "not possible now: nothing inside answers (still booting?)",
        AgentState::UserManager => "ready, started by the container's own systemd",
        AgentState::Plain => "ready, started without the container's systemd",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = r#"{
        "name":"dev","status":"Running","image":"Debian 13","created":"2026-11-22T10:00:00+00:00","mode":"Default",
        "owner":1000,"image_reference":"local:debian",
        "options":{"host_rootfs":true,"mount_home":true,"gpu":false,"custom_mounts":["/srv"]},
        "mounts":[{"source":"/srv","path":"/mnt","readonly":true}],"isolation":"privileged",
        "exposure":[{"topic":"home","open":true,"text":"can read and write your home folder"},
            {"topic":"a-new-one","open":false,"text":"cannot \u001b[2J fly"}],
        "addresses":["10.77.0.5"],"processes":23,"memory_bytes":120000000,"disk_bytes":null,"agent":"user-manager"
    }"#;

    fn ports() -> ContainerPorts {
        let ports = r#"{"offered":[8080],"left_out":[{"port":80,"reason":"low"}]}"#;
        serde_json::from_str(ports).unwrap()
    }

    #[test]
    fn tells_in_words() {
        let text =
            anstream::adapter::strip_str(&render(&parse(ANSWER).unwrap(), &ports())).to_string();
        for line in [
            "dev\n",
            "  Status      Running\n",
            "  Image       Debian 13 (local:debian)\n",
            "  Created     2026-11-22\n",
            "  Addresses   10.77.0.5\n",
            "  Ports       8080 on localhost, not 80 (below 1024)\n",
            "  Memory      120.0 MB\n",
            "  Isolation   privileged\n",
            "What it can see and do\n",
            "  can read and write your home folder\n",
            "  cannot \\u{1b}[2J fly\n",
        ] {
            assert!(text.contains(line), "{line:?} in\n{text}");
        }
        assert!(!text.contains("Disk"), "{text}");
    }

    #[test]
    fn a_stopped_container_has_no_sessions_to_tell_about() {
        let mut info: ContainerInfo = parse(ANSWER).unwrap();
        info.summary.status = "Stopped".to_owned();
        info.agent = AgentState::Absent;
        let text = render(&info, &ContainerPorts::default());
        assert!(
            !text.contains("Sessions") && !text.contains("Ports"),
            "{text}"
        );
    }
}
