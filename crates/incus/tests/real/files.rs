// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! Files of a container.

use incus::{Error, FileAttr, FileType, WriteMode};

use crate::fixture::with_project;

#[tokio::test]
async fn files_of_stopped_and_running_containers() {
    with_project(async |test| {
        let project = &test.project;
        test.stopped("demo").await;
        for run in [false, true] {
            if run {
                let start = incus::StateChange::start();
                project
                    .change_state("demo", &start)
                    .await
                    .unwrap()
                    .wait()
                    .await
                    .unwrap();
            }
            let directory = format!("/root/d&i?r {run}");
            let attr = FileAttr {
                uid: Some(1000),
                gid: Some(1001),
                mode: Some(0o640),
                ..Default::default()
            };
            project
                .make_directory(
                    "demo",
                    &directory,
                    FileAttr {
                        mode: Some(0o750),
                        ..attr
                    },
                )
                .await
                .unwrap();
            project
                .make_directory("demo", &directory, attr)
                .await
                .expect("it exists, which is no error");
            let path = format!("{directory}/ä.txt");
            project
                .write_file("demo", &path, b"one\0".to_vec(), attr)
                .await
                .unwrap();
            let append = FileAttr {
                write: WriteMode::Append,
                ..attr
            };
            project
                .write_file("demo", &path, "two", append)
                .await
                .unwrap();
            let file = project.read_file("demo", &path, 7).await.unwrap();
            assert_eq!(
                (file.content.as_slice(), file.uid, file.gid, file.mode),
                (&b"one\0two"[..], 1000, 1001, 0o640)
            );
            assert_eq!(file.kind, FileType::File);
            assert!(matches!(
                project.read_file("demo", &path, 6).await,
                Err(Error::TooLarge { limit: 6, .. })
            ));

            let link = format!("{directory}/link");
            project.make_symlink("demo", &link, &path).await.unwrap();
            let file = project.read_file("demo", &link, 100).await.unwrap();
            assert_eq!(
                (file.kind, String::from_utf8(file.content).unwrap()),
                (FileType::Symlink, path.clone())
            );

            let mut names = project.list_directory("demo", &directory).await.unwrap();
            names.sort();
            assert_eq!(names, ["link", "ä.txt"]);
            let error = project
                .read_file("demo", &directory, 100)
                .await
                .unwrap_err();
            assert!(
                matches!(
                    error,
                    Error::WrongFileType {
                        found: FileType::Directory,
                        ..
                    }
                ),
                "{error}"
            );
            let error = project.list_directory("demo", &path).await.unwrap_err();
            assert!(
                matches!(
                    error,
                    Error::WrongFileType {
                        found: FileType::File,
                        ..
                    }
                ),
                "{error}"
            );

            assert!(
                project.delete_file("demo", &directory).await.is_err(),
                "a full directory was deleted"
            );
            for gone in [&link, &path, &directory] {
                project.delete_file("demo", gone).await.unwrap();
                let error = project.read_file("demo", gone, 100).await.unwrap_err();
                assert!(error.is_not_found(), "{error}");
            }
        }
        assert_eq!(
            project.list_directory("demo", "/tmp").await.unwrap(),
            Vec::<String>::new()
        );
        let error = project
            .write_file("demo", "/no/such/place", "x", FileAttr::default())
            .await
            .unwrap_err();
        assert!(error.is_not_found(), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_large_file() {
    with_project(async |test| {
        test.stopped("demo").await;
        let content: Vec<u8> = (0..5_000_000u32).map(|i| (i % 253) as u8).collect();
        test.project
            .write_file("demo", "/root/large", content.clone(), FileAttr::default())
            .await
            .unwrap();
        let file = test
            .project
            .read_file("demo", "/root/large", content.len())
            .await
            .unwrap();
        assert!(file.content == content);
    })
    .await;
}
