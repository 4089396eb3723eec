// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! Snapshots of a container.

use incus::{FileAttr, SnapshotPost};

use crate::fixture::with_project;

#[tokio::test]
async fn made_restored_renamed_deleted() {
    with_project(async |test| {
        let project = &test.project;
        test.stopped("demo").await;
        project
            .write_file("demo", "/root/f", "before", FileAttr::default())
            .await
            .unwrap();
        let post = SnapshotPost::new("one");
        project
            .create_snapshot("demo", &post)
            .await
            .unwrap()
            .wait()
            .await
            .unwrap();
        let error = async { project.create_snapshot("demo", &post).await?.wait().await }
            .await
            .unwrap_err();
        assert!(error.is_conflict(), "{error}");

        project
            .write_file("demo", "/root/f", "after", FileAttr::default())
            .await
            .unwrap();
        project
            .restore_snapshot("demo", "one")
            .await
            .unwrap()
            .wait()
            .await
            .unwrap();
        assert_eq!(
            project
                .read_file("demo", "/root/f", 100)
                .await
                .unwrap()
                .content,
            b"before"
        );
        let error = async {
            project
                .restore_snapshot("demo", "nothing")
                .await?
                .wait()
                .await
        }
        .await
        .unwrap_err();
        assert!(error.is_not_found(), "{error}");

        project
            .rename_snapshot("demo", "one", "two")
            .await
            .unwrap()
            .wait()
            .await
            .unwrap();
        let names = async || -> Vec<String> {
            project
                .snapshots("demo")
                .await
                .unwrap()
                .into_iter()
                .map(|snapshot| snapshot.name)
                .collect()
        };
        assert_eq!(names().await, ["two"]);
        let full = project.instances_full().await.unwrap();
        assert_eq!(full[0].snapshots[0].name, "two");
        assert!(
            full[0].snapshots[0].created_at.is_some() && full[0].snapshots[0].expires_at.is_none()
        );
        project
            .delete_snapshot("demo", "two")
            .await
            .unwrap()
            .wait()
            .await
            .unwrap();
        assert_eq!(names().await, Vec::<String>::new());
        assert!(
            project
                .snapshots("nobody")
                .await
                .unwrap_err()
                .is_not_found()
        );
    })
    .await;
}
