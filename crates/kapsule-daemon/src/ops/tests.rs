// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

use std::sync::atomic::AtomicBool;

use kapsule_dbus::operation::MessageType;

use super::*;
use crate::ops::OperationKind;

fn spec(user: u32) -> OperationSpec {
    OperationSpec {
        kind: OperationKind::Create,
        description: "Create container dev".to_owned(),
        target: "dev".to_owned(),
        asked_by: user,
        owner: user,
    }
}

async fn open() -> Result<()> {
    Ok(())
}

/// Everything that happens until the operation is gone.
async fn happenings(stream: &mut mpsc::UnboundedReceiver<Event>) -> Vec<Happening> {
    let mut seen = Vec::new();
    while let Some(event) = stream.recv().await {
        let last = event.happening == Happening::Gone;
        seen.push(event.happening);
        if last {
            break;
        }
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn tells_everything_in_order_and_then_lingers() {
    let (operations, mut stream) = Operations::new();
    let operation = operations
        .start(spec(1000), open(), async |reporter: Reporter| {
            reporter.info("one");
            reporter.indented().dim("two\u{1b}[31m");
            reporter.success("done");
            reporter.containers_changed();
            Ok(())
        })
        .unwrap();
    assert_eq!(operations.running(Some(1000)).len(), 1);
    assert_eq!(operations.running(Some(1001)).len(), 0);
    let message = |kind, text: &str, indent| Happening::Message {
        kind,
        text: text.to_owned(),
        indent,
    };
    for expected in [
        message(MessageType::Info, "one", 1),
        message(MessageType::Dim, "two[31m", 2),
        message(MessageType::Success, "done", 1),
        Happening::ContainersChanged,
        Happening::Completed,
    ] {
        assert_eq!(stream.recv().await.unwrap().happening, expected);
    }
    assert_eq!(operation.status(), Status::Completed);
    assert!(operations.running(None).is_empty());
    assert_eq!(
        operations.known(Some(1000)).len(),
        1,
        "a late client can still ask"
    );
    assert_eq!(operation.record().len(), 3);
    assert!(!operation.cancel(), "it is over");

    let ended = tokio::time::Instant::now();
    assert_eq!(stream.recv().await.unwrap().happening, Happening::Gone);
    assert_eq!(ended.elapsed().as_secs(), LINGER.as_secs());
    assert!(operations.known(None).is_empty());
}

#[tokio::test(start_paused = true)]
async fn does_nothing_before_the_gate_opens() {
    let (operations, mut stream) = Operations::new();
    let (open, gate) = tokio::sync::oneshot::channel::<()>();
    let began = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&began);
    let gate = async move { gate.await.map_err(|_| Error::failed("never announced")) };
    operations
        .start(spec(1), gate, async move |_| {
            seen.store(true, Ordering::SeqCst);
            Ok(())
        })
        .unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!began.load(Ordering::SeqCst) && stream.try_recv().is_err());
    open.send(()).unwrap();
    assert_eq!(stream.recv().await.unwrap().happening, Happening::Completed);
    assert!(began.load(Ordering::SeqCst));

    let (open, gate) = tokio::sync::oneshot::channel::<()>();
    let gate = async move { gate.await.map_err(|_| Error::failed("never announced")) };
    let operation = operations
        .start(spec(2), gate, async |_| panic!("must not begin"))
        .unwrap();
    drop(open);
    happenings(&mut stream).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(
        (operation.status(), operation.error()),
        (Status::Failed, "never announced".to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn cancel_reaches_the_work_and_decides_the_status() {
    let (operations, _stream) = Operations::new();
    let heeds = operations
        .start(spec(1), open(), async |reporter: Reporter| {
            reporter.cancelled().await;
            assert!(reporter.is_cancelled());
            Err(Error::cancelled())
        })
        .unwrap();
    let too_late = operations
        .start(spec(1), open(), async |reporter: Reporter| {
            reporter.cancelled().await;
            Ok(())
        })
        .unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(heeds.status(), Status::Running);
    assert!(heeds.cancel() && heeds.cancel() && too_late.cancel());
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(
        (heeds.status(), heeds.error()),
        (Status::Cancelled, "cancelled".to_owned())
    );
    assert_eq!(
        too_late.status(),
        Status::Completed,
        "what succeeded was not cancelled"
    );
    assert!(!heeds.cancel());
}

#[tokio::test(start_paused = true)]
async fn failures_and_panics_end_it() {
    let (operations, _stream) = Operations::new();
    let fails = operations
        .start(spec(1), open(), async |_| {
            Err(Error::failed("no space\0 left"))
        })
        .unwrap();
    let panics = operations
        .start(spec(1), open(), async |_| panic!("on purpose"))
        .unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(
        (fails.status(), fails.error()),
        (Status::Failed, "no space left".to_owned())
    );
    assert_eq!(panics.status(), Status::Failed);
    assert!(
        panics.error().starts_with("internal error"),
        "{}",
        panics.error()
    );
}

#[tokio::test(start_paused = true)]
async fn one_user_cannot_take_all() {
    let (operations, _stream) = Operations::new();
    let start = |owner| {
        operations.start(spec(owner), open(), async |reporter: Reporter| {
            reporter.cancelled().await;
            Err(Error::cancelled())
        })
    };
    let first: Vec<_> = (0..MAX_RUNNING).map(|_| start(1).unwrap()).collect();
    let error = start(1).unwrap_err();
    assert_eq!(error.kind, ErrorKind::LimitExceeded, "{error}");
    start(2).unwrap();
    tokio::task::yield_now().await;
    first[0].cancel();
    tokio::time::sleep(Duration::from_millis(10)).await;
    start(1).unwrap();
}

#[tokio::test(start_paused = true)]
async fn progress_goes_up_in_per_cent() {
    const GIB: u64 = 1024 * 1024 * 1024;
    let (operations, mut stream) = Operations::new();
    operations
        .start(spec(1), open(), async |reporter: Reporter| {
            let mut bar = reporter.progress("Download", Some(8 * GIB));
            bar.update(2 * GIB, 0.0);
            bar.update(GIB, 0.0);
            bar.update(8 * GIB, 1024.0);
            bar.finish(true, "");
            let mut bar = reporter.progress("Unpack", None);
            bar.text("1 %");
            bar.text("1 %");
            bar.update(5 * GIB, 0.0);
            drop(bar);
            Ok(())
        })
        .unwrap();
    let seen = happenings(&mut stream).await;
    let text = |bar: &str, text: &str| Happening::ProgressText {
        bar: bar.to_owned(),
        text: text.to_owned(),
    };
    let update = |bar: &str, current, rate| Happening::ProgressUpdate {
        bar: bar.to_owned(),
        current,
        rate,
    };
    let started = |bar: &str, description: &str, total| Happening::ProgressStarted {
        bar: bar.to_owned(),
        description: description.to_owned(),
        total,
        indent: 1,
    };
    let completed = |bar: &str, success| Happening::ProgressCompleted {
        bar: bar.to_owned(),
        success,
        message: String::new(),
    };
    let rate = 1024.0 * 100.0 / (8 * GIB) as f64;
    assert_eq!(
        seen,
        [
            started("2", "Download", 100),
            update("2", 25, 0.0),
            text("2", "2.0 GiB of 8.0 GiB"),
            update("2", 100, rate),
            text("2", "8.0 GiB of 8.0 GiB, 1.0 KiB/s"),
            completed("2", true),
            started("3", "Unpack", -1),
            update("3", 1, 0.0),
            text("3", "1 %"),
            completed("3", false),
            Happening::Completed,
            Happening::Gone,
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn who_begins_very_many_short_ones_has_to_wait() {
    let (operations, _stream) = Operations::new();
    let start = |owner| operations.start(spec(owner), open(), async |_| Ok(()));
    let mut refused = None;
    for number in 0..=MAX_REMEMBERED {
        let started = start(1);
        assert_eq!(started.is_err(), number == MAX_REMEMBERED, "{number}");
        refused = started.err();
        // Until it has ended.
        while !operations.running(Some(1)).is_empty() {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(
        refused.map(|error| error.kind),
        Some(ErrorKind::LimitExceeded)
    );
    assert!(start(2).is_ok(), "others are not concerned");
    tokio::time::sleep(LINGER + LINGER).await;
    assert!(start(1).is_ok());
}
