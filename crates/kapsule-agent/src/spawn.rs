// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Makes a session's process.
//!
//! The only module with `unsafe` code: between fork and exec a process may do nothing but system
//! calls, and no safe interface promises that. Everything that allocates happens before.

#![allow(
    unsafe_code,
    reason = "clone3, execve and signal dispositions have no safe interface"
)]

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, Resource, Rlimit};

/// From linux/sched.h, as 64-bit numbers: the C library's headers have ints, too short for these.
const CLONE_PIDFD: u64 = 0x1000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// What a process is to be.
#[derive(Debug)]
pub(crate) struct Blueprint<'a> {
    /// Where the program may be, in the order in which to try.
    pub(crate) programs: &'a [CString],
    /// Its arguments, with the zeroth.
    pub(crate) argv: &'a [CString],
    /// Its environment, `NAME=value`.
    pub(crate) env: &'a [CString],
    /// Working directory.
    pub(crate) cwd: &'a CStr,
    /// Working directory where that one cannot be had.
    pub(crate) home: &'a CStr,
    /// Standard input, output and error. None of them may be one of the first three descriptors.
    pub(crate) stdio: [BorrowedFd<'a>; 3],
    /// Make the terminal among [`Self::stdio`] the controlling one.
    pub(crate) terminal: Option<BorrowedFd<'a>>,
    /// Control group to be born in.
    pub(crate) cgroup: Option<BorrowedFd<'a>>,
    /// Limit of open files, which the agent raises for itself.
    pub(crate) open_files: Rlimit,
}

/// A process that was made.
#[derive(Debug)]
pub(crate) struct Child {
    /// Its number, which is also that of its session and process group.
    pub(crate) pid: Pid,
    /// Becomes readable when it ends.
    pub(crate) pidfd: OwnedFd,
}

/// What a new process says on its report pipe before it becomes the program. The pipe's end
/// without a [`Report::Failed`] means that the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// The working directory could not be entered; the home was taken.
    WorkingDirectory,
    /// The terminal could not be made the controlling one.
    Terminal(i32),
    /// The program could not be executed, with the error number.
    Failed(i32),
}

impl Report {
    /// Length of one report in the pipe.
    pub(crate) const LEN: usize = 5;

    fn to_bytes(self) -> [u8; Self::LEN] {
        let (kind, errno) = match self {
            Self::WorkingDirectory => (0, 0_i32),
            Self::Terminal(errno) => (1, errno),
            Self::Failed(errno) => (2, errno),
        };
        let [a, b, c, d] = errno.to_le_bytes();
        [kind, a, b, c, d]
    }

    /// Reads one report.
    pub(crate) fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        let [kind, a, b, c, d] = bytes;
        let errno = i32::from_le_bytes([a, b, c, d]);
        match kind {
            0 => Self::WorkingDirectory,
            1 => Self::Terminal(errno),
            _ => Self::Failed(errno),
        }
    }
}

/// Sets every signal to its default, so that sessions do not inherit what the agent's starter
/// ignored or blocked. `SIGPIPE` stays ignored in the agent and is reset in each child.
pub(crate) fn reset_signals() {
    // `struct sigaction` as the kernel has it: all zero is the default action.
    let default = [0_u64; 4];
    // SAFETY: no handler is installed, only defaults, and there is one thread. The kernel is asked
    // directly because the C library keeps 32 and 33 to itself, which may be ignored like others.
    // The two that cannot be set (9 and 19) fail without effect.
    unsafe {
        for signal in 1..=64 {
            if signal != libc::SIGPIPE {
                let none = ptr::null_mut::<u64>();
                libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), none, 8);
            }
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
    }
}

/// Makes a process. Returns it and the read end of its report pipe, which does not block.
///
/// # Errors
/// When the system has no room for a process, a descriptor or a pipe.
pub(crate) fn spawn(blueprint: &Blueprint<'_>) -> io::Result<(Child, OwnedFd)> {
    let (report, report_end) = pipe_with(PipeFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&report, true)?;
    let argv = pointers(blueprint.argv);
    let env = pointers(blueprint.env);
    // `/bin/sh` in front and the program in place of the zeroth argument, for scripts without an
    // interpreter line; the program's name is filled in when it is known.
    let mut sh_argv = vec![c"/bin/sh".as_ptr(), ptr::null()];
    sh_argv.extend(argv.iter().skip(1));

    let (pid, pidfd) = match clone(blueprint.cgroup) {
        Ok(cloned) => cloned,
        // The control group is a service to whoever counts; without it, or on a system that
        // filters clone3, the session runs all the same.
        Err(_) => clone(None).or_else(|_| fork())?,
    };
    if pid == 0 {
        become_program(blueprint, &argv, &env, &mut sh_argv, report_end.as_fd());
    }
    drop(report_end);
    let pid = Pid::from_raw(pid).ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))?;
    let pidfd = match pidfd {
        Some(pidfd) => pidfd,
        None => rustix::process::pidfd_open(pid, PidfdFlags::empty())?,
    };
    Ok((Child { pid, pidfd }, report))
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings
        .iter()
        .map(|string| string.as_ptr())
        .chain([ptr::null()])
        .collect()
}

/// Forks, straight into `cgroup` if there is one. The number is 0 in the child.
fn clone(cgroup: Option<BorrowedFd<'_>>) -> io::Result<(i32, Option<OwnedFd>)> {
    let mut pidfd: libc::c_int = -1;
    // SAFETY: all-zero is the kernel's default for every field.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = CLONE_PIDFD;
    args.pidfd = (&raw mut pidfd) as u64;
    args.exit_signal = libc::SIGCHLD as u64;
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: without CLONE_VM the child has its own copy of everything, as after fork; the agent
    // has one thread, so no lock is held by another. `args` and `pidfd` outlive the call.
    let pid = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            &raw const args,
            size_of::<libc::clone_args>(),
        )
    };
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    let pid = i32::try_from(pid).map_err(|_| io::Error::from_raw_os_error(libc::EOVERFLOW))?;
    // SAFETY: in the parent the kernel has just made this descriptor for us alone.
    let pidfd = (pid != 0 && pidfd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(pidfd) });
    Ok((pid, pidfd))
}

fn fork() -> io::Result<(i32, Option<OwnedFd>)> {
    // SAFETY: the agent has one thread; the child only makes system calls until it execs.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        pid => Ok((pid, None)),
    }
}

/// The child: nothing here allocates, locks or returns.
fn become_program(
    blueprint: &Blueprint<'_>,
    argv: &[*const libc::c_char],
    env: &[*const libc::c_char],
    sh_argv: &mut [*const libc::c_char],
    report: BorrowedFd<'_>,
) -> ! {
    let tell = |what: Report| {
        // If nobody reads any more, the session is over anyway.
        let _ = rustix::io::write(report, &what.to_bytes());
    };
    let _ = rustix::process::setsid();
    if let Some(terminal) = blueprint.terminal
        && let Err(errno) = rustix::process::ioctl_tiocsctty(terminal)
    {
        tell(Report::Terminal(errno.raw_os_error()));
        exit();
    }
    let [stdin, stdout, stderr] = blueprint.stdio;
    let connected = rustix::stdio::dup2_stdin(stdin)
        .and_then(|()| rustix::stdio::dup2_stdout(stdout))
        .and_then(|()| rustix::stdio::dup2_stderr(stderr));
    if let Err(errno) = connected {
        tell(Report::Failed(errno.raw_os_error()));
        exit();
    }
    // SAFETY: these change only this process, which owns none of its descriptors' wrappers any
    // more: it leaves by exec or `_exit`. The descriptors stay usable until exec.
    unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        );
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
    let _ = rustix::process::setrlimit(Resource::Nofile, blueprint.open_files);
    if rustix::process::chdir(blueprint.cwd).is_err() {
        tell(Report::WorkingDirectory);
        if rustix::process::chdir(blueprint.home).is_err() {
            let _ = rustix::process::chdir(c"/");
        }
    }
    let mut worst = libc::ENOENT;
    for program in blueprint.programs {
        // SAFETY: all three point to NUL-terminated strings, in arrays that end with a null
        // pointer, which live in the blueprint and in the caller.
        unsafe { libc::execve(program.as_ptr(), argv.as_ptr(), env.as_ptr()) };
        match io::Error::last_os_error()
            .raw_os_error()
            .unwrap_or(libc::EIO)
        {
            // Look on; of these only the refusal is worth telling.
            libc::ENOENT | libc::ENOTDIR => {}
            libc::EACCES => worst = libc::EACCES,
            libc::ENOEXEC => {
                sh_argv[1] = program.as_ptr();
                // SAFETY: as above; `sh_argv` has been filled the same way.
                unsafe { libc::execve(sh_argv[0], sh_argv.as_ptr(), env.as_ptr()) };
                worst = libc::ENOEXEC;
                break;
            }
            errno => {
                worst = errno;
                break;
            }
        }
    }
    tell(Report::Failed(worst));
    exit()
}

fn exit() -> ! {
    // SAFETY: ends this process without running anything of its copy of the agent.
    unsafe { libc::_exit(127) }
}
