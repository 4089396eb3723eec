// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! D-Bus, with the clients that every system has: `busctl`, whose answers come as JSON, and `gdbus`,
//! which tells the names of errors.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::process::{HANG, Output, Session};

/// The service's name.
pub const SERVICE: &str = "org.kde.kapsule";
/// The root object.
pub const ROOT_PATH: &str = "/org/kde/kapsule";
/// The interface that existing clients know.
pub const MANAGER: &str = "org.kde.kapsule.Manager";
/// The newer interface for containers.
pub const CONTAINERS: &str = "org.kde.kapsule.Containers1";
/// The interface of an operation.
pub const OPERATION: &str = "org.kde.kapsule.Operation";

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// `completed`, `failed` or `cancelled`.
    pub status: String,
    /// Empty when it completed.
    pub error: String,
}

impl Session {
    /// Calls a method of any object: `method` is `INTERFACE.MEMBER`, `args` begin with the signature.
    pub fn call_at(&self, path: &str, method: &str, args: &[&str]) -> Output {
        let (interface, member) = method.rsplit_once('.').unwrap_or(("", method));
        let call = [
            "busctl",
            "--system",
            "--json=short",
            "--timeout=100",
            "call",
        ];
        let target = ["--", SERVICE, path, interface, member];
        self.run([&call[..], &target, args].concat())
    }

    /// Calls a method of the manager.
    pub fn call(&self, member: &str, args: &[&str]) -> Output {
        self.call_at(ROOT_PATH, &format!("{MANAGER}.{member}"), args)
    }

    /// The values that a method of the manager returns.
    ///
    /// # Panics
    /// When it returns an error, or something else than this signature.
    #[track_caller]
    pub fn answer(&self, member: &str, args: &[&str], signature: &str) -> Value {
        values(&self.call(member, args), signature)
    }

    /// Calls a method that starts an operation, and gives the operation's path.
    ///
    /// # Panics
    /// When it does not start one.
    #[track_caller]
    pub fn launch(&self, member: &str, args: &[&str]) -> String {
        path_in(&self.call(member, args))
    }

    /// Calls a method that starts an operation, and waits for the operation's end.
    ///
    /// # Panics
    /// When it does not start one, or that does not end.
    #[track_caller]
    pub fn operate(&self, member: &str, args: &[&str]) -> Ended {
        let path = self.launch(member, args);
        self.finish(&path)
    }

    /// Waits for the end of an operation. Looked at in time, its object is still there.
    ///
    /// # Panics
    /// When it does not end.
    #[track_caller]
    pub fn finish(&self, path: &str) -> Ended {
        let deadline = Instant::now() + HANG;
        loop {
            let status = self.property(path, "Status");
            if status != "running" {
                let error = self.property(path, "ErrorMessage");
                return Ended { status, error };
            }
            assert!(Instant::now() < deadline, "operation {path} hangs");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A text property of an operation.
    ///
    /// # Panics
    /// When it cannot be read.
    #[track_caller]
    pub fn property(&self, path: &str, name: &str) -> String {
        let get = ["busctl", "--system", "--json=short", "get-property"];
        let output = self.run([&get[..], &[SERVICE, path, OPERATION, name]].concat());
        let answer = output.json();
        assert_eq!(answer["type"], "s", "{output}");
        answer["data"].as_str().unwrap_or_default().to_owned()
    }

    /// The name of the error that a method of the manager returns; `args` as `gdbus` wants them.
    ///
    /// # Panics
    /// When it returns none.
    #[track_caller]
    pub fn error_name(&self, method: &str, args: &[&str]) -> String {
        let call = ["gdbus", "call", "--system", "--timeout", "100"];
        let target = [
            "--dest",
            SERVICE,
            "--object-path",
            ROOT_PATH,
            "--method",
            method,
            "--",
        ];
        let output = self.run([&call[..], &target, args].concat());
        let all = output.failed();
        match all
            .split_once("GDBus.Error:")
            .and_then(|(_, rest)| rest.split_once(": "))
        {
            Some((name, _)) => name.to_owned(),
            None => panic!("no error of D-Bus: {output}"),
        }
    }
}

/// The values in an answer of `busctl`.
///
/// # Panics
/// When it is an error, or something else than this signature.
#[track_caller]
pub fn values(output: &Output, signature: &str) -> Value {
    let mut answer = output.json();
    assert_eq!(answer["type"], signature, "{output}");
    answer["data"].take()
}

/// The path of the operation in an answer.
///
/// # Panics
/// When there is none.
#[track_caller]
pub fn path_in(output: &Output) -> String {
    let path = values(output, "o")[0]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert!(
        path.starts_with("/org/kde/kapsule/operations/"),
        "{path}: {output}"
    );
    path
}
