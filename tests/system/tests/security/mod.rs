// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Attacks.

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
