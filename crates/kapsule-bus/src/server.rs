// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Who is let in, and how many.

use std::cell::Cell;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;

use crate::pipe::{Speaker, pipe};

/// More programs than a user has. The others wait until one is gone.
const MAX_CONNECTIONS: usize = 1024;
/// How long nobody may be connected before this program ends. The socket goes on listening, as it is the
/// service manager's.
const IDLE: Duration = Duration::from_secs(30);
/// What is waited where the system has no more descriptors.
const PAUSE: Duration = Duration::from_millis(200);

/// Takes over the socket that is standard input.
///
/// # Errors
/// When that is no socket that listens.
pub(crate) fn listener_on_stdin() -> io::Result<UnixListener> {
    let wrong = |error: rustix::io::Errno| {
        io::Error::other(format!(
            "standard input is not a socket that listens ({error}). This program is started by systemd \
             for those who connect: systemctl --user start kapsule-bus.socket"
        ))
    };
    let stdin = io::stdin();
    if !rustix::net::sockopt::socket_acceptconn(&stdin).map_err(wrong)? {
        return Err(wrong(rustix::io::Errno::INVAL));
    }
    let own = rustix::io::fcntl_dupfd_cloexec(&stdin, 3)?;
    let listener = std::os::unix::net::UnixListener::from(own);
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

/// Serves until nobody has been connected for a while.
pub(crate) async fn serve(listener: UnixListener, bus: PathBuf) {
    let bus: Rc<Path> = bus.into();
    let (count, gone) = (Rc::new(Cell::new(0_usize)), Rc::new(Notify::new()));
    loop {
        if count.get() >= MAX_CONNECTIONS {
            gone.notified().await;
            continue;
        }
        let stream = match tokio::time::timeout(IDLE, listener.accept()).await {
            Err(_) if count.get() == 0 => return,
            Err(_) => continue,
            Ok(Err(error)) => {
                eprintln!("cannot take a program: {error}");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            Ok(Ok((stream, _))) => stream,
        };
        let (bus, count, gone) = (Rc::clone(&bus), Rc::clone(&count), Rc::clone(&gone));
        count.set(count.get() + 1);
        tokio::task::spawn_local(async move {
            if let Err(error) = join(stream, &bus).await {
                eprintln!("a connection was refused: {error}");
            }
            count.set(count.get() - 1);
            gone.notify_one();
        });
    }
}

/// Connects a program to the bus until one of the two hangs up.
async fn join(program: UnixStream, bus: &Path) -> io::Result<()> {
    // The socket's folder is the user's alone, but for a container's root, who may open everything there
    // that is the user's. The bus would take it for the user, as it sees this process only.
    let (peer, own) = (
        program.peer_cred()?.uid(),
        rustix::process::getuid().as_raw(),
    );
    if peer != own {
        return Err(io::Error::other(format!(
            "it is user {peer}'s, and this is the bus of user {own}"
        )));
    }
    let bus = UnixStream::connect(bus)
        .await
        .map_err(|error| io::Error::other(format!("{}: {error}", bus.display())))?;
    tokio::select! {
        // Nobody needs to hear that the two do not talk any more: both see it.
        _ = pipe(Speaker::Program, &program, &bus) => {}
        _ = pipe(Speaker::Bus, &bus, &program) => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream as StdStream;
    use std::thread;

    use super::*;

    #[test]
    fn each_program_has_a_connection_of_its_own_until_one_side_hangs_up() {
        let folder = tempfile::tempdir().unwrap();
        let (front, bus) = (folder.path().join("front"), folder.path().join("bus"));
        let bus_side = std::os::unix::net::UnixListener::bind(&bus).unwrap();
        let listener = std::os::unix::net::UnixListener::bind(&front).unwrap();
        // It ends with the test.
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, async {
                listener.set_nonblocking(true).unwrap();
                serve(UnixListener::from_std(listener).unwrap(), bus).await;
            });
        });
        let connect = || {
            let program = StdStream::connect(&front).unwrap();
            (program, bus_side.accept().unwrap().0)
        };
        let (mut one, mut one_at_bus) = connect();
        let (mut other, mut other_at_bus) = connect();
        let mut heard = [0; 6];
        for (end, far, line) in [
            (&mut one, &mut one_at_bus, b"one..\n"),
            (&mut other, &mut other_at_bus, b"other\n"),
        ] {
            end.write_all(line).unwrap();
            far.read_exact(&mut heard).unwrap();
            assert_eq!(&heard, line);
            far.write_all(line).unwrap();
            end.read_exact(&mut heard).unwrap();
            assert_eq!(&heard, line);
        }
        drop(one_at_bus);
        assert_eq!(one.read(&mut heard).unwrap(), 0);
        drop(other);
        assert_eq!(other_at_bus.read(&mut heard).unwrap(), 0);
    }
}
