// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! Commands in a container.

use std::time::{Duration, Instant};

use incus::{Error, ExecLimits, ExecOutput, ExecPost};

use crate::fixture::{Fixture, with_project};

async fn sh(
    test: &Fixture,
    script: &str,
    stdin: Vec<u8>,
    limits: ExecLimits,
) -> incus::Result<ExecOutput> {
    test.project
        .exec_collect("demo", &ExecPost::new(["sh", "-c", script]), stdin, limits)
        .await
}

#[tokio::test]
async fn collecting() {
    with_project(async |test| {
        test.running("demo").await;
        let usual = ExecLimits::default();

        let output = sh(
            test,
            "cat; echo oops >&2; exit 7",
            b"in\0put".to_vec(),
            usual,
        )
        .await
        .unwrap();
        let expected = ExecOutput {
            status: 7,
            stdout: b"in\0put".to_vec(),
            stderr: b"oops\n".to_vec(),
            truncated: false,
        };
        assert_eq!(output, expected);

        let large: Vec<u8> = (0..1_000_000u32).map(|i| (i % 251) as u8).collect();
        let output = sh(test, "cat", large.clone(), usual).await.unwrap();
        assert!(
            output.stdout == large && !output.truncated,
            "{} bytes came back",
            output.stdout.len()
        );

        let output = sh(test, "exit 0", large, usual).await.unwrap();
        assert_eq!(output.status, 0, "input that nobody reads");

        let output = sh(
            test,
            "head -c 3000000 /dev/zero",
            vec![],
            ExecLimits {
                stdout: 1000,
                ..usual
            },
        )
        .await
        .unwrap();
        assert!(output.status == 0 && output.stdout.len() == 1000 && output.truncated);

        let output = sh(test, "kill -9 $$", vec![], usual).await.unwrap();
        assert_eq!(output.status, 137);

        let output = test
            .project
            .exec_collect("demo", &ExecPost::new(["no-such-program"]), "", usual)
            .await
            .unwrap();
        assert_eq!(output.status, 127);

        let post = ExecPost {
            user: Some(1000),
            group: Some(1001),
            cwd: Some("/tmp".into()),
            environment: [("WORD".to_owned(), "two words".to_owned())].into(),
            ..ExecPost::new(["sh", "-c", "id -u; id -g; pwd; echo $WORD"])
        };
        let output = test
            .project
            .exec_collect("demo", &post, "", usual)
            .await
            .unwrap();
        assert_eq!(
            String::from_utf8(output.stdout).unwrap(),
            "1000\n1001\n/tmp\ntwo words\n"
        );
    })
    .await;
}

#[tokio::test]
async fn what_takes_too_long_is_killed() {
    with_project(async |test| {
        test.running("demo").await;
        let limits = ExecLimits { time: Some(Duration::from_secs(1)), ..Default::default() };
        let start = Instant::now();
        let error = sh(test, "echo $$ > /tmp/pid; exec sleep 1000", vec![], limits).await.unwrap_err();
        assert!(matches!(error, Error::ExecTimeout { .. }), "{error}");
        assert!(start.elapsed() < Duration::from_secs(3));
        let check = "for i in $(busybox seq 50); do kill -0 $(cat /tmp/pid) 2>/dev/null || exit 0; sleep 0.1; done; exit 1";
        let output = sh(test, check, vec![], ExecLimits::default()).await.unwrap();
        assert_eq!(output.status, 0, "the command still runs");
    })
    .await;
}

#[tokio::test]
async fn a_terminal() {
    with_project(async |test| {
        test.running("demo").await;
        let post = ExecPost {
            interactive: true,
            width: Some(100),
            height: Some(30),
            ..ExecPost::new([
                "sh",
                "-c",
                "stty size; read line; echo got $line; stty size; read x",
            ])
        };
        let mut exec = test.project.exec("demo", &post).await.unwrap();
        let mut seen = String::new();
        read_until(&mut exec, &mut seen, "30 100").await;
        exec.control.resize(90, 20).await.unwrap();
        exec.stdin.write("word\n").await.unwrap();
        read_until(&mut exec, &mut seen, "got word").await;
        read_until(&mut exec, &mut seen, "20 90").await;
        exec.control.signal(15).await.unwrap();
        while exec.stdout.next().await.is_some() {}
        let status = tokio::time::timeout(Duration::from_secs(10), exec.wait())
            .await
            .expect("it hung")
            .unwrap();
        assert_eq!(status, 143);
    })
    .await;
}

async fn read_until(exec: &mut incus::Exec, seen: &mut String, words: &str) {
    while !seen.contains(words) {
        let next = tokio::time::timeout(Duration::from_secs(10), exec.stdout.next()).await;
        let bytes = next
            .unwrap_or_else(|_| panic!("only {seen:?} came"))
            .unwrap_or_else(|| panic!("ended: {seen:?}"));
        seen.push_str(std::str::from_utf8(&bytes.unwrap()).unwrap());
    }
}

#[tokio::test]
async fn what_does_not_run_runs_nothing() {
    with_project(async |test| {
        test.stopped("demo").await;
        let error = sh(test, "true", vec![], ExecLimits::default())
            .await
            .unwrap_err();
        assert!(
            matches!(&error, Error::Api { .. } | Error::OperationFailed { .. }),
            "{error}"
        );
        let post = ExecPost::new(["true"]);
        let error = test
            .project
            .exec_collect("nobody", &post, "", ExecLimits::default())
            .await
            .unwrap_err();
        assert!(error.is_not_found(), "{error}");
    })
    .await;
}
