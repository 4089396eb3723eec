// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! A project, pool and image for one test, taken away again however the test ends.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::PathBuf;

use futures_util::FutureExt;
use incus::{
    Client, Devices, ImportOptions, InstancePost, InstanceSource, Project, ProjectPost,
    StoragePoolPost,
};

use crate::image_file;

/// What a test works with.
pub(crate) struct Fixture {
    pub(crate) client: Client,
    pub(crate) socket: PathBuf,
    pub(crate) project: Project,
    /// Unlike any other test's, and fit for any kind of name.
    pub(crate) suffix: String,
}

/// The socket of the real Incus, or `None` when these tests are to be skipped.
fn socket() -> Option<PathBuf> {
    let socket = std::env::var_os("KAPSULE_TEST_INCUS_SOCKET").map(PathBuf::from);
    if socket.is_none() {
        assert!(
            std::env::var_os("KAPSULE_TEST_REQUIRE_INCUS").is_none_or(|value| value != "1"),
            "KAPSULE_TEST_REQUIRE_INCUS=1, but KAPSULE_TEST_INCUS_SOCKET is not set"
        );
        println!("SKIPPED: KAPSULE_TEST_INCUS_SOCKET is not set");
    }
    socket
}

/// Runs a test that needs nothing but the server.
pub(crate) async fn with_server(test: impl AsyncFnOnce(&Client)) {
    if let Some(socket) = socket() {
        test(&Client::new(socket)).await;
    }
}

/// Runs a test in a project of its own, where the image `kt-<suffix>` can be used.
pub(crate) async fn with_project(test: impl AsyncFnOnce(&Fixture)) {
    let Some(socket) = socket() else { return };
    let client = Client::new(&socket);
    let suffix = format!("{:08x}", RandomState::new().build_hasher().finish() as u32);
    let project = client.project(&format!("kt-{suffix}"));
    let fixture = Fixture {
        client,
        socket,
        project,
        suffix,
    };
    let outcome = AssertUnwindSafe(async {
        fixture.set_up().await;
        test(&fixture).await;
    })
    .catch_unwind()
    .await;
    let left = fixture.clean_up().await;
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
    assert!(left.is_empty(), "could not be taken away: {left:#?}");
}

impl Fixture {
    /// The name of this test's project, pool and image alias.
    pub(crate) fn name(&self) -> &str {
        self.project.name()
    }

    async fn set_up(&self) {
        let name = self.name().to_owned();
        let pool = StoragePoolPost {
            name: name.clone(),
            driver: "dir".into(),
            ..Default::default()
        };
        self.client.create_storage_pool(&pool).await.unwrap();
        let features = ["images", "profiles", "networks"]
            .map(|key| (format!("features.{key}"), "false".to_owned()));
        let project = ProjectPost {
            name: name.clone(),
            config: BTreeMap::from(features),
            ..Default::default()
        };
        self.client.create_project(&project).await.unwrap();
        let (metadata, rootfs) = image_file::split(&self.suffix, b"");
        let options = ImportOptions {
            aliases: vec![name],
            ..Default::default()
        };
        let import =
            self.client
                .import_image_split(Cursor::new(metadata), Cursor::new(rootfs), &options);
        import.await.unwrap().wait().await.unwrap();
    }

    /// Takes away all that carries this test's suffix; returns what did not go.
    async fn clean_up(&self) -> Vec<String> {
        let mut left = Vec::new();
        let mut note = |what: String, result: incus::Result<()>| {
            if let Err(error) = result
                && !error.is_not_found()
            {
                left.push(format!("{what}: {error}"));
            }
        };
        for instance in self.project.instances().await.unwrap_or_default() {
            if let Ok(stop) = self
                .project
                .change_state(&instance.name, &incus::StateChange::kill())
                .await
            {
                // That it is stopped already is what is wanted.
                let _ = stop.wait().await;
            }
            let delete = async {
                self.project
                    .delete_instance(&instance.name)
                    .await?
                    .wait()
                    .await
                    .map(drop)
            };
            note(instance.name.clone(), delete.await);
        }
        for image in self.client.images().await.unwrap_or_default() {
            if image
                .properties
                .get("unique")
                .is_some_and(|unique| unique.contains(&self.suffix))
            {
                let delete = async {
                    self.client
                        .delete_image(&image.fingerprint)
                        .await?
                        .wait()
                        .await
                        .map(drop)
                };
                note(image.fingerprint.clone(), delete.await);
            }
        }
        note(
            "network".into(),
            self.client
                .delete_network(&format!("kt{}", self.suffix))
                .await,
        );
        note(
            "project".into(),
            self.client.delete_project(self.name()).await,
        );
        note(
            "pool".into(),
            self.client.delete_storage_pool(self.name()).await,
        );
        left
    }

    /// A container from this test's image, not made yet.
    pub(crate) fn container(&self, name: &str) -> InstancePost {
        let root = [("type", "disk"), ("path", "/"), ("pool", self.name())];
        let root = root.map(|(key, value)| (key.to_owned(), value.to_owned()));
        InstancePost {
            profiles: Some(vec![]),
            devices: Devices::from([("root".to_owned(), BTreeMap::from(root))]),
            ..InstancePost::new(name, InstanceSource::Alias(self.name().to_owned()))
        }
    }

    /// Makes and starts a container.
    pub(crate) async fn running(&self, name: &str) {
        let post = InstancePost {
            start: true,
            ..self.container(name)
        };
        self.project
            .create_instance(&post)
            .await
            .unwrap()
            .wait()
            .await
            .unwrap();
    }

    /// Makes a container.
    pub(crate) async fn stopped(&self, name: &str) {
        self.project
            .create_instance(&self.container(name))
            .await
            .unwrap()
            .wait()
            .await
            .unwrap();
    }
}
