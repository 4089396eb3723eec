// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `kapsule config`

mod set;

use std::collections::{BTreeMap, HashMap};

use crate::bus::Bus;
use crate::error::CommandError;
use crate::ui;

/// Show the configuration that is in force for you, or change it
///
/// It is read from ~/.config/kapsule/kapsule.conf, /etc/kapsule/kapsule.conf and
/// /usr/lib/kapsule/kapsule.conf, key by key; the first one that has a key wins. `set` and `unset`
/// change the first; you can edit it as well.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
#[command(after_help = "\
Examples:
  kapsule config
  kapsule config default_image
  kapsule config set default_image images:debian/13
  kapsule config set --system servers.work https://images.example.org

In the file:
  [kapsule]
  default_container = dev
  default_image = images:debian/13")]
pub(crate) struct Args {
    #[command(subcommand)]
    change: Option<Change>,
    /// Print only the value of this key
    key: Option<String>,
    /// Print JSON: an object, or a text with KEY
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Change {
    Set(set::SetArgs),
    Unset(set::UnsetArgs),
}

pub(crate) async fn run(args: Args, bus: &Bus) -> Result<(), CommandError> {
    match args.change {
        Some(Change::Set(change)) => return set::set(change, bus).await,
        Some(Change::Unset(change)) => return set::unset(change, bus).await,
        None => {}
    }
    let config = fetch(bus).await?;
    match (args.key, args.json) {
        (None, false) => ui::data(&render(&config)),
        (None, true) => ui::json(&config),
        (Some(key), json) => {
            let value = value(&config, &key)?;
            if json {
                ui::json(value)
            } else {
                ui::data(&format!("{value}\n"))
            }
        }
    }
}

/// The user's configuration by key.
pub(crate) async fn fetch(bus: &Bus) -> Result<BTreeMap<String, String>, CommandError> {
    let manager = bus.manager().await?;
    let answer = bus.ask(async || manager.get_config().await).await?;
    read(answer)
}

/// The interface has no error for this method: a failure is a map with the key `error`.
fn read(answer: HashMap<String, String>) -> Result<BTreeMap<String, String>, CommandError> {
    match answer.get("error") {
        Some(why) => Err(
            CommandError::failed(format!("the configuration cannot be read: {why}"))
                .hint("look at ~/.config/kapsule/kapsule.conf and /etc/kapsule/kapsule.conf"),
        ),
        None => Ok(answer.into_iter().collect()),
    }
}

fn value<'a>(config: &'a BTreeMap<String, String>, key: &str) -> Result<&'a String, CommandError> {
    config.get(key).ok_or_else(|| {
        let known: Vec<&str> = config.keys().map(String::as_str).collect();
        CommandError::usage(format!(
            "there is no key '{}' in the configuration",
            ui::escape(key)
        ))
        .hint(format!("the keys are: {}", known.join(", ")))
    })
}

fn render(config: &BTreeMap<String, String>) -> String {
    config
        .iter()
        .map(|(key, value)| format!("{} = {}\n", ui::escape(key), ui::escape(value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> BTreeMap<String, String> {
        read(HashMap::from([
            ("default_image".to_owned(), "local:debian".to_owned()),
            ("default_container".to_owned(), "dev".to_owned()),
        ]))
        .unwrap()
    }

    #[test]
    fn shows_keys_in_order() {
        assert_eq!(
            render(&config()),
            "default_container = dev\ndefault_image = local:debian\n"
        );
    }

    #[test]
    fn an_unknown_key_is_an_error() {
        assert_eq!(value(&config(), "default_image").unwrap(), "local:debian");
        assert!(value(&config(), "nonsense").is_err());
    }

    #[test]
    fn a_failure_comes_as_a_value() {
        let answer = HashMap::from([("error".to_owned(), "malformed".to_owned())]);
        assert!(read(answer).unwrap_err().to_string().contains("malformed"));
    }
}
