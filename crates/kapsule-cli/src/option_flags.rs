// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The flags of `create` and `set`: one or two for each option of the schema.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::LazyLock;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Arg, ArgAction, ArgMatches, Args, FromArgMatches, ValueHint};
use kapsule_core::options::{OptionSpec, OptionType, OptionValue, USB_ID, schema};
use zbus::Variant;

/// The options that were set on the command line, and no others: the image and the schema decide
/// about the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OptionFlags(BTreeMap<&'static str, OptionValue>);

impl OptionFlags {
    /// As D-Bus wants them.
    pub(crate) fn to_variants(&self) -> HashMap<&str, Variant<'_>> {
        self.0
            .iter()
            .map(|(key, value)| {
                let value = match value {
                    OptionValue::Boolean(on) => Variant::from(*on),
                    OptionValue::String(text) => Variant::from(text.as_str()),
                    OptionValue::Array(elements) => Variant::from(elements),
                };
                (*key, value)
            })
            .collect()
    }
}

/// The same for a container that there is. Options that cannot be changed then are taken, too, and not
/// shown: the service tells why they cannot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ChangeFlags(pub(crate) OptionFlags);

/// The flags of one option.
struct Flags {
    section: &'static str,
    option: &'static OptionSpec,
    /// Name without dashes.
    on: String,
    /// Name without dashes of a boolean's opposite.
    off: String,
}

static FLAGS: LazyLock<Vec<Flags>> = LazyLock::new(|| {
    schema()
        .iter()
        .flat_map(|section| section.options.iter().map(move |option| (section, option)))
        .map(|(section, option)| Flags {
            section: section.title,
            option,
            on: option.flag(),
            off: format!("no-{}", option.flag()),
        })
        .collect()
});

impl Flags {
    /// What it is about, and how it is unless somebody says otherwise.
    fn help(&self) -> String {
        let mut help = self.option.description.to_owned();
        if self.option.option_type == OptionType::Boolean {
            help += if self.option.default_on {
                " [default: on]"
            } else {
                " [default: off]"
            };
        }
        if self.option.option_type == OptionType::String && !self.option.choices.is_empty() {
            help += &format!(" [default: {}, or as configured]", self.option.default_text);
        }
        if let Some(reason) = self.option.unavailable {
            help += &format!(" Not available: {reason}.");
        }
        help
    }

    /// Without what it is in a new container: this one has a value.
    fn help_for_change(&self) -> String {
        let mut help = self.option.description.to_owned();
        if self.option.option_type == OptionType::Array {
            help += " Instead of those that there are; can be given several times.";
        }
        help
    }

    fn args(&'static self) -> Vec<Arg> {
        let arg = Arg::new(self.on.as_str())
            .long(self.on.as_str())
            .help_heading(self.section)
            .help(self.help());
        match self.option.option_type {
            OptionType::Boolean => vec![
                arg.action(ArgAction::SetTrue),
                Arg::new(self.off.as_str())
                    .long(self.off.as_str())
                    .help_heading(self.section)
                    .help(format!("The opposite of --{}", self.on))
                    .action(ArgAction::SetTrue),
            ],
            OptionType::String => vec![self.text(arg)],
            OptionType::Array => vec![self.array(arg)],
        }
    }

    fn text(&self, arg: Arg) -> Arg {
        let arg = arg.action(ArgAction::Set);
        if self.option.choices.is_empty() {
            return arg.value_name("TEXT");
        }
        // One that is not there yet is taken, too: the service tells why it cannot be.
        let values = self.option.choices.iter().map(|choice| {
            PossibleValue::new(choice.value)
                .help(choice.description)
                .hide(choice.unavailable.is_some())
        });
        arg.value_name("VALUE")
            .value_parser(PossibleValuesParser::new(values))
    }

    fn array(&self, arg: Arg) -> Arg {
        let arg = arg.action(ArgAction::Append);
        if self.is_directories() {
            arg.value_name("DIR")
                .value_hint(ValueHint::DirPath)
                .help(format!("{} Can be given several times.", self.help()))
        } else if self.option.item_format == Some(USB_ID) {
            arg.value_name("VENDOR:PRODUCT")
                .help(format!("{} Can be given several times.", self.help()))
        } else {
            arg.value_name("TEXT")
        }
    }

    fn is_directories(&self) -> bool {
        self.option.item_format == Some("directory-path")
    }

    fn value(&self, matches: &ArgMatches) -> Option<OptionValue> {
        match self.option.option_type {
            // Both at once say nothing.
            OptionType::Boolean => {
                match (matches.get_flag(&self.on), matches.get_flag(&self.off)) {
                    (true, false) => Some(OptionValue::Boolean(true)),
                    (false, true) => Some(OptionValue::Boolean(false)),
                    _ => None,
                }
            }
            OptionType::String => matches
                .get_one::<String>(&self.on)
                .map(|text| OptionValue::String(text.clone())),
            OptionType::Array => matches.get_many::<String>(&self.on).map(|elements| {
                OptionValue::Array(
                    elements
                        .map(|element| {
                            if self.is_directories() {
                                absolute(element)
                            } else {
                                element.clone()
                            }
                        })
                        .collect(),
                )
            }),
        }
    }
}

/// The service does not know where the user stands; `~/` it knows.
fn absolute(path: &str) -> String {
    if path.is_empty() || path == "~" || path.starts_with("~/") {
        return path.to_owned();
    }
    std::path::absolute(Path::new(path))
        .ok()
        .and_then(|path| path.into_os_string().into_string().ok())
        .unwrap_or_else(|| path.to_owned())
}

impl Args for OptionFlags {
    fn augment_args(command: clap::Command) -> clap::Command {
        command.args(FLAGS.iter().flat_map(Flags::args))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for OptionFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self(
            FLAGS
                .iter()
                .filter_map(|flags| Some((flags.option.key, flags.value(matches)?)))
                .collect(),
        ))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for ChangeFlags {
    fn augment_args(command: clap::Command) -> clap::Command {
        let args = FLAGS.iter().flat_map(|flags| {
            let changeable = flags.option.changeable;
            let args = flags.args().into_iter();
            args.enumerate().map(move |(place, arg)| match place {
                0 => arg.help(flags.help_for_change()).hide(!changeable),
                _ => arg.hide(!changeable),
            })
        });
        command.args(args)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ChangeFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        OptionFlags::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> clap::Command {
        OptionFlags::augment_args(clap::Command::new("x"))
    }

    fn parse(line: &str) -> Result<String, clap::Error> {
        let argv = ["x"].into_iter().chain(line.split_whitespace());
        let matches = command().try_get_matches_from(argv)?;
        let flags = OptionFlags::from_arg_matches(&matches)?;
        Ok(serde_json::to_string(&flags.0).unwrap())
    }

    #[test]
    fn only_what_is_set_is_sent() {
        let cases = [
            ("", "{}"),
            ("--gpu", r#"{"gpu":true}"#),
            ("--no-gpu", r#"{"gpu":false}"#),
            ("--gpu --no-gpu", "{}"),
            (
                "--no-mount-home --session-mode",
                r#"{"mount_home":false,"session_mode":true}"#,
            ),
            ("--isolation sealed", r#"{"isolation":"sealed"}"#),
            ("--isolation vm", r#"{"isolation":"vm"}"#),
            (
                "--custom-mounts ~/a --custom-mounts /b",
                r#"{"custom_mounts":["~/a","/b"]}"#,
            ),
        ];
        for (line, expected) in cases {
            assert_eq!(parse(line).unwrap(), expected, "{line}");
        }
        for line in [
            "--gpu=yes",
            "--nonsense",
            "--custom-mounts",
            "--isolation",
            "--isolation=x",
            "value",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn only_what_can_be_changed_is_shown_for_a_change() {
        let mut command = ChangeFlags::augment_args(clap::Command::new("x"));
        let help = command.render_long_help().to_string();
        for option in schema().iter().flat_map(|section| section.options) {
            let shown = help.contains(&format!("--{} ", option.flag()))
                || help.contains(&format!("--{}\n", option.flag()));
            assert_eq!(shown, option.changeable, "{}\n{help}", option.key);
        }
        let matches = command.try_get_matches_from(["x", "--no-gpu"]).unwrap();
        let flags = ChangeFlags::from_arg_matches(&matches).unwrap();
        assert_eq!(flags.0.0["gpu"], OptionValue::Boolean(false));
    }

    #[test]
    fn relative_folders_are_those_of_the_user() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(absolute("src"), here.join("src").to_str().unwrap());
        for kept in ["", "~", "~/x", "/x"] {
            assert_eq!(absolute(kept), kept);
        }
    }

    #[test]
    fn every_option_of_the_schema_is_explained() {
        let help = command().term_width(0).render_long_help().to_string();
        for option in schema().iter().flat_map(|section| section.options) {
            assert!(
                help.contains(&format!("--{}", option.flag())),
                "{}",
                option.key
            );
            for choice in option.choices.iter().filter(|it| it.unavailable.is_none()) {
                assert!(help.contains(choice.description), "{}", choice.value);
            }
            if let Some(reason) = option.unavailable {
                assert!(help.contains(reason), "{}", option.key);
            }
            if option.option_type == OptionType::Boolean {
                assert!(
                    help.contains(&format!("--no-{}", option.flag())),
                    "{}",
                    option.key
                );
            }
        }
    }

    #[test]
    fn values_have_the_types_of_the_wire() {
        let flags = OptionFlags(BTreeMap::from([
            ("gpu", OptionValue::Boolean(false)),
            ("custom_mounts", OptionValue::Array(vec!["/a".to_owned()])),
            ("text", OptionValue::String("t".to_owned())),
        ]));
        let signature = |key: &str| flags.to_variants()[key].value_signature().to_string();
        assert_eq!(signature("gpu"), "b");
        assert_eq!(signature("custom_mounts"), "as");
        assert_eq!(signature("text"), "s");
    }
}
