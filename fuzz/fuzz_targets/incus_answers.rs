// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What Incus answers, which in part is what images and guests have put there: HTTP, JSON, events and the
//! streams of commands, through the client as the daemon uses it, from a server that sends any bytes.
//!
//! Input: one byte that says what is asked, one that says how the answer is sent, then the answer.

#![no_main]

use std::cell::RefCell;
use std::time::Duration;

use futures_util::SinkExt as _;
use incus::{Client, EventFilter, ExecLimits, ExecPost, Project};
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::{Builder, Runtime};
use tokio_tungstenite::tungstenite::Message;

/// Far more than a call takes, far less than the client's own limits.
const HANG: Duration = Duration::from_secs(20);
/// Of a file, or of what a command prints.
const LIMIT: usize = 4096;

struct Stage {
    runtime: Runtime,
    listener: UnixListener,
    client: Client,
}

thread_local! {
    static STAGE: RefCell<Stage> = RefCell::new(Stage::new());
}

impl Stage {
    fn new() -> Self {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let path = std::env::temp_dir().join(format!("kapsule-fuzz-{}.sock", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = {
            let _inside = runtime.enter();
            UnixListener::bind(&path).expect("a socket")
        };
        Self {
            runtime,
            listener,
            client: Client::new(path),
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let [what, how, answer @ ..] = bytes else {
        return;
    };
    STAGE.with_borrow(|stage| {
        let serving = serve(&stage.listener, *how, answer);
        let asking = ask(&stage.client, *what);
        let both = async {
            tokio::select! {
                () = asking => {}
                () = serving => {}
                () = tokio::time::sleep(HANG) => panic!("the client hangs"),
            }
        };
        stage.runtime.block_on(both);
    });
});

async fn ask(client: &Client, what: u8) {
    let project: Project = client.project("kapsule-1000");
    match what % 20 {
        0 => drop(client.server().await),
        1 => drop(client.projects().await),
        2 => drop(project.instances().await),
        3 => drop(project.instances_full().await),
        4 => drop(project.instance("dev").await),
        5 => drop(project.state("dev").await),
        6 => drop(project.console_log("dev").await),
        7 => drop(client.images().await),
        8 => drop(client.image_aliases().await),
        9 => drop(client.networks().await),
        10 => drop(project.network_leases("kap1000").await),
        11 => drop(client.network_state("kap1000").await),
        12 => drop(client.storage_pools().await),
        13 => drop(
            client
                .operation("x")
                .await
                .map(|operation| operation.info().progress()),
        ),
        14 => {
            if let Ok(file) = project.read_file("dev", "/etc/hostname", LIMIT).await {
                assert!(file.content.len() <= LIMIT);
            }
        }
        15 => drop(project.list_directory("dev", "/.kapsule/init").await),
        16 => drop(project.snapshots("dev").await),
        17 => drop(client.image("abc").await),
        18 => {
            if let Ok(mut events) = client.events(EventFilter::all_projects([])).await {
                for _ in 0..64 {
                    match events.next().await {
                        Some(Ok(event)) => drop(event.instance()),
                        Some(Err(_)) | None => break,
                    }
                }
            }
        }
        _ => {
            let limits = ExecLimits {
                stdout: LIMIT,
                stderr: LIMIT,
                time: Some(Duration::from_millis(5)),
            };
            if let Ok(output) = project
                .exec_collect("dev", &ExecPost::new(["x"]), "", limits)
                .await
            {
                assert!(output.stdout.len() <= LIMIT && output.stderr.len() <= LIMIT);
            }
        }
    }
}

/// Answers every connection with the same, for as long as the client wants to know something.
async fn serve(listener: &UnixListener, how: u8, answer: &[u8]) {
    loop {
        let Ok((mut stream, _)) = listener.accept().await else {
            return;
        };
        let _ = answer_one(&mut stream, how, answer).await;
    }
}

async fn answer_one(stream: &mut UnixStream, how: u8, answer: &[u8]) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut chunk = [0; 4096];
    // A websocket's handshake is read by the library below, which has to see it whole.
    if is_upgrade(stream).await? {
        let Ok(mut socket) = tokio_tungstenite::accept_async(&mut *stream).await else {
            return Ok(());
        };
        if how & 1 == 0 {
            for line in answer.split(|byte| *byte == b'\n') {
                let message = match how & 2 {
                    0 => Message::text(String::from_utf8_lossy(line).into_owned()),
                    _ => Message::binary(line.to_vec()),
                };
                if socket.send(message).await.is_err() {
                    return Ok(());
                }
            }
            let _ = socket.close(None).await;
        } else {
            drop(socket);
            stream.write_all(answer).await?;
        }
        return stream.shutdown().await;
    }
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut chunk).await? {
            0 => return Ok(()),
            read => head.extend_from_slice(&chunk[..read]),
        }
    }
    let length = answer.len();
    let start = match how & 7 {
        0 => return all(stream, answer).await,
        1..=3 => format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"),
        4 => format!("HTTP/1.1 404 Not Found\r\nContent-Length: {length}\r\n\r\n"),
        5 => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
        _ => "HTTP/1.1 200 OK\r\nX-Incus-Type: file\r\nX-Incus-Uid: 0\r\nX-Incus-Gid: 0\r\n\
              X-Incus-Mode: 0644\r\n\r\n"
            .to_owned(),
    };
    let body = [start.as_bytes(), answer].concat();
    all(stream, &body).await
}

async fn all(stream: &mut UnixStream, bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(bytes).await?;
    stream.shutdown().await
}

/// Whether the request that is waiting asks for a websocket. Looks without taking.
async fn is_upgrade(stream: &UnixStream) -> std::io::Result<bool> {
    stream.readable().await?;
    let mut peeked = [0; 4096];
    let flags = rustix::net::RecvFlags::PEEK | rustix::net::RecvFlags::DONTWAIT;
    match rustix::net::recv(stream, &mut peeked[..], flags) {
        Ok((_, read)) => {
            let head = String::from_utf8_lossy(&peeked[..read]).to_lowercase();
            Ok(head.contains("upgrade: websocket"))
        }
        Err(_) => Ok(false),
    }
}
