// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! A session in a terminal, typed in as a user does: a shell on the host, and a shell in the container.

use kapsule_system_tests::container::{Container, common};
use kapsule_system_tests::host::{ALICE, ROOT, shared};
use kapsule_system_tests::process::Running;

/// A shell of the host in a terminal, with `$c` for the container.
fn shell_outside(container: &str) -> Running {
    let mut shell = ALICE.command(["bash", "--norc", "-i"]).tty().start();
    shell.write(format!("c={container}; PS1='out''side> '\n"));
    shell.wait_for("outside> ");
    shell
}

/// Interrupts what runs, and waits for the shell's prompt: what is typed before that is thrown away.
fn interrupt(shell: &mut Running, prompt: &str) {
    let before = shell.stdout().len();
    shell.write([3]);
    wait_after(shell, before, prompt);
}

/// Waits for a text behind the first `before` bytes.
fn wait_after(shell: &mut Running, before: usize, text: &str) {
    let deadline = std::time::Instant::now() + kapsule_system_tests::process::HANG;
    while !shell.stdout()[before..].contains(text) {
        let hangs = std::time::Instant::now() > deadline || !shell.is_running();
        assert!(!hangs, "no {text:?} in {:?}", &shell.stdout()[before..]);
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// Enters it, in that shell.
fn shell_inside(shell: &mut Running) {
    shell.write("kapsule enter $c -- bash --norc -i\n");
    shell.write("PS1='in''side> '\n");
    shell.wait_for("inside> ");
}

#[test]
fn jobs_of_a_shell_inside() {
    let Some(_host) = shared() else { return };
    let mut shell = shell_outside(common().name);
    shell_inside(&mut shell);
    // In the foreground, stopped, continued, interrupted.
    shell.write("sh -c 'echo be\"\"gun; sleep 1000; echo never'; echo status=$?\n");
    shell.wait_for("begun");
    shell.write([0x1a]);
    shell.wait_for("Stopped");
    shell.wait_for("status=148");
    shell.write("jobs -s | wc -l | sed s/^/stopped:/\n");
    shell.wait_for("stopped:1");
    let before = shell.stdout().len();
    shell.write("fg\n");
    wait_after(&mut shell, before, "sh -c 'echo be");
    std::thread::sleep(std::time::Duration::from_millis(300));
    interrupt(&mut shell, "inside> ");
    shell.write("echo again=$?\n");
    shell.wait_for("again=130");
    // In the background.
    shell.write("sleep 1000 & echo job=$(jobs -r | wc -l)\n");
    shell.wait_for("job=1");
    shell.write("kill %1; wait %1; echo killed=$?\n");
    shell.wait_for("killed=143");
    // What reads in the background is stopped.
    shell.write("cat & sleep 0.5; jobs -s | grep -c cat | sed s/^/reader:/; kill -9 %1; while jobs | grep cat; do sleep 0.1; done\n");
    shell.wait_for("reader:1");
    let before = shell.stdout().len();
    shell.write("exit 7\n");
    wait_after(&mut shell, before, "outside> ");
    shell.write("echo in''side=$?\n");
    shell.wait_for("inside=7");
    shell.write("exit 0\n");
    shell.wait().ended(0);
}

#[test]
fn control_c_stops_a_loop_outside() {
    let Some(_host) = shared() else { return };
    let mut shell = shell_outside(common().name);
    shell.write("for i in 1 2 3; do echo turn=$i; kapsule enter $c -- sh -c 'echo wai\"\"ting; sleep 1000'; done\n");
    shell.wait_for("waiting");
    interrupt(&mut shell, "outside> ");
    shell.write("echo sta''tus=$?\n");
    shell.wait_for("status=130");
    assert!(!shell.stdout().contains("turn=2"), "{}", shell.stdout());
}

#[test]
fn the_client_itself_can_be_stopped() {
    let Some(_host) = shared() else { return };
    let mut shell = shell_outside(common().name);
    let inside =
        "trap 'echo in\"\"terrupted; exit 3' INT; echo rea\"\"dy; while :; do sleep 0.05; done";
    shell.write(
        format!("kapsule enter $c -- sh -c '{inside}'; echo sta''tus=$?\n").replace(
            "'echo in\"\"terrupted; exit 3'",
            "\"echo in\\\"\\\"terrupted; exit 3\"",
        ),
    );
    shell.wait_for("ready");
    ALICE
        .run(["pkill", "-TSTP", "-f", "^kapsule enter .*in.*terrupted"])
        .ok();
    shell.wait_for("Stopped");
    // By the signal that Ctrl-Z sends, as every other job.
    shell.wait_for("status=148");
    // The terminal is the shell's again, and says so.
    let text = shell.stdout();
    let pop = text.rfind("\x1b]777;container;pop;;\x07");
    assert!(pop > text.rfind("\x1b]777;container;push;"), "{text:?}");
    shell.write("stty -a | grep -c ' icanon' | sed s/^/cooked:/\n");
    shell.wait_for("cooked:1");
    let before = shell.stdout().len();
    shell.write("fg\n");
    // It has to be marked again before it takes keys.
    wait_after(&mut shell, before, "\x1b]777;container;push;");
    shell.write([3]);
    shell.wait_for("interrupted");
    shell.write("exit 0\n");
    shell.wait().ended(0);
}

#[test]
fn what_is_typed_arrives_all_of_it() {
    let Some(_host) = shared() else { return };
    let mut session = ALICE
        .enter_command(
            common().name,
            [
                "sh",
                "-c",
                "stty -echo; echo ready; cat > ~/t3-typed; echo written",
            ],
        )
        .tty()
        .start();
    session.wait_for("ready");
    let lines: String = (0..3000).map(|n| format!("{n:099}\n")).collect();
    session.write(&lines);
    session.write([4]);
    session.wait_for("written");
    session.wait().ended(0);
    let arrived = ALICE.run(["cat", "t3-typed"]);
    assert!(
        arrived.text() == lines,
        "{} of {} bytes",
        arrived.stdout.len(),
        lines.len()
    );
    ALICE.run(["rm", "t3-typed"]).ok();
}

#[test]
fn much_output_arrives_all_of_it() {
    let Some(_host) = shared() else { return };
    let output = ALICE
        .enter_command(common().name, ["sh", "-c", "seq 100000; exit 3"])
        .tty()
        .run();
    let text = output.ended(3);
    let numbers: Vec<&str> = text.split("\r\n").collect();
    assert_eq!(numbers.len(), 100_001);
    assert!(
        numbers[99_998..].concat().starts_with("99999100000"),
        "{:?}",
        &numbers[99_998..]
    );
}

/// So much that a second thread writes it.
#[test]
fn very_much_output_arrives_all_of_it() {
    let Some(_host) = shared() else { return };
    // Its input is left open: the end of one is a key, and echoed.
    let mut session = ALICE
        .enter_command(common().name, ["sh", "-c", "seq 1500000; exit 3"])
        .tty()
        .start();
    let stdin = session.stdin.take();
    let text = session.wait().ended(3);
    drop(stdin);
    let mut numbers = text.split("\r\n").skip(1);
    for wanted in 2..1_500_000 {
        assert_eq!(numbers.next(), Some(wanted.to_string().as_str()));
    }
    assert!(numbers.next().is_some_and(|last| last == "1500000"));
    // The marks are the last, also when it is ended in the middle of it.
    let name = common().name;
    let mut session = ALICE.enter_command(name, ["yes", "t3-much"]).tty().start();
    while session.stdout().len() < 4_000_000 {
        std::thread::sleep(std::time::Duration::from_millis(20));
        assert!(session.is_running());
    }
    ALICE
        .run(["pkill", "-TERM", "-f", "^kapsule enter .*yes t3-much"])
        .ok();
    let text = session.wait().ended(143);
    assert!(
        text.ends_with("\x1b[23;0t\x1b]777;container;pop;;\x07"),
        "{:?}",
        &text[text.len() - 200..]
    );
}

#[test]
fn errors_can_go_elsewhere() {
    let Some(_host) = shared() else { return };
    let mut shell = shell_outside(common().name);
    shell.write("kapsule enter $c -- sh -c 'test -t 0 && test -t 1 && ! test -t 2; echo terminals=$?; echo wrong >&2' 2> ~/t3-stderr\n");
    shell.wait_for("terminals=0");
    shell.write("echo file=$(cat ~/t3-stderr); rm ~/t3-stderr\n");
    shell.wait_for("file=wrong");
    // Only one end is a terminal: then the session has none.
    shell.write("kapsule enter $c -- sh -c 'test -t 0 || test -t 1; echo piped=$?' | cat\n");
    shell.wait_for("piped=1");
}

/// OSC 7, by which a shell tells its working directory, is between the shell and the terminal.
#[test]
fn what_a_program_tells_the_terminal_arrives_and_nothing_is_added() {
    let Some(_host) = shared() else { return };
    let told = "\x1b]7;file://somewhere/tmp\x07\x1b]8;;x\x1b\\";
    let text = ALICE
        .enter_command(common().name, ["printf", "%s", told])
        .tty()
        .run()
        .ended(0);
    assert_eq!(text.matches("\x1b]7;").count(), 1, "{text:?}");
    assert!(text.contains(told), "{text:?}");
}

/// The marks that terminals read, to the byte.
#[test]
fn marks_are_exact_however_the_session_ends() {
    let Some(host) = shared() else { return };
    let name = common().name;
    let begin = |title: &str| {
        format!("\x1b]777;container;push;{name};kapsule\x07\x1b[22;0t\x1b]2;{name}: {title}\x07")
    };
    let end = "\x1b[23;0t\x1b]777;container;pop;;\x07";
    // Its input is left open: the end of one is a key in a terminal.
    let mut session = ALICE
        .enter_command(name, ["printf", "within"])
        .tty()
        .start();
    let stdin = session.stdin.take();
    let output = session.wait();
    drop(stdin);
    assert_eq!(output.ended(0), format!("{}within{end}", begin("printf")));
    for (signal, number, tag) in [("TERM", 15, "31001"), ("HUP", 1, "31002")] {
        let mut session = ALICE
            .enter_command(
                name,
                ["sh", "-c", &format!("printf within; exec sleep {tag}")],
            )
            .tty()
            .start();
        session.wait_for("within");
        ALICE
            .run([
                "pkill",
                &format!("-{signal}"),
                "-f",
                &format!("^kapsule enter .*sleep {tag}"),
            ])
            .ok();
        let output = session.wait();
        assert_eq!(
            output.ended(128 + number),
            format!("{}within{end}", begin("sh")),
            "{signal}"
        );
        // And what ran inside has gone with it.
        let gone = || ROOT.run(["pgrep", "-f", &format!("sleep {tag}")]).status == 1;
        host.wait_until("the program has ended", gone);
    }
    // A command that cannot be run, and a container that cannot be entered, leave no mark behind.
    for argv in [
        ["kapsule", "enter", name, "--", "t3-none"],
        ["kapsule", "enter", "t3-none", "--", "true"],
    ] {
        let text = ALICE.command(argv).tty().run().text();
        assert_eq!(
            text.matches("container;push").count(),
            text.matches("container;pop").count(),
            "{text:?}"
        );
    }
}

#[test]
fn the_terminal_is_as_it_was() {
    let Some(_host) = shared() else { return };
    let mut shell = shell_outside(common().name);
    shell.write("stty -g > ~/t3-before\n");
    for (how, status) in [
        ("sh -c 'stty raw -echo; exit 3'", 3),
        ("sh -c 'kill -9 $$'", 137),
        ("sh -c 'pkill -KILL -t $(ps -o tty= -p $$)'", 137),
    ] {
        shell.write(format!("kapsule enter $c -- {how}; echo sta''tus=$?; stty -g | cmp - ~/t3-before && echo sa''me-{status}\n"));
        shell.wait_for(&format!("status={status}"));
        shell.wait_for(&format!("same-{status}"));
    }
    shell.write("rm ~/t3-before\n");
}

/// Starts a tab: a terminal program with a session in it.
fn tab(container: &Container, inside: &str) -> Running {
    let enter = format!("kapsule enter {} -- sh -c '{inside}'", container.name);
    // `script` is the terminal program: its end closes the terminal.
    let mut tab = ALICE
        .command(["script", "--quiet", "--command", &enter, "/dev/null"])
        .tty()
        .start();
    tab.wait_for("tab-ready");
    tab
}

/// Closes the tab in which this was started.
fn close(inside: &str) {
    ALICE
        .run(["pkill", "-KILL", "-f", &format!("^script .*{inside}")])
        .ok();
}

#[test]
fn closing_a_tab_ends_its_tree_and_nothing_else() {
    let Some(host) = shared() else { return };
    let container = common();
    let tree = "sleep 32001 & (sleep 32002 & sleep 32003) & nohup sleep 32011 >/dev/null 2>&1 & setsid sleep 32012 >/dev/null 2>&1 & \
        sh -c \"trap : HUP TERM; while :; do sleep 32004; done\" & sleep 0.3; echo tab-ready; sleep 32005";
    let other =
        "sleep 32021 & sleep 0.1; echo tab-ready; read line; echo goes on with $line; exit 4";
    let mut stays = tab(container, other);
    let _goes = tab(container, tree);
    let running = |n: u32| container.sh(&format!("pgrep -cf '^sleep {n}' || true")) == "1";
    for n in [32001, 32002, 32003, 32004, 32005, 32011, 32012, 32021] {
        assert!(running(n), "{n}");
    }
    close("sleep 32005");
    for n in 32001..=32005 {
        host.wait_until("the tree of the tab has ended", || !running(n));
    }
    let no_client = || ROOT.sh("pgrep -cf '^kapsule enter .*3200[1]' || true").ok() == "0";
    host.wait_until("so has its client", no_client);
    // Detached on purpose, as with ssh; and the other tab.
    assert!(running(32011) && running(32012) && running(32021));
    stays.write("this\n");
    stays.wait_for("goes on with this");
    drop(stays);
    container.sh("pkill -f '^sleep 320[0-9][0-9]'; true");
}

#[test]
fn what_is_left_in_the_background_outlives_a_session_that_ends() {
    let Some(_host) = shared() else { return };
    let container = common();
    let leave =
        "nohup sleep 33001 >/dev/null 2>&1 & setsid sleep 33002 >/dev/null 2>&1 & sleep 0.2";
    // The session ends at once, though they go on.
    ALICE.enter(container.name, ["sh", "-c", leave]).ended(0);
    ALICE
        .enter_command(container.name, ["sh", "-c", leave])
        .tty()
        .run()
        .ended(0);
    for n in [33001, 33002] {
        assert_eq!(container.sh(&format!("pgrep -cf '^sleep {n}'")), "2");
    }
    container.sh("pkill -f '^sleep 3300'");
    // One that keeps the stream holds it open, as with ssh.
    let said = ALICE
        .enter(
            container.name,
            ["sh", "-c", "(sleep 0.5; echo late) & echo first"],
        )
        .ok();
    assert!(said == "first\nlate" || said == "first", "{said}");
}
