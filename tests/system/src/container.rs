// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Containers and images for tests. All are called `t-…`.

use std::sync::{Mutex, OnceLock, PoisonError};

use serde_json::Value;

use crate::host::{ALICE, BOB, ROOT};
use crate::process::Session;

/// The image that containers are made from, imported by root and thus everybody's.
pub const IMAGE: &str = "local:debian";

/// A folder in the host with that image's files, which `cargo xtask image build debian --host` puts there.
pub const IMAGE_FOLDER: &str = "/var/cache/kapsule-images/debian";

/// Makes an image everybody's that `cargo xtask image build NAME --host` has put into the host.
///
/// # Panics
/// When it is not there.
pub fn provided(name: &str) -> String {
    // Several tests may want the same one first.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let one = ONE_AT_A_TIME.lock();
    let _one = one.unwrap_or_else(PoisonError::into_inner);
    if !aliases(ALICE).iter().any(|known| known == name) {
        let folder = format!("/var/cache/kapsule-images/{name}");
        ROOT.kapsule(["image", "import", &folder, "--alias", name])
            .ok();
    }
    format!("local:{name}")
}

/// A container that is deleted when this is dropped.
#[derive(Debug)]
pub struct Container {
    /// Whose it is.
    pub owner: Session,
    /// Its name.
    pub name: &'static str,
}

impl Container {
    /// Makes one, with these more arguments to `kapsule create`.
    ///
    /// # Panics
    /// When that fails.
    #[track_caller]
    pub fn create(owner: Session, name: &'static str, args: &[&str]) -> Self {
        let container = Self::planned(owner, name);
        let mut line = vec!["create", name];
        if !args.contains(&"--image") {
            line.extend(["--image", IMAGE]);
        }
        line.extend(args);
        owner.kapsule(line).ok();
        container
    }

    /// One that the test makes itself, and that is deleted all the same.
    pub fn planned(owner: Session, name: &'static str) -> Self {
        Self { owner, name }
    }

    /// What `kapsule info` tells about it.
    ///
    /// # Panics
    /// When it tells nothing.
    #[track_caller]
    pub fn info(&self) -> Value {
        self.owner.kapsule(["info", "--json", self.name]).json()
    }

    /// Its state in words.
    ///
    /// # Panics
    /// When there is no such container.
    #[track_caller]
    pub fn status(&self) -> String {
        self.info()["status"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Runs a command inside that must succeed, and gives what it printed.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn sh(&self, script: &str) -> String {
        self.owner.enter(self.name, ["sh", "-c", script]).ok()
    }

    /// Its configuration, as Incus has it.
    ///
    /// # Panics
    /// When Incus does not know it.
    #[track_caller]
    pub fn incus_config(&self) -> Value {
        let project = format!("kapsule-{}", self.owner.uid);
        let path = format!("/1.0/instances/{}?project={project}", self.name);
        ROOT.run(["incus", "query", &path]).json()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // It may never have been made, or be gone already.
        let remove = || drop(self.owner.kapsule(["rm", "--force", self.name]));
        if std::thread::panicking() {
            // A second panic would end all other tests, too; the first says what is wrong.
            drop(std::panic::catch_unwind(std::panic::AssertUnwindSafe(
                remove,
            )));
        } else {
            remove();
        }
    }
}

/// A container of alice's that many tests look into and none changes. It stays, running, when the tests
/// end: nobody knows which of them is the last. The next run makes it anew.
///
/// # Panics
/// When it cannot be made.
pub fn common() -> &'static Container {
    static COMMON: OnceLock<Result<Container, String>> = OnceLock::new();
    let made = COMMON.get_or_init(|| {
        let made = ALICE.kapsule(["create", "t-common", "--image", IMAGE]);
        match made.status {
            0 => Ok(Container::planned(ALICE, "t-common")),
            _ => Err(made.to_string()),
        }
    });
    match made {
        Ok(container) => container,
        Err(why) => panic!("no container: {why}"),
    }
}

/// The names of a user's containers.
///
/// # Panics
/// When they cannot be listed.
#[track_caller]
pub fn names(owner: Session) -> Vec<String> {
    let list = owner.kapsule(["list", "--json"]).json();
    let names = list.as_array().into_iter().flatten();
    names
        .filter_map(|container| Some(container["name"].as_str()?.to_owned()))
        .collect()
}

/// The aliases of the images that a user sees.
///
/// # Panics
/// When they cannot be listed.
#[track_caller]
pub fn aliases(user: Session) -> Vec<String> {
    let list = user.kapsule(["image", "list", "--json"]).json();
    let images = list.as_array().into_iter().flatten();
    images
        .flat_map(|image| image["aliases"].as_array().into_iter().flatten())
        .filter_map(|alias| Some(alias["name"].as_str()?.to_owned()))
        .collect()
}

pub(crate) fn remove_leftovers() {
    for owner in [ALICE, BOB, ROOT] {
        let ours = |name: &String| name.starts_with("t-");
        let containers: Vec<String> = names(owner).into_iter().filter(ours).collect();
        if !containers.is_empty() {
            owner
                .kapsule([&["rm".to_owned(), "--force".to_owned()], &containers[..]].concat())
                .ok();
        }
        for alias in aliases(owner).into_iter().filter(ours) {
            drop(ROOT.kapsule(["image", "delete", &alias]));
        }
        drop(owner.sh("rm -rf ~/t-* ~/.config/kapsule/kapsule.conf"));
    }
}

/// Imports the image as root, unless root has it already. One that is a user's, too, would be that user's
/// to delete.
pub(crate) fn provide_image() -> Result<(), String> {
    let (_, alias) = IMAGE.split_once(':').unwrap_or(("", IMAGE));
    let images = ROOT.kapsule(["image", "list", "--json"]).json();
    let has_alias = |image: &Value| {
        let mut aliases = image["aliases"].as_array().into_iter().flatten();
        aliases.any(|known| known["name"] == alias)
    };
    if let Some(image) = images
        .as_array()
        .into_iter()
        .flatten()
        .find(|it| has_alias(it))
    {
        let properties = image["properties"].as_object().into_iter().flatten();
        let owners: Vec<&str> = properties
            .filter_map(|(key, _)| key.strip_prefix("kapsule.owner."))
            .collect();
        if owners == ["0"] {
            return Ok(());
        }
        drop(ROOT.kapsule(["image", "delete", alias]));
    }
    let imported = ROOT.kapsule(["image", "import", IMAGE_FOLDER, "--alias", alias]);
    match imported.status {
        0 => Ok(()),
        _ => Err(imported.to_string()),
    }
}
