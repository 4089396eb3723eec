// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What goes into a session arrives, and what comes out is the program's: byte for byte, end for end.

use kapsule_system_tests::container::common;
use kapsule_system_tests::host::{ALICE, ROOT, shared};

/// Runs a script with the host's bash, where `$c` is the container. Bash tells how each part of a pipeline
/// ended.
fn bash(script: &str) -> String {
    let script = format!("c={}\n{script}", common().name);
    ALICE.run(["bash", "-c", &script]).ok()
}

#[test]
fn variables_arrive_unchanged_a_megabyte_of_them_too() {
    let Some(_host) = shared() else { return };
    let script = r#"
        $ENV{T_LINES} = "a\nb\n"; $ENV{T_QUOTES} = q(' " ` $HOME \ $(id)); $ENV{T_EMPTY} = "";
        $ENV{T_BYTES} = "\xff\xfe="; $ENV{T_ESC} = "\e[31m";
        $ENV{"T_BIG$_"} = chr(96 + $_) x 65536 for 1 .. 16;
        exec "kapsule", "enter", $ARGV[0], (map { ("-e", $_) } grep { /^T_/ } keys %ENV), "--", "env", "-0""#;
    let output = ALICE.run(["perl", "-e", script, common().name]);
    output.ended(0);
    let arrived: Vec<&[u8]> = output.stdout.split(|byte| *byte == 0).collect();
    for wanted in [
        &b"T_LINES=a\nb\n"[..],
        b"T_QUOTES=' \" ` $HOME \\ $(id)",
        b"T_EMPTY=",
        b"T_BYTES=\xff\xfe=",
        b"T_ESC=\x1b[31m",
    ] {
        assert!(
            arrived.contains(&wanted),
            "{:?}",
            String::from_utf8_lossy(wanted)
        );
    }
    for (number, letter) in (1..=16).zip(b'a'..) {
        let name = format!("T_BIG{number}=");
        let wanted = [name.as_bytes(), &[letter; 65536]].concat();
        assert!(arrived.contains(&wanted.as_slice()), "{name}");
    }
}

#[test]
fn what_is_set_on_the_command_line_wins_and_the_last_one_does() {
    let Some(_host) = shared() else { return };
    let said = bash(
        "TERM=a T_X=b kapsule enter $c -e TERM=c -e T_X -e T_X=d -e T_Y= -- sh -c 'echo $TERM $T_X ${T_Y-unset}.'",
    );
    assert_eq!(said, "c d .");
    let unset = ALICE.kapsule(["enter", common().name, "-e", "T_UNSET", "--", "true"]);
    assert_eq!(unset.status, 125, "{unset}");
    assert!(unset.errors().contains("T_UNSET"), "{unset}");
}

/// How `kapsule` itself ended, as its parent sees it: signal and exit status.
const ENDED: &str =
    r#"my $status = system(@ARGV); print "ended ", $status & 127, " ", $status >> 8, "\n""#;

#[test]
fn the_client_dies_of_what_the_program_died_of() {
    let Some(_host) = shared() else { return };
    for (signal, wanted) in [
        ("HUP", "ended 1 0"),
        ("INT", "ended 2 0"),
        ("QUIT", "ended 3 0"),
        ("KILL", "ended 9 0"),
        ("PIPE", "ended 13 0"),
        ("TERM", "ended 15 0"),
        // The client has not crashed, and leaves no core dump of itself.
        ("SEGV", "ended 0 139"),
        ("ABRT", "ended 0 134"),
        ("USR1", "ended 0 138"),
    ] {
        let kill = format!("kill -{signal} $$; sleep 10");
        let line = [
            "perl",
            "-e",
            ENDED,
            "kapsule",
            "enter",
            common().name,
            "--",
            "sh",
            "-c",
            &kill,
        ];
        assert_eq!(ALICE.run(line).ok(), wanted, "{signal}");
        let seen = ALICE.command(line).tty().run().ended(0);
        assert!(seen.contains(wanted), "{signal} in a terminal: {seen}");
    }
}

#[test]
fn signals_to_the_client_reach_the_program() {
    let Some(_host) = shared() else { return };
    for signal in ["TERM", "INT", "HUP", "USR1", "USR2", "QUIT"] {
        let inside = format!(
            "trap 'echo caught {signal}; exit 6' {signal}; echo ready; while :; do sleep 0.1; done"
        );
        // Started by bash in the background, it would ignore SIGINT; perl leaves it as it is.
        let script = r#"
            pipe(my $from, my $to); my $pid = fork // die;
            if (!$pid) { open STDOUT, ">&", $to; close $to; exec "kapsule", "enter", @ARGV[1 .. $#ARGV] }
            close $to; my $ready = <$from>; kill $ARGV[0], $pid; print <$from>; waitpid $pid, 0;
            print "ended ", $? & 127, " ", $? >> 8, "\n""#;
        let line = [
            "perl",
            "-e",
            script,
            signal,
            common().name,
            "--",
            "sh",
            "-c",
            &inside,
        ];
        assert_eq!(ALICE.run(line).ok(), format!("caught {signal}\nended 0 6"));
    }
}

#[test]
fn the_client_stops_and_takes_the_program_along() {
    let Some(_host) = shared() else { return };
    // With job control each job has a process group of its own, and `wait` tells of its stop too.
    let script = r#"set -m; f=~/t3-ticks; rm -f $f
        size() { stat -c %s $f; }; more() { s=$(size); until test $(size) -gt $s; do sleep 0.05; done; }
        kapsule enter $c -- sh -c 'while :; do echo tick; sleep 0.05; done' </dev/null >$f & client=$!
        until test -s $f; do sleep 0.05; done
        kill -TSTP $client; wait $client; echo stopped=$?
        sleep 0.5; s=$(size); sleep 0.5; test $(size) = $s && echo silent
        kill -CONT $client; more; echo goes on
        kill -TERM $client; wait $client; echo ended=$?; rm $f"#;
    assert_eq!(bash(script), "stopped=148\nsilent\ngoes on\nended=143");
}

#[test]
fn the_end_of_the_input_is_not_the_end_of_the_output() {
    let Some(_host) = shared() else { return };
    assert_eq!(
        bash("printf abc | kapsule enter $c -- sh -c 'cat; sleep 0.3; echo later'"),
        "abclater"
    );
    assert_eq!(
        bash("kapsule enter $c -- sh -c 'cat; echo end' < /dev/null"),
        "end"
    );
    // Closed by the caller altogether.
    assert_eq!(bash("kapsule enter $c -- sh -c 'cat; echo end' <&-"), "end");
    assert_eq!(
        bash("kapsule enter $c -- sh -c 'exit 4' >&- 2>&- <&-; echo $?"),
        "4"
    );
    // And the input of the next command is not eaten.
    assert_eq!(
        bash("printf 'one\\ntwo\\n' | { kapsule enter $c -- true < /dev/null; cat; }"),
        "one\ntwo"
    );
}

#[test]
fn a_program_that_stops_reading_stops_the_writer() {
    let Some(_host) = shared() else { return };
    assert_eq!(
        bash("yes | kapsule enter $c -- head -n 1; echo ${PIPESTATUS[*]}"),
        "y\n141 0"
    );
    // The writer is told at once, and not at the end of the session: the program waits for that.
    let script = "rm -f ~/t3-told
        { yes; touch ~/t3-told; } | kapsule enter $c -- sh -c 'exec <&-; until test -e ~/t3-told; do sleep 0.05; done; echo told'
        rm ~/t3-told";
    assert_eq!(bash(script), "told");
}

#[test]
fn a_program_that_stops_writing_ends_the_stream() {
    let Some(_host) = shared() else { return };
    // Bash has no pipe for one of two streams: a FIFO.
    let script = "rm -f ~/t3-ended; mkfifo ~/t3-fifo
        { cat; touch ~/t3-ended; } < ~/t3-fifo &
        kapsule enter $c -- sh -c 'echo out; exec >&-; until test -e ~/t3-ended; do sleep 0.05; done; echo late >&2; exit 3' > ~/t3-fifo 2> ~/t3-errors
        echo $?; cat ~/t3-errors; wait; rm ~/t3-fifo ~/t3-ended ~/t3-errors";
    assert_eq!(bash(script), "out\n3\nlate");
}

#[test]
fn a_reader_that_goes_is_a_broken_pipe() {
    let Some(_host) = shared() else { return };
    assert_eq!(
        bash("kapsule enter $c -- yes | head -n 1; echo ${PIPESTATUS[*]}"),
        "y\n141 0"
    );
    // The program may ignore that, and go on.
    let script = "kapsule enter $c -- sh -c 'trap \"\" PIPE; while echo x 2>/dev/null; do :; done; echo survived >&2; exit 5' 2> ~/t3-err | head -n 1
        echo ${PIPESTATUS[*]}; cat ~/t3-err; rm ~/t3-err";
    assert_eq!(bash(script), "x\n5 0\nsurvived");
    // Errors have a pipe of their own.
    assert_eq!(
        bash(
            "kapsule enter $c -- sh -c 'yes >&2; exit 9' 2>&1 >/dev/null | head -n 1; echo ${PIPESTATUS[*]}"
        ),
        "y\n9 0"
    );
}

#[test]
fn a_slow_reader_loses_nothing() {
    let Some(_host) = shared() else { return };
    let script = "kapsule enter $c -- head -c 20000000 /dev/zero | { sleep 1; wc -c; }";
    assert_eq!(bash(script), "20000000");
    // Nor does one that reads what a program leaves behind at its end.
    let script = "kapsule enter $c -- sh -c 'head -c 60000 /dev/zero; exit 8' | { sleep 0.5; wc -c; }; echo ${PIPESTATUS[*]}";
    assert_eq!(bash(script), "60000\n8 0");
}

#[test]
fn both_directions_at_once() {
    let Some(_host) = shared() else { return };
    let script = "head -c 30000000 /dev/urandom > ~/t3-random
        kapsule enter $c -- sh -c 'tee /dev/stderr' < ~/t3-random 2> ~/t3-copy | cmp - ~/t3-random
        cmp ~/t3-copy ~/t3-random && echo same; rm ~/t3-random ~/t3-copy";
    assert_eq!(bash(script), "same");
}

#[test]
fn a_folder_that_is_not_inside_is_said_and_the_home_is_taken() {
    let Some(_host) = shared() else { return };
    ROOT.sh("mkdir -p /srv/t3-outside").ok();
    let line = ALICE.enter_command(common().name, ["pwd"]);
    let output = line.cwd("/srv/t3-outside").run();
    assert_eq!(output.ok(), "/home/alice", "{output}");
    let said = output.errors();
    assert_eq!(said.lines().count(), 1, "one line: {output}");
    assert!(
        said.contains("/srv/t3-outside") && said.contains(common().name),
        "{output}"
    );
    ROOT.sh("rmdir /srv/t3-outside").ok();
}

#[test]
fn a_folder_with_control_characters_in_its_name_does_not_reach_the_terminal() {
    let Some(_host) = shared() else { return };
    let script = "mkdir -p /tmp/$'t3-\\e[31m'; cd /tmp/$'t3-\\e[31m'; kapsule enter $c -- true 2>&1; rmdir /tmp/$'t3-\\e[31m'";
    let said = bash(script);
    assert!(said.contains("t3-") && !said.contains('\x1b'), "{said:?}");
}
