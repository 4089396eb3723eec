// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The host: who has a session there, and which tests may use it at the same time.

use std::fs::File;
use std::io::Write as _;
use std::ops::Deref;
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use crate::container;
use crate::process::{HANG, Session, xtask};

/// The system's administrator.
pub const ROOT: Session = Session {
    user: "root",
    uid: 0,
};
/// May use sudo.
pub const ALICE: Session = Session {
    user: "alice",
    uid: 1000,
};
/// May not.
pub const BOB: Session = Session {
    user: "bob",
    uid: 1001,
};

/// Who may disturb whom.
static HOST: RwLock<()> = RwLock::new(());
/// Whether the host is ready; why not.
static READY: OnceLock<Result<(), String>> = OnceLock::new();

/// The host, held as long as this lives. Dereferences to nothing useful but [`Host`]'s methods.
#[derive(Debug)]
pub struct Held<Guard>(#[allow(dead_code, reason = "held, not read")] Guard);

/// What tests do with the host as a whole.
#[derive(Debug)]
pub struct Host;

impl<Guard> Deref for Held<Guard> {
    type Target = Host;

    fn deref(&self) -> &Host {
        &Host
    }
}

/// The host for a test that disturbs no other one. `None`, with a line that says so, where there is no
/// host.
///
/// # Panics
/// When there is to be one, and it is not usable.
pub fn shared() -> Option<Held<RwLockReadGuard<'static, ()>>> {
    is_there().then(|| {
        let guard = HOST.read().unwrap_or_else(PoisonError::into_inner);
        ready();
        Held(guard)
    })
}

/// The host for a test that stops a service, or looks at everything: nobody else uses it meanwhile.
///
/// # Panics
/// As [`shared`].
pub fn alone() -> Option<Held<RwLockWriteGuard<'static, ()>>> {
    is_there().then(|| {
        let guard = HOST.write().unwrap_or_else(PoisonError::into_inner);
        ready();
        Held(guard)
    })
}

fn is_there() -> bool {
    let there = std::env::var_os("KAPSULE_TEST_HOST").is_some();
    if !there {
        let test = std::thread::current();
        say(&format!(
            "skipped {}: there is no host; `cargo xtask test` has one",
            test.name().unwrap_or("a test")
        ));
    }
    there
}

/// Prints a line. Not with a macro: the test harness keeps to itself what these print.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn ready() {
    if let Err(why) = READY.get_or_init(prepare) {
        panic!("the host is not ready: {why}");
    }
}

fn prepare() -> Result<(), String> {
    one_run_at_a_time()?;
    let answer = ROOT.kapsule(["list", "--json"]);
    if answer.status != 0 {
        return Err(answer.to_string());
    }
    container::remove_leftovers();
    container::provide_image()
}

/// Another run of these tests, begun by somebody else on this machine, would remove what this one makes.
fn one_run_at_a_time() -> Result<(), String> {
    static LOCK: OnceLock<File> = OnceLock::new();
    // Each sandboxed host has its own runs.
    let host = std::env::var("KAPSULE_XTASK_HOST").unwrap_or_default();
    let name: String = host.chars().filter(char::is_ascii_alphanumeric).collect();
    let path = std::env::temp_dir().join(format!("kapsule-system-tests{name}.lock"));
    let failed = |error| format!("cannot lock {}: {error}", path.display());
    let file = File::create(&path).map_err(failed)?;
    if file.try_lock().is_err() {
        say("another run of the system tests uses the host; waiting for its end");
        file.lock().map_err(failed)?;
    }
    // Held until this program ends.
    let _ = LOCK.set(file);
    Ok(())
}

impl Host {
    /// Waits until something holds that has to come by itself.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn wait_until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + HANG;
        while !holds() {
            assert!(Instant::now() < deadline, "it never came to pass: {what}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Everything that Kapsule keeps: instances, images, folders, projects. For comparing.
    ///
    /// # Panics
    /// When it cannot be found out.
    pub fn state(&self) -> String {
        ROOT.sh("set -e
            incus list --all-projects --format csv --columns ensc
            incus image list --format csv --columns lfs
            incus project list --format csv | cut -d, -f1
            find /var/lib/kapsule -path '*/containers/*' | sort
            find /home/alice /home/bob -maxdepth 1 -name 't-*' | sort")
            .ok()
    }

    /// Runs something that must not change anything.
    ///
    /// # Panics
    /// When it does.
    #[track_caller]
    pub fn unchanged<T>(&self, doing: impl FnOnce() -> T) -> T {
        let before = self.state();
        let result = doing();
        assert_eq!(self.state(), before, "something was changed");
        result
    }

    /// Boots the host anew: down, and up again.
    ///
    /// # Panics
    /// When that fails.
    pub fn reboot(&self) {
        for args in [&["host", "down"][..], &["host", "up", "--no-install"]] {
            let done = xtask().args(args).output();
            assert!(
                done.as_ref().is_ok_and(|done| done.status.success()),
                "{args:?}: {done:?}"
            );
        }
    }
}
