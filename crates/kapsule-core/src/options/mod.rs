// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The options of a container: one [`schema()`], from which D-Bus, the command line and settings
//! dialogs take what there is, and the rules between the values ([`resolve()`]).

mod resolve;
mod schema;
mod value;

pub use resolve::{Options, OptionsError, ParsedDefaults, level, parse_image_defaults, resolve};
pub use schema::{Choice, OptionSpec, OptionType, Section, VERSION, find, schema, schema_json};
pub use value::OptionValue;
