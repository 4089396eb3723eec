// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! Operations, their progress, and events.

use std::io::Cursor;
use std::time::Duration;

use incus::{
    Error, Event, EventFilter, EventType, ExecPost, ImportOptions, InstancePost, InstanceSource,
    StateChange,
};

use crate::fixture::{Fixture, with_project};
use crate::image_file;

#[tokio::test]
async fn unpacking_an_image_tells_of_its_progress() {
    with_project(async |test| {
        // Large enough that the operation still runs when its events have been subscribed to.
        let alias = format!("{}-large", test.name());
        let (metadata, rootfs) =
            image_file::split(&format!("{}-large", test.suffix), &noise(200 << 20));
        let options = ImportOptions {
            aliases: vec![alias.clone()],
            ..Default::default()
        };
        let import =
            test.client
                .import_image_split(Cursor::new(metadata), Cursor::new(rootfs), &options);
        import.await.unwrap().wait().await.unwrap();

        let post = InstancePost {
            source: InstanceSource::Alias(alias),
            ..test.container("demo")
        };
        let mut seen = Vec::new();
        let operation = test.project.create_instance(&post).await.unwrap();
        operation
            .wait_with_progress(|progress| seen.push(progress))
            .await
            .unwrap();
        assert!(!seen.is_empty(), "no progress");
        assert!(
            seen.iter().all(|progress| !progress.text.is_empty()),
            "{seen:?}"
        );
        assert!(
            seen.iter().any(|progress| progress.percent.is_some()),
            "{seen:?}"
        );
    })
    .await;
}

/// Bytes that do not compress (a linear congruential generator).
fn noise(count: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state.to_le_bytes()
    };
    let mut bytes = Vec::with_capacity(count + 8);
    while bytes.len() < count {
        bytes.extend_from_slice(&next());
    }
    bytes.truncate(count);
    bytes
}

#[tokio::test]
async fn short_operations_end_too() {
    with_project(async |test| {
        test.stopped("demo").await;
        for _ in 0..5 {
            for change in [StateChange::start(), StateChange::kill()] {
                let operation = test.project.change_state("demo", &change).await.unwrap();
                let info = operation.wait_with_progress(drop).await.unwrap();
                assert_eq!(info.status_code, incus::StatusCode::SUCCESS);
            }
        }
        let start = async {
            test.project
                .change_state("demo", &StateChange::kill())
                .await?
                .wait_with_progress(drop)
                .await
        };
        let error = start.await.unwrap_err();
        assert!(
            matches!(error, Error::OperationFailed { .. } | Error::Api { .. }),
            "{error}"
        );
    })
    .await;
}

#[tokio::test]
async fn a_forgotten_operation() {
    with_project(async |test| {
        test.stopped("demo").await;
        let operation = test
            .project
            .change_state("demo", &StateChange::start())
            .await
            .unwrap();
        let late = operation.clone();
        operation.wait().await.unwrap();
        let again = test.client.operation(late.id()).await.unwrap();
        assert!(again.info().status_code.is_final());
        assert!(
            again.wait().await.is_ok(),
            "it has ended, but is still known"
        );
        tokio::time::sleep(Duration::from_secs(7)).await;
        assert!(
            test.client
                .operation(late.id())
                .await
                .unwrap_err()
                .is_not_found()
        );
        let error = late.wait().await.unwrap_err();
        assert!(matches!(error, Error::OperationGone { .. }), "{error}");
    })
    .await;
}

#[tokio::test]
async fn cancelling() {
    with_project(async |test| {
        test.running("demo").await;
        let exec = test
            .project
            .exec("demo", &ExecPost::new(["sleep", "1000"]))
            .await
            .unwrap();
        exec.operation.cancel().await.unwrap();
        let ended =
            tokio::time::timeout(Duration::from_secs(10), exec.operation.clone().wait()).await;
        let error = ended.expect("it goes on").unwrap_err();
        assert!(matches!(error, Error::Cancelled { .. }), "{error}");
        let bogus = test
            .client
            .operation("00000000-0000-0000-0000-000000000000")
            .await
            .unwrap_err();
        assert!(bogus.is_not_found(), "{bogus}");
    })
    .await;
}

#[tokio::test]
async fn events_of_one_project_and_of_all() {
    with_project(async |test| {
        for filter in [
            EventFilter::project(test.name(), [EventType::Lifecycle]),
            EventFilter::all_projects([EventType::Lifecycle, EventType::Operation]),
            EventFilter::all_projects([]),
        ] {
            let mut events = test.client.events(filter).await.unwrap();
            tokio::time::sleep(Duration::from_millis(200)).await;
            test.stopped("demo").await;
            test.project
                .delete_instance("demo")
                .await
                .unwrap()
                .wait()
                .await
                .unwrap();
            let seen =
                tokio::time::timeout(Duration::from_secs(10), actions(test, &mut events)).await;
            assert_eq!(
                seen.expect("no events"),
                ["instance-created", "instance-deleted"]
            );
        }
        let error = test
            .client
            .events(EventFilter::project("no-such-project", []))
            .await
            .unwrap_err();
        assert!(error.is_not_found(), "{error}");
    })
    .await;
}

/// What is told of the instance `demo` of this test, until it is deleted.
async fn actions(test: &Fixture, events: &mut incus::Events) -> Vec<String> {
    let mut actions = Vec::new();
    while actions.last().is_none_or(|last| last != "instance-deleted") {
        let event = events.next().await.expect("the stream ended").unwrap();
        if event.instance().as_deref() != Some("demo") {
            continue;
        }
        if let Event::Lifecycle {
            action,
            project,
            name,
            timestamp,
            ..
        } = event
            && project == test.name()
        {
            assert!(name == "demo" || name.is_empty(), "{name}");
            assert!(timestamp.is_some());
            actions.push(action);
        }
    }
    actions
}
