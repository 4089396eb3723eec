// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The installed system, as its users see it. See `src/lib.rs` for how the tests reach the host.

mod administration;
mod bad_input;
mod bus_interface;
mod bus_methods;
mod desktop;
mod devices;
mod enter;
mod failures;
mod file_systems;
mod guests;
mod host_settings;
mod hostile;
mod hostile_boot;
mod hostile_guest;
mod images;
mod isolation_choice;
mod isolation_privileged;
mod isolation_sealed;
mod lifecycle;
mod mounts;
mod names;
mod nested;
mod operations;
mod options;
mod or_host;
mod ownership;
mod polkit;
mod ports;
mod reboot;
mod robustness;
mod sandbox;
mod secrets;
mod security;
mod separation;
mod session_exact;
mod session_many;
mod session_terminal;
mod settings;
mod startup_files;
mod terminal;
mod walls;
