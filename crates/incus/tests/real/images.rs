// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! Images and aliases.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::pin::Pin;
use std::task::{Context, Poll};

use incus::{CopyOptions, Error, ImageAliasEntry, ImageAliasPut, ImportOptions};
use tokio::io::{AsyncRead, ReadBuf};

use crate::fixture::with_project;
use crate::image_file;

#[tokio::test]
async fn aliases() {
    with_project(async |test| {
        let client = &test.client;
        let image = client.image_alias(test.name()).await.unwrap();
        let image = client.image(&image.target).await.unwrap();
        assert_eq!(image.properties["os"], "BusyBox");
        assert_eq!(
            (image.kind.as_str(), image.update_source.as_ref()),
            ("container", None)
        );
        assert_eq!(image.raw["properties"]["os"], "BusyBox");
        let listed = client.images().await.unwrap();
        let listed = listed
            .iter()
            .find(|listed| listed.fingerprint == image.fingerprint)
            .unwrap();
        assert_eq!(listed, &image.value);

        let name = format!("{}/with/slash", test.name());
        let alias = ImageAliasEntry {
            name: name.clone(),
            target: image.fingerprint.clone(),
            ..Default::default()
        };
        client.create_alias(&alias).await.unwrap();
        let error = client.create_alias(&alias).await.unwrap_err();
        assert!(error.is_conflict(), "{error}");
        let put = ImageAliasPut {
            target: image.fingerprint.clone(),
            description: "words".into(),
        };
        client.update_alias(&name, &put, None).await.unwrap();
        let found = client.image_alias(&name).await.unwrap();
        assert_eq!(
            (found.description.as_str(), found.target.as_str()),
            ("words", image.fingerprint.as_str())
        );
        assert!(client.image_aliases().await.unwrap().contains(&found.value));
        client.delete_alias(&name).await.unwrap();
        assert!(client.image_alias(&name).await.unwrap_err().is_not_found());
        assert!(client.image("0000").await.unwrap_err().is_not_found());
    })
    .await;
}

#[tokio::test]
async fn a_unified_import_with_everything() {
    with_project(async |test| {
        let client = &test.client;
        let (one, two) = (
            format!("{}-a b&c", test.name()),
            format!("{}-two", test.name()),
        );
        let options = ImportOptions {
            aliases: vec![one.clone(), two.clone()],
            properties: BTreeMap::from([("odd key".to_owned(), "a=b&c".to_owned())]),
            filename: Some("test.tar".into()),
            ..Default::default()
        };
        let tarball = image_file::unified(&format!("{}-unified", test.suffix));
        let import = client
            .import_image_unified(Cursor::new(tarball.clone()), &options)
            .await
            .unwrap();
        let info = import.wait().await.unwrap();
        let image = client.image(info.fingerprint().unwrap()).await.unwrap();
        assert_eq!(
            (image.filename.as_str(), image.size),
            ("test.tar", tarball.len() as i64)
        );
        assert_eq!(image.properties["odd key"], "a=b&c");
        let mut names: Vec<_> = image
            .aliases
            .iter()
            .map(|alias| alias.name.clone())
            .collect();
        names.sort();
        assert_eq!(names, [one, two]);

        let mut again = options.clone();
        again.aliases.clear();
        let error = async {
            client
                .import_image_unified(Cursor::new(tarball), &again)
                .await?
                .wait()
                .await
        };
        let error = error.await.unwrap_err();
        assert!(error.is_conflict(), "{error}");

        client
            .delete_image(&image.fingerprint)
            .await
            .unwrap()
            .wait()
            .await
            .unwrap();
        assert!(
            client
                .image(&image.fingerprint)
                .await
                .unwrap_err()
                .is_not_found()
        );
    })
    .await;
}

#[tokio::test]
async fn imports_that_fail() {
    with_project(async |test| {
        let client = &test.client;
        let nonsense = Cursor::new(b"this is no image".to_vec());
        let error = async {
            client
                .import_image_unified(nonsense, &ImportOptions::default())
                .await?
                .wait()
                .await
        };
        let error = error.await.unwrap_err();
        assert!(matches!(error, Error::OperationFailed { .. }), "{error}");

        let (metadata, rootfs) = image_file::split(&format!("{}-wrong", test.suffix), b"");
        let options = ImportOptions {
            fingerprint: Some("00".repeat(32)),
            ..Default::default()
        };
        let import =
            client.import_image_split(Cursor::new(metadata.clone()), Cursor::new(rootfs), &options);
        let error = async { import.await?.wait().await }.await.unwrap_err();
        assert!(error.to_string().contains("fingerprint"), "{error}");

        let error = client
            .import_image_split(Cursor::new(metadata), Broken, &ImportOptions::default())
            .await
            .unwrap_err();
        assert!(error.to_string().contains("bad sector"), "{error}");
    })
    .await;
}

/// A file that cannot be read to its end.
struct Broken;

impl AsyncRead for Broken {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Poll::Ready(Err(std::io::Error::other("bad sector")))
    }
}

#[tokio::test]
async fn a_download_from_nowhere_says_why() {
    with_project(async |test| {
        let options = CopyOptions {
            aliases: vec![format!("{}-down", test.name())],
            ..Default::default()
        };
        // Port 1 of this host: nothing listens there.
        let copy =
            test.client
                .copy_image_from_simplestreams("https://127.0.0.1:1", "debian/13", &options);
        let error = async { copy.await?.wait().await }.await.unwrap_err();
        assert!(error.to_string().contains("127.0.0.1:1"), "{error}");

        let alias = test.client.image_alias(test.name()).await.unwrap();
        let refresh = async { test.client.refresh_image(&alias.target).await?.wait().await };
        // Some versions do nothing for an image that was not downloaded, some refuse.
        if let Ok(info) = refresh.await {
            assert_eq!(
                info.metadata.get("refreshed"),
                Some(&false.into()),
                "{info:?}"
            );
        }
    })
    .await;
}
