// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! Typed async client of the Incus REST API over its unix socket.
//!
//! The crate knows REST and nothing else: no policy, no naming scheme, no retries behind the caller's back.
//! Facts about the API come from Incus' own documentation (`doc/rest-api.yaml`, `doc/rest-api.md`,
//! `doc/events.md`) and from watching a real `incusd`; `tests/` checks them against one.
//!
//! | module | what is in it |
//! |---|---|
//! | [`client`] | [`Client`] and [`Project`], the two handles everything hangs on |
//! | [`error`] | [`Error`] and the questions one asks of it |
//! | [`operations`] | [`Operation`]: background work, waiting for it, its progress |
//! | [`events`] | the event stream |
//! | [`instances`] | list, create, change and delete instances |
//! | [`state`] | what an instance is doing, its console, starting and stopping it |
//! | [`exec`] | run a command in an instance |
//! | [`files`] | read and write files of an instance |
//! | [`snapshots`] | snapshots of an instance |
//! | [`images`] | images, their aliases, download and import |
//! | [`projects`], [`storage`], [`networks`], [`server`] | what instances need around them |
//! | [`types`] | shapes shared by several of these |
//!
//! # Example
//! ```no_run
//! use incus::{Client, InstancePost, InstanceSource, StateChange};
//!
//! # async fn example() -> incus::Result<()> {
//! let client = Client::new("/var/lib/incus/unix.socket");
//! println!("Incus {}", client.server().await?.environment.server_version);
//!
//! let project = client.project("default");
//! let post = InstancePost::new("demo", InstanceSource::Alias("debian/13".into()));
//! project
//!     .create_instance(&post)
//!     .await?
//!     .wait_with_progress(|progress| println!("{}", progress.text))
//!     .await?;
//! project.change_state("demo", &StateChange::start()).await?.wait().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Behaviour that holds everywhere
//! - [`Client::new`] does no I/O; every call opens its own connection and closes it when its future is dropped.
//! - Connecting and ordinary answers are bounded in time, answers are bounded in size. Waiting for an
//!   [`Operation`] is not bounded in time: wrap it in a timeout where that is wanted.
//! - Fields Incus does not send, or sends as `null`, take their default; fields this crate does not know are ignored.
//! - Names are percent-encoded, so that no name can reach another endpoint than the one meant.

pub mod acls;
pub mod client;
pub mod error;
pub mod events;
pub mod exec;
pub mod files;
pub mod images;
mod import;
pub mod instances;
pub mod networks;
pub mod operations;
mod path;
mod progress;
pub mod projects;
pub mod server;
pub mod snapshots;
pub mod state;
pub mod storage;
mod transport;
pub mod types;
mod websocket;

pub use acls::{NetworkAcl, NetworkAclRule};
pub use client::{Client, Project};
pub use error::{Error, Result};
pub use events::{Event, EventFilter, EventType, Events};
pub use exec::{Exec, ExecControl, ExecInput, ExecLimits, ExecOutput, ExecPost, ExecStream};
pub use files::{File, FileAttr, FileType, WriteMode};
pub use images::{
    CopyOptions, Image, ImageAlias, ImageAliasEntry, ImageAliasPut, ImagePut, ImageSource,
};
pub use import::ImportOptions;
pub use instances::{
    Instance, InstanceFull, InstancePatch, InstancePost, InstancePut, InstanceSource,
};
pub use networks::{Network, NetworkLease, NetworkPost, NetworkPut, NetworkState};
pub use operations::{Operation, OperationInfo};
pub use progress::Progress;
pub use projects::{ProjectInfo, ProjectPost};
pub use server::{Server, ServerEnvironment, StorageDriver};
pub use snapshots::{Snapshot, SnapshotPost};
pub use state::{InstanceAddress, InstanceNetwork, InstanceState, StateAction, StateChange};
pub use storage::{StoragePool, StoragePoolPost, StorageSpace};
pub use types::{Config, Devices, StatusCode, Versioned};
