// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Rules of the host's polkit, as an administrator writes them, and passwords for it to ask for.

use std::time::Instant;

use crate::host::ROOT;
use crate::process::{HANG, Session};

/// A rule about one of Kapsule's actions and one user, until this is dropped. A test that has one has
/// the host alone.
#[derive(Debug)]
pub struct Rule {
    file: String,
    user: Session,
    action: String,
    before: i32,
}

impl Rule {
    /// Makes polkit answer with `result`, such as `NO` or `YES`, when `user` does `act`, which is the
    /// action's name without `org.kde.kapsule.`; returns when it does.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn new(user: Session, act: &str, result: &str) -> Self {
        let rule = Self {
            file: format!("/etc/polkit-1/rules.d/40-t-{act}.rules"),
            user,
            action: format!("org.kde.kapsule.{act}"),
            before: check(user, &format!("org.kde.kapsule.{act}")),
        };
        let text = format!(
            "polkit.addRule(function(action, subject) {{ \
               if (action.id == \"{}\" && subject.user == \"{}\") return polkit.Result.{result}; }});",
            rule.action, user.user
        );
        ROOT.command(["tee", &rule.file]).stdin(text).run().ok();
        let wanted = match result {
            "YES" => 0,
            "NO" => 1,
            // A password is needed.
            _ => 2,
        };
        rule.wait_for(wanted);
        rule
    }

    #[track_caller]
    fn wait_for(&self, wanted: i32) {
        let deadline = Instant::now() + HANG;
        while check(self.user, &self.action) != wanted {
            assert!(
                Instant::now() < deadline,
                "polkit does not see {}",
                self.file
            );
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
}

impl Drop for Rule {
    fn drop(&mut self) {
        drop(ROOT.run(["rm", "-f", &self.file]));
        if !std::thread::panicking() {
            self.wait_for(self.before);
        }
    }
}

/// What polkit says of a user's own process: 0 yes, 1 no, 2 with a password that nobody is asked for.
fn check(user: Session, action: &str) -> i32 {
    user.sh(&format!("exec pkcheck --action-id {action} --process $$"))
        .status
}

/// A password of an account in the host, until this is dropped.
#[derive(Debug)]
pub struct Password(&'static str);

impl Password {
    /// Gives an account a password.
    ///
    /// # Panics
    /// When that fails.
    #[track_caller]
    pub fn new(account: &'static str, password: &str) -> Self {
        let line = format!("{account}:{password}\n");
        ROOT.command(["chpasswd"]).stdin(line).run().ok();
        Self(account)
    }
}

impl Drop for Password {
    fn drop(&mut self) {
        drop(ROOT.run(["usermod", "--password", "*", self.0]));
    }
}
