// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! Server, projects, pools, networks, and servers that are not there.

use std::os::unix::net::UnixListener;
use std::time::Duration;

use incus::{Client, Error, NetworkPost, NetworkPut, ProjectPost, StoragePoolPost};

use crate::fixture::{with_project, with_server};

#[tokio::test]
async fn the_server_tells_what_it_is() {
    with_server(async |client| {
        let server = client.server().await.unwrap();
        assert_eq!(server.auth, "trusted");
        assert!(
            server
                .environment
                .server_version
                .starts_with(|c: char| c.is_ascii_digit())
        );
        assert!(
            server
                .environment
                .storage_supported_drivers
                .iter()
                .any(|driver| driver.name == "dir")
        );
        assert!(server.has_extension("projects") && !server.has_extension("no_such_thing"));
    })
    .await;
}

#[tokio::test]
async fn projects_and_pools() {
    with_project(async |test| {
        let again = ProjectPost {
            name: test.name().into(),
            ..Default::default()
        };
        let error = test.client.create_project(&again).await.unwrap_err();
        assert!(error.is_conflict(), "{error}");
        let info = test.client.project_info(test.name()).await.unwrap();
        assert_eq!(info.config["features.images"], "false");
        assert!(!info.etag.is_empty());
        assert!(
            test.client
                .projects()
                .await
                .unwrap()
                .iter()
                .any(|project| project.name == test.name())
        );
        assert!(
            test.client
                .project_info("no-such-project")
                .await
                .unwrap_err()
                .is_not_found()
        );

        let again = StoragePoolPost {
            name: test.name().into(),
            driver: "dir".into(),
            ..Default::default()
        };
        let error = test.client.create_storage_pool(&again).await.unwrap_err();
        assert!(error.is_conflict(), "{error}");
        assert_eq!(
            test.client.storage_pool(test.name()).await.unwrap().driver,
            "dir"
        );
        assert!(
            test.client
                .storage_pools()
                .await
                .unwrap()
                .iter()
                .any(|pool| pool.name == test.name())
        );
        let space = test.client.storage_pool_space(test.name()).await.unwrap();
        assert!(space.total > space.used && space.used > 0, "{space:?}");
        assert!(
            test.client
                .storage_pool("no-such-pool")
                .await
                .unwrap_err()
                .is_not_found()
        );
    })
    .await;
}

#[tokio::test]
async fn networks() {
    with_project(async |test| {
        // One of 65,536 networks of 64 addresses, none of them the machine's if this is to work at all.
        let number = u32::from_str_radix(&test.suffix, 16).unwrap();
        let address = format!("10.{}.{}.1/26", 64 + number % 64, (number >> 8) % 256);
        let mut post = NetworkPost {
            name: format!("kt{}", test.suffix),
            ..Default::default()
        };
        post.config.insert("ipv4.address".into(), address.clone());
        post.config.insert("ipv6.address".into(), "none".into());
        test.client.create_network(&post).await.unwrap();
        check_network(&test.client, &post, &address).await.unwrap();

        let own = address.replace(".1/26", ".9");
        let nic = [("type", "nic"), ("network", &post.name), ("ipv4.address", &own)];
        let nic = nic.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let mut container = test.container("demo");
        container.devices.insert("eth0".into(), nic.into());
        test.project.create_instance(&container).await.unwrap().wait().await.unwrap();
        let leases = test.project.network_leases(&post.name).await.unwrap();
        assert!(matches!(&leases[..], [lease] if lease.hostname == "demo" && lease.address == own && lease.kind == "static"));
        let leases = test.client.project("default").network_leases(&post.name).await.unwrap();
        assert!(matches!(&leases[..], [lease] if lease.kind == "gateway"), "{leases:?}");
        assert!(test.client.delete_network(&post.name).await.is_err(), "a network in use was deleted");

        test.project.delete_instance("demo").await.unwrap().wait().await.unwrap();
        test.client.delete_network(&post.name).await.unwrap();
        assert!(test.client.network(&post.name).await.unwrap_err().is_not_found());
    })
    .await;
}

async fn check_network(client: &Client, post: &NetworkPost, address: &str) -> incus::Result<()> {
    let error = client.create_network(post).await.unwrap_err();
    assert!(error.is_conflict(), "{error}");
    let network = client.network(&post.name).await?;
    assert!(
        network.managed && network.kind == "bridge" && network.config["ipv4.address"] == address,
        "{network:?}"
    );
    let state = client.network_state(&post.name).await?;
    assert!(
        state
            .addresses
            .iter()
            .any(|found| address.starts_with(&found.address)),
        "{state:?}"
    );
    assert!(
        client
            .networks()
            .await?
            .iter()
            .any(|found| found.name == post.name)
    );

    let mut put = NetworkPut {
        description: "changed".into(),
        config: network.config.clone(),
    };
    client
        .update_network(&post.name, &put, Some(&network.etag))
        .await?;
    put.description = "changed again".into();
    let error = client
        .update_network(&post.name, &put, Some(&network.etag))
        .await
        .unwrap_err();
    assert!(error.is_precondition_failed(), "{error}");
    assert_eq!(client.network(&post.name).await?.description, "changed");
    Ok(())
}

#[tokio::test]
async fn a_socket_nobody_listens_on() {
    let directory = std::env::temp_dir().join(format!("incus-client-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("socket");
    drop(UnixListener::bind(&path).unwrap());
    let error = Client::new(&path).server().await.unwrap_err();
    assert!(
        matches!(&error, Error::Connect { source, .. } if source.kind() == std::io::ErrorKind::ConnectionRefused)
    );
    assert!(
        error.is_unreachable() && error.to_string().contains("systemctl restart"),
        "{error}"
    );
    std::fs::remove_dir_all(&directory).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_given_up_on() {
    let directory = std::env::temp_dir().join(format!("incus-silent-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("socket");
    let _listener = UnixListener::bind(&path).unwrap();
    let error = Client::new(&path).server().await.unwrap_err();
    assert!(
        matches!(error, Error::Timeout { after, .. } if after > Duration::from_secs(10)),
        "{error}"
    );
    assert!(error.is_unreachable());
    std::fs::remove_dir_all(&directory).unwrap();
}
