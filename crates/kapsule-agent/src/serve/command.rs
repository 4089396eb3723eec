// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! From a client's request to what `execve` wants.

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use kapsule_proto::session::{Bytes, Notice, Open, Shell};
use rustix::fs::{Access, access};

use super::environment::{self, Environment};
use super::startup_files;
use crate::account_file;

const FALLBACK_SHELL: &[u8] = b"/bin/sh";
/// A guest with more users than fit into this has no use for a container per user.
const MAX_PASSWD: u64 = 16 * 1024 * 1024;

/// Who the sessions run as: the guest's own account of the agent's user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: Vec<u8>,
    pub(crate) home: Vec<u8>,
    pub(crate) shell: Vec<u8>,
}

impl Account {
    /// Looks the user up in the guest; read for each session, because `chsh` may have changed it.
    pub(crate) fn of(uid: u32) -> Self {
        let passwd = crate::files::read_limited("/etc/passwd".as_ref(), MAX_PASSWD);
        let passwd = passwd.unwrap_or_default();
        match account_file::user_by_id(&passwd, uid) {
            Some(user) => Self {
                name: user.name.to_vec(),
                home: user.home.to_vec(),
                shell: user.shell.to_vec(),
            },
            None => Self {
                name: uid.to_string().into_bytes(),
                home: b"/".to_vec(),
                shell: Vec::new(),
            },
        }
    }
}

/// A request, ready to be executed.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) programs: Vec<CString>,
    pub(crate) argv: Vec<CString>,
    pub(crate) env: Vec<CString>,
    pub(crate) cwd: CString,
    pub(crate) home: CString,
    /// What went otherwise than asked for, as far as it is known before the process is made.
    pub(crate) notice: Option<Notice>,
}

impl Command {
    /// Builds the command; `None` if the request has something that cannot be passed on, such as
    /// a NUL in an argument.
    pub(crate) fn new(open: &Open, account: &Account, base: &Environment) -> Option<Self> {
        let (shell, notice) = usable_shell(&account.shell, is_executable);
        let mut env = base.clone();
        for (name, value) in [
            ("HOME", account.home.as_slice()),
            ("USER", &account.name),
            ("LOGNAME", &account.name),
            ("SHELL", shell),
        ] {
            env.insert(name.into(), value.to_vec());
        }
        let how = match open.shell {
            Shell::Plain if !open.argv.is_empty() && needs_no_shell(shell, account, open, base) => {
                Shell::Without
            }
            how => how,
        };
        let (program, argv) = program_and_arguments(&open.argv, how, shell);
        if argv.get(2).is_some_and(|line| line == BASH_BECOME) {
            env.insert(SSH_MARK.into(), Vec::new());
        }
        environment::add(&mut env, &open.env)?;
        let path = env.get(b"PATH".as_slice()).map_or(&[][..], Vec::as_slice);
        Some(Self {
            programs: to_strings(candidates(&program, path))?,
            argv: to_strings(argv)?,
            env: environment::to_strings(&env)?,
            cwd: match &open.cwd {
                Some(cwd) => CString::new(cwd.to_vec()).ok()?,
                None => CString::new(account.home.clone()).ok()?,
            },
            home: CString::new(account.home.clone()).ok()?,
            notice: notice.filter(|_| open.argv.is_empty() || open.shell == Shell::Login),
        })
    }
}

/// Whether the shell would only hand the command on.
fn needs_no_shell(shell: &[u8], account: &Account, open: &Open, base: &Environment) -> bool {
    // With these bash looks elsewhere, or takes itself for an interactive one.
    let other = |name: &[u8]| matches!(name, b"BASH_ENV" | b"PS1");
    let sent = |name: &[u8]| other(name) || name == b"HOME";
    let home = Path::new(OsStr::from_bytes(&account.home));
    base_name(shell) == b"bash"
        && !open.env.iter().any(|(name, _)| sent(name))
        && !base.keys().any(|name| other(name))
        && startup_files::bash_reads_nothing(home)
}

fn to_strings(strings: Vec<Vec<u8>>) -> Option<Vec<CString>> {
    strings
        .into_iter()
        .map(|string| CString::new(string).ok())
        .collect()
}

/// The program to execute, and its arguments from the zeroth on.
fn program_and_arguments(argv: &[Bytes], how: Shell, shell: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let name = base_name(shell);
    let [program, ..] = argv else {
        // A login shell knows that it is one by a dash in front of its name.
        let zeroth = match how {
            Shell::Login => [b"-", name].concat(),
            Shell::Plain | Shell::Without => name.to_vec(),
        };
        return (shell.to_vec(), vec![zeroth]);
    };
    let Some(reader) = Reader::choose(how, shell) else {
        let argv = argv.iter().map(|argument| argument.to_vec()).collect();
        return (program.to_vec(), argv);
    };
    // The shell reads its files and then becomes the program. The arguments are handed over as
    // they are: the shell never parses them.
    let zeroth = base_name(reader.shell).to_vec();
    let mut with_shell = vec![zeroth.clone()];
    if how == Shell::Login {
        with_shell.push(b"-l".to_vec());
    }
    with_shell.extend([b"-c".to_vec(), reader.line.to_vec()]);
    if base_name(reader.shell) != b"fish" {
        with_shell.push(zeroth);
    }
    with_shell.extend(argv.iter().map(|argument| argument.to_vec()));
    (reader.shell.to_vec(), with_shell)
}

/// A shell that reads its files and then executes its arguments, and the line that does it.
struct Reader<'a> {
    shell: &'a [u8],
    line: &'static [u8],
}

const BECOME: &[u8] = b"exec \"$@\"";
const FISH_BECOME: &[u8] = b"exec $argv";
/// By this variable bash knows that `ssh` runs it, and then reads `~/.bashrc` without being
/// interactive, where its distribution built it so. Unset when it has.
const SSH_MARK: &[u8] = b"SSH2_CLIENT";
const BASH_BECOME: &[u8] = b"unset SSH2_CLIENT; exec \"$@\"";

impl<'a> Reader<'a> {
    /// `None` if the program is executed without a shell, because that is asked for or because the
    /// shell would read nothing.
    fn choose(how: Shell, shell: &'a [u8]) -> Option<Self> {
        let line = match (how, base_name(shell)) {
            (Shell::Without, _) => return None,
            (Shell::Plain, b"bash") => BASH_BECOME,
            (_, b"fish") => FISH_BECOME,
            (Shell::Plain, b"zsh") => BECOME,
            // sh and its kin read nothing then. csh and its kin would, but cannot hand arguments
            // on unchanged.
            (Shell::Plain, _) => return None,
            (
                Shell::Login,
                b"bash" | b"zsh" | b"sh" | b"dash" | b"ash" | b"ksh" | b"ksh93" | b"mksh" | b"yash",
            ) => BECOME,
            // csh and the like have another language; the system's shell has a profile too.
            (Shell::Login, _) => {
                return Some(Self {
                    shell: FALLBACK_SHELL,
                    line: BECOME,
                });
            }
        };
        Some(Self { shell, line })
    }
}

fn base_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

/// The account's shell, or `/bin/sh` with a note where the guest does not have it.
fn usable_shell(wanted: &[u8], is_executable: impl Fn(&[u8]) -> bool) -> (&[u8], Option<Notice>) {
    match wanted {
        // passwd(5): an empty field means /bin/sh.
        b"" => (FALLBACK_SHELL, None),
        _ if is_executable(wanted) => (wanted, None),
        _ => (FALLBACK_SHELL, Some(Notice::Shell)),
    }
}

fn is_executable(path: &[u8]) -> bool {
    let path = Path::new(OsStr::from_bytes(path));
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}

/// Where a program may be, as `execvp` looks for it.
fn candidates(program: &[u8], path: &[u8]) -> Vec<Vec<u8>> {
    if program.is_empty() {
        return Vec::new();
    }
    if program.contains(&b'/') {
        return vec![program.to_vec()];
    }
    path.split(|byte| *byte == b':')
        .map(|directory| match directory {
            b"" => [b"./", program].concat(),
            directory => [directory, b"/", program].concat(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(words: &[&str]) -> Vec<Bytes> {
        words
            .iter()
            .map(|word| Bytes::from(word.as_bytes()))
            .collect()
    }

    fn strings(argv: &[Vec<u8>]) -> Vec<String> {
        argv.iter()
            .map(|arg| String::from_utf8(arg.clone()).unwrap())
            .collect()
    }

    #[test]
    fn what_is_executed() {
        let exec = "exec \"$@\"";
        use Shell::{Login, Plain, Without};
        for (words, how, shell, program, expected) in [
            (&[][..], Login, "/bin/bash", "/bin/bash", &["-bash"][..]),
            (&[], Plain, "/bin/bash", "/bin/bash", &["bash"]),
            (&[], Without, "/bin/bash", "/bin/bash", &["bash"]),
            (&["ls", "-l"], Without, "/bin/zsh", "ls", &["ls", "-l"]),
            (&["ls", "-l"], Plain, "/bin/dash", "ls", &["ls", "-l"]),
            (&["ls", "-l"], Plain, "/bin/tcsh", "ls", &["ls", "-l"]),
            (
                &["ls", ""],
                Plain,
                "/bin/zsh",
                "/bin/zsh",
                &["zsh", "-c", exec, "zsh", "ls", ""],
            ),
            (
                &["ls"],
                Plain,
                "/bin/bash",
                "/bin/bash",
                &["bash", "-c", "unset SSH2_CLIENT; exec \"$@\"", "bash", "ls"],
            ),
            (
                &["ls"],
                Plain,
                "/bin/fish",
                "/bin/fish",
                &["fish", "-c", "exec $argv", "ls"],
            ),
            (
                &["a b", "-c", "$x\n"],
                Login,
                "/usr/bin/zsh",
                "/usr/bin/zsh",
                &["zsh", "-l", "-c", exec, "zsh", "a b", "-c", "$x\n"],
            ),
            (
                &["x", ""],
                Login,
                "/bin/fish",
                "/bin/fish",
                &["fish", "-l", "-c", "exec $argv", "x", ""],
            ),
            (
                &["x"],
                Login,
                "/bin/tcsh",
                "/bin/sh",
                &["sh", "-l", "-c", exec, "sh", "x"],
            ),
        ] {
            let (found, args) = program_and_arguments(&argv(words), how, shell.as_bytes());
            assert_eq!(found, program.as_bytes(), "{words:?}");
            assert_eq!(strings(&args), expected, "{words:?}");
        }
    }

    #[test]
    fn where_a_program_is_looked_for() {
        for (program, path, expected) in [
            ("ls", "/a:/b", &["/a/ls", "/b/ls"][..]),
            ("./ls", "/a", &["./ls"]),
            ("/x/ls", "/a", &["/x/ls"]),
            ("ls", "/a::", &["/a/ls", "./ls", "./ls"]),
            ("", "/a", &[]),
        ] {
            let found = candidates(program.as_bytes(), path.as_bytes());
            assert_eq!(strings(&found), expected, "{program} in {path}");
        }
    }

    #[test]
    fn a_missing_shell_is_replaced_and_said() {
        let has_bash = |path: &[u8]| path == b"/bin/bash";
        assert_eq!(
            usable_shell(b"/bin/bash", has_bash),
            (&b"/bin/bash"[..], None)
        );
        assert_eq!(
            usable_shell(b"/bin/zsh", has_bash),
            (FALLBACK_SHELL, Some(Notice::Shell))
        );
        assert_eq!(usable_shell(b"", has_bash), (FALLBACK_SHELL, None));
    }

    #[test]
    fn what_cannot_be_passed_on_is_refused() {
        let account = Account {
            name: b"alice".into(),
            home: b"/home/alice".into(),
            shell: b"/bin/sh".into(),
        };
        let open = |argv: &[&str], cwd: Option<&str>| Open {
            argv: argv.iter().map(|arg| Bytes::from(arg.as_bytes())).collect(),
            env: Vec::new(),
            cwd: cwd.map(|cwd| Bytes::from(cwd.as_bytes())),
            terminal: None,
            stdio: kapsule_proto::session::StdioSet::default(),
            shell: Shell::Plain,
        };
        let base = Environment::new();
        assert!(Command::new(&open(&["a\0b"], None), &account, &base).is_none());
        assert!(Command::new(&open(&["a"], Some("/\0")), &account, &base).is_none());
        let command = Command::new(&open(&["a"], None), &account, &base).unwrap();
        assert_eq!(command.cwd.as_bytes(), b"/home/alice");
    }
}
