// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Attacks. Each fault of the first Kapsule has a test that fails where the fault is:
//!
//! | fault | test |
//! |---|---|
//! | S1 no authorisation: everybody manages everything | [`access::s01_nobody_acts_on_anothers_containers`] |
//! | S2 any local user becomes root of the host | [`guest::s02_root_of_a_container_is_nobody_on_the_host`] |
//! | S3 `SetupUser` believes who the caller says they are | [`access::s03_nobody_is_set_up_as_somebody_else`] |
//! | S4 a group, or a socket, gives all of Incus | [`access::s04_entering_takes_no_right_to_incus`] |
//! | S5 root of the host runs programs of a guest | [`guest::s05_no_program_of_a_guest_runs_outside_of_it`] |
//! | S6 paths from the caller's environment | [`guest::s06_variables_are_no_paths_to_root`] |
//! | S7 the environment on command lines | [`leaks::s07_variables_are_on_no_command_line`] |
//! | S8 signals are believed, whoever sends them | [`access::s08_signals_of_users_change_nothing`] |
//! | S9 names reach other addresses of Incus | [`access::s09_names_stay_names`] |
//! | S10 users' files are read as root, and waited for | [`files::s10_a_users_configuration_is_read_as_the_user`] and the others in [`files`] |
//! | S11 callers are told by process numbers | [`access::s11_who_calls_is_who_connected`] |
//! | S12 images are fetched unchecked | [`files::s12_images_come_over_https_only`]. What is fetched is checked by Incus against the server's index, which is not signed: signatures wait for the issue about the supply of images |
//! | S13 every instance of Incus is touched | [`access::s13_other_instances_are_left_alone`] |
//! | S14 the bus multiplexer believes a user number, and logs messages | [`leaks::s14_the_journal_tells_no_content`]; that nobody but the owner is let in by the multiplexer is in `desktop::mux`, and what it believes in its own tests |
//!
//! Beyond these: [`abuse`] has what one user can do to the service's time and memory, [`fuzz`] calls
//! everything at random, and `mounts.rs`, `hostile.rs` and `hostile_guest.rs` beside this folder have
//! races over folders, lying agents and prepared file systems.

mod abuse;
mod access;
mod files;
mod fuzz;
mod guest;
mod leaks;

use std::sync::OnceLock;

use kapsule_system_tests::host::ROOT;

/// Puts the program that plays a hostile user into the host and gives its path there.
///
/// # Panics
/// When that fails.
pub(crate) fn hostile_user() -> &'static str {
    const PATH: &str = "/usr/local/bin/t-hostile-user";
    static THERE: OnceLock<()> = OnceLock::new();
    THERE.get_or_init(|| {
        let program = std::fs::read(env!("CARGO_BIN_EXE_hostile-user")).unwrap_or_default();
        let put = format!("cat > {PATH}.new && chmod 755 {PATH}.new && mv {PATH}.new {PATH}");
        ROOT.command(["sh", "-c", &put]).stdin(program).run().ok();
    });
    PATH
}

/// A number of the service's process: of `VmRSS`, in kB, or of what else `/proc/PID/status` has.
fn daemon_status(key: &str) -> u64 {
    let script = format!(
        "awk '/^{key}:/ {{ print $2 }}' /proc/$(systemctl show -P MainPID kapsule-daemon.service)/status"
    );
    let said = ROOT.sh(&script).ok();
    match said.trim().parse() {
        Ok(number) => number,
        Err(error) => panic!("{key}: {said:?}: {error}"),
    }
}

/// The service's process.
fn daemon_pid() -> u64 {
    daemon_status("Pid")
}

/// Begins anew to look for the most memory that it takes (proc(5), `clear_refs`).
fn forget_peak() {
    ROOT.sh("echo 5 > /proc/$(systemctl show -P MainPID kapsule-daemon.service)/clear_refs")
        .ok();
}
