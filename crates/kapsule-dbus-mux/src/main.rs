// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! One session bus for the programs of a container, made of two: the host's, where the desktop is,
//! and the container's own, where its services are.
//!
//! Runs as the container's owner, with no more rights than that, for one container. The agent inside
//! starts it there, where both buses can be reached.

mod client;
mod driver;
mod names;
mod registry;
mod rewrite;
mod server;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::client::Buses;
use crate::names::Names;
use crate::server::Socket;

/// Makes one session bus of the host's and a container's
///
/// Programs in the container that connect to it see the services of both. The agent of a container
/// with the option 'dbus_mux' starts it there when the first program connects; it need not be started by
/// hand. Switched on and off with: kapsule set NAME --dbus-mux, --no-dbus-mux
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Where clients connect; "-" for standard input being a socket that listens already. Then it ends
    /// when there has been no client for a while, and whoever has the socket starts it again.
    #[arg(short, long, value_name = "PATH")]
    listen: PathBuf,

    /// Address of the container's session bus.
    #[arg(short, long, value_name = "ADDRESS")]
    container_bus: String,

    /// Address of the host's session bus.
    #[arg(
        short = 'H',
        long,
        value_name = "ADDRESS",
        env = "DBUS_SESSION_BUS_ADDRESS"
    )]
    host_bus: String,

    /// A name that is always the host's; with * at the end, all that begin like this.
    #[arg(long, value_name = "NAME")]
    host_name: Vec<String>,

    /// A name that is always the container's; with * at the end, all that begin like this.
    #[arg(long, value_name = "NAME")]
    container_name: Vec<String>,

    /// What to log: error, warn, info, debug, trace, or a filter. RUST_LOG comes before it.
    #[arg(short = 'v', long, value_name = "LEVEL", default_value = "info")]
    log_level: String,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_default_env()
        // zbus logs the contents of messages at its lower levels, which are nobody's business.
        .unwrap_or_else(|_| EnvFilter::new(format!("{},zbus=warn", arguments.log_level)));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .without_time()
        .init();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kapsule-dbus-mux: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?
        .block_on(serve(arguments))
}

async fn serve(arguments: Arguments) -> anyhow::Result<()> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let names = Arc::new(Names::new(arguments.host_name, arguments.container_name));
    let buses = Arc::new(Buses {
        host: arguments.host_bus,
        container: arguments.container_bus.clone(),
        names: Arc::clone(&names),
    });
    let socket = match arguments.listen.as_os_str() == "-" {
        true => Socket::from_stdin()?,
        false => Socket::listen(&arguments.listen)?,
    };
    tokio::select! {
        () = registry::follow(arguments.container_bus, names) => {}
        () = socket.serve(buses) => {}
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
    Ok(())
}
