// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! Instances: made, changed, started, stopped, deleted, and names that try to be something else.

use incus::{Error, InstancePatch, StateAction, StateChange, StatusCode};

use crate::fixture::with_project;

#[tokio::test]
async fn a_life() {
    with_project(async |test| {
        let project = &test.project;
        assert_eq!(project.instances().await.unwrap(), []);
        test.stopped("demo").await;
        let error = async {
            project
                .create_instance(&test.container("demo"))
                .await?
                .wait()
                .await
        }
        .await
        .unwrap_err();
        assert!(error.is_conflict(), "{error}");

        let instance = project.instance("demo").await.unwrap();
        assert!(
            !instance.is_running()
                && instance.status_code == StatusCode::STOPPED
                && !instance.etag.is_empty()
        );
        assert_eq!(
            (instance.kind.as_str(), instance.profiles.len()),
            ("container", 0)
        );
        assert!(
            instance.created_at.is_some() && instance.last_used_at.is_none(),
            "{instance:?}"
        );

        project
            .change_state("demo", &StateChange::start())
            .await
            .unwrap()
            .wait()
            .await
            .unwrap();
        let state = project.state("demo").await.unwrap();
        assert!(
            state.status_code == StatusCode::RUNNING && state.pid > 0 && state.processes != 0,
            "{state:?}"
        );
        let server = test.client.server().await.unwrap();
        if server
            .environment
            .kernel_features
            .get("netnsid_getifaddrs")
            .is_some_and(|has| has == "true")
        {
            assert!(state.network.contains_key("lo"), "{state:?}");
        } else {
            println!("NOT CHECKED: addresses; this host has no netnsid_getifaddrs");
        }
        assert!(
            project
                .instance("demo")
                .await
                .unwrap()
                .last_used_at
                .is_some()
        );
        let full = project.instances_full().await.unwrap();
        assert_eq!(full.len(), 1);
        assert!(
            full[0].instance.is_running() && full[0].state.pid == state.pid,
            "{full:?}"
        );
        assert!(
            project.delete_instance("demo").await.is_err(),
            "a running instance was deleted"
        );

        for (action, status) in [
            (StateAction::Freeze, StatusCode::FROZEN),
            (StateAction::Unfreeze, StatusCode::RUNNING),
        ] {
            project
                .change_state("demo", &StateChange::new(action))
                .await
                .unwrap()
                .wait()
                .await
                .unwrap();
            assert_eq!(project.state("demo").await.unwrap().status_code, status);
        }
        project
            .change_state("demo", &StateChange::restart(30))
            .await
            .unwrap()
            .wait()
            .await
            .unwrap();
        assert_ne!(project.state("demo").await.unwrap().pid, state.pid);
        wait_for_console(test, "test container is up").await;

        project
            .change_state("demo", &StateChange::stop(30))
            .await
            .unwrap()
            .wait()
            .await
            .unwrap();
        project
            .rename_instance("demo", "renamed")
            .await
            .unwrap()
            .wait()
            .await
            .unwrap();
        assert!(project.instance("demo").await.unwrap_err().is_not_found());
        project
            .delete_instance("renamed")
            .await
            .unwrap()
            .wait()
            .await
            .unwrap();
        assert_eq!(project.instances().await.unwrap(), []);
    })
    .await;
}

async fn wait_for_console(test: &crate::fixture::Fixture, words: &str) {
    let mut log = String::new();
    for _ in 0..50 {
        log = test.project.console_log("demo").await.unwrap();
        if log.contains(words) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the console says {log:?}");
}

#[tokio::test]
async fn changes() {
    with_project(async |test| {
        let project = &test.project;
        test.stopped("demo").await;
        let before = project.instance("demo").await.unwrap();
        let mut patch = InstancePatch {
            description: Some("words".into()),
            ..Default::default()
        };
        patch.config.insert("user.one".into(), "1".into());
        patch.config.insert("user.two".into(), "2".into());
        project
            .patch_instance("demo", &patch, Some(&before.etag))
            .await
            .unwrap();
        let after = project.instance("demo").await.unwrap();
        assert_eq!(
            (
                after.config["user.one"].as_str(),
                after.description.as_str()
            ),
            ("1", "words")
        );
        assert_eq!(after.devices, before.devices);

        let error = project
            .patch_instance("demo", &patch, Some(&before.etag))
            .await
            .unwrap_err();
        assert!(error.is_precondition_failed(), "{error}");
        let mut put = after.to_put();
        put.config.remove("user.one");
        let error = async {
            project
                .put_instance("demo", &put, Some(&before.etag))
                .await?
                .wait()
                .await
        };
        assert!(error.await.is_err());
        project
            .put_instance("demo", &put, Some(&after.etag))
            .await
            .unwrap()
            .wait()
            .await
            .unwrap();
        let last = project.instance("demo").await.unwrap();
        assert!(
            !last.config.contains_key("user.one") && last.config["user.two"] == "2",
            "{last:?}"
        );

        let mut bad = InstancePatch::default();
        bad.config.insert("no.such.key".into(), "1".into());
        let error = project
            .patch_instance("demo", &bad, None)
            .await
            .unwrap_err();
        assert!(
            matches!(&error, Error::Api { message, .. } if message.contains("no.such.key")),
            "{error}"
        );
    })
    .await;
}

#[tokio::test]
async fn names_reach_nothing_else() {
    with_project(async |test| {
        let project = &test.project;
        test.stopped("demo").await;
        // Each of these, put into a path as it is, would find the instance, another project's list, or the server.
        for name in [
            "demo?project=default",
            "demo#",
            "demo/state",
            "x/../demo",
            "../projects",
            "%64emo",
            "demo%3F",
            "..",
            ".",
            "",
        ] {
            let error = project.instance(name).await.expect_err(name);
            assert!(
                matches!(
                    error,
                    Error::InvalidName { .. }
                        | Error::Api {
                            status: 400 | 404,
                            ..
                        }
                ),
                "{name}: {error}"
            );
            assert!(project.delete_instance(name).await.is_err(), "{name}");
        }
        let other = test
            .client
            .project(&format!("default&project={}", test.name()));
        // Incus lists nothing for a project that is not there.
        assert!(other.instances().await.is_ok_and(|list| list.is_empty()));
        assert_eq!(project.instances().await.unwrap().len(), 1);
    })
    .await;
}
