// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The options of a container: one [`schema()`], from which D-Bus, the command line and settings
//! dialogs take what there is, and the rules between the values ([`resolve()`]).

mod container;
mod error;
mod image_defaults;
mod resolve;
mod schema;
mod sections;
mod value;

pub use container::{MAX_DEVICES, Options};
pub use error::OptionsError;
pub use image_defaults::{ParsedDefaults, parse_image_defaults};
pub use resolve::{level, resolve};
pub use schema::{Choice, OptionSpec, OptionType, Section, VERSION, find, schema, schema_json};
pub use sections::USB_ID;
pub use value::OptionValue;
