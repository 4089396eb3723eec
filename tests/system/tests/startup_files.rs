// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What a shell reads before a command, or before its prompt. Root's files, as those are the container's own.

use kapsule_system_tests::container::Container;
use kapsule_system_tests::host::{ALICE, shared};

const SHOW: &str = "echo read=$T3_RC$T3_PROFILE.";

#[test]
fn shells_read_what_they_read_under_ssh() {
    let Some(_host) = shared() else { return };
    drop(ALICE.kapsule(["rm", "--force", "t3-startup"]));
    let container = Container::create(ALICE, "t3-startup", &[]);
    let enter = |args: &[&str]| {
        let line = [&["enter", container.name, "--user", "root"], args].concat();
        ALICE.kapsule_command(line)
    };
    let prepare = "chsh -s /bin/bash root 2>/dev/null; cd /root; rm -f .bash_profile .bash_login
        echo 'export T3_RC=bashrc' > .bashrc; echo 'export T3_PROFILE=profile' > .profile";
    enter(&["--", "sh", "-c", prepare]).run().ok();
    for (how, wanted) in [
        (&[][..], "read=bashrc."),
        (&["--login"], "read=profile."),
        (&["--no-login"], "read=bashrc."),
        (&["--no-shell"], "read=."),
    ] {
        let line = [how, &["--", "sh", "-c", SHOW]].concat();
        assert_eq!(enter(&line).run().ok(), wanted, "{how:?}");
    }
    for (how, wanted) in [
        (&[][..], "read=profile."),
        (&["--no-login"], "read=bashrc."),
    ] {
        let mut shell = enter(how).tty().start();
        // Without being found in what is typed.
        shell.write(format!("{}\n", SHOW.replace("read", "re''ad")));
        shell.wait_for(wanted);
        shell.write("exit 0\n");
        shell.wait().ended(0);
    }
    // One that returns where nobody types.
    let guarded = "printf '[ -z \"$PS1\" ] && return\\nexport T3_RC=x\\n' > /root/.bashrc";
    enter(&["--", "sh", "-c", guarded]).run().ok();
    assert_eq!(enter(&["--", "sh", "-c", SHOW]).run().ok(), "read=.");
}
