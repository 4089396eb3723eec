// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Random numbers from a seed, and from them values that nobody wants to get.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

use super::value::Value;

/// Numbers that a seed decides. Good enough to try things out with (xorshift64*).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Begins with a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).unwrap_or(1);
        usize::try_from((self.number() >> 11) % end).unwrap_or(0)
    }

    /// True in one of `of` cases.
    pub fn one_in(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }

    /// One of them, or nothing where there is none.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.below(of.len()))
    }
}

/// Texts that were chosen to hurt, and some that are right, so that more than the first check is met.
const TEXTS: &[&str] = &[
    "",
    ".",
    "..",
    "/",
    "-",
    "--",
    "~",
    "~/",
    "~root/",
    "a",
    "t-fuzz-a",
    "t-fuzz-b",
    "t-fuzz-c",
    "t-common",
    "t-victim",
    "debian",
    "busybox",
    "local:",
    ":",
    "local:busybox",
    "local:debian",
    "images:x",
    "nope:debian",
    "../../../etc/shadow",
    "/etc",
    "/etc/shadow",
    "/root",
    "/proc/self/fd/0",
    "/dev/zero",
    "/home/alice",
    "/home/bob",
    "~/../alice",
    "t-fuzz?project=default",
    "t-fuzz/../x",
    "t-fuzz%2f..",
    "a\nb",
    "a\tb",
    "a\u{1b}]0;x\u{7}b",
    "\u{202e}gnp.exe",
    "\u{0}",
    "name with blanks",
    "ünïcödé",
    "🦀",
    "\u{feff}x",
    "' OR 1=1 --",
    "$(reboot)",
    "`id`",
    "%s%n%x",
    "{}",
    "[]",
    "null",
    "true",
    "-1",
    "0",
    "65534",
    "4294967295",
    "org.kde.kapsule.Manager",
    "org.kde.kapsule.Operation",
    "Version",
    "Status",
    "/org/kde/kapsule",
    "/org/kde/kapsule/operations/1",
];

const OPTION_KEYS: &[&str] = &[
    "session_mode",
    "dbus_mux",
    "host_rootfs",
    "mount_home",
    "custom_mounts",
    "devices",
    "gpu",
    "nvidia_drivers",
    "isolation",
    "network",
    "",
    "nope",
    "custom_mounts\u{0}",
];

/// How many bytes the arguments of a call may take, roughly: less than what the bus lets through
/// (`max_message_size`, 32 MiB), and a thousand times what a call has a use for. Without such an end a
/// long list of long lists of long texts takes all the memory of the machine.
const ROOM: usize = 16 << 20;

/// Makes values.
#[derive(Debug)]
pub struct Values {
    /// What decides.
    pub random: Random,
    /// What is left of [`ROOM`].
    room: usize,
    descriptors: Vec<Arc<OwnedFd>>,
}

impl Values {
    /// Begins with a seed.
    pub fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            room: ROOM,
            descriptors: descriptors(),
        }
    }

    /// Arguments for a method that takes these, more often right than wrong.
    pub fn arguments(&mut self, signatures: &[String]) -> Vec<Value> {
        self.room = ROOM;
        if self.random.one_in(12) {
            let count = self.random.below(6);
            return (0..count).map(|_| self.anything(0)).collect();
        }
        let mut arguments: Vec<_> = signatures
            .iter()
            .map(|signature| self.of(signature))
            .collect();
        match self.random.below(40) {
            0 => drop(arguments.pop()),
            1 => arguments.push(self.anything(0)),
            _ => {}
        }
        arguments
    }

    /// A value with this signature.
    fn of(&mut self, signature: &str) -> Value {
        match signature {
            "a{sv}" => {
                let count = self.many(128);
                let entries = (0..count).map(|_| {
                    let key = match self.random.one_in(10) {
                        true => self.text('s'),
                        false => Value::from(self.random.pick(OPTION_KEYS).copied().unwrap_or("")),
                    };
                    let value = Value::Variant(Box::new(self.option(0)));
                    Value::Entry(Box::new(key), Box::new(value))
                });
                Value::Array("{sv}".to_owned(), entries.collect())
            }
            _ => match signature.strip_prefix('a') {
                Some(element) => {
                    let count = self.many(32);
                    let values = (0..count).map(|_| self.of(element)).collect();
                    Value::Array(element.to_owned(), values)
                }
                None => self.single(signature.chars().next().unwrap_or('s'), 0),
            },
        }
    }

    fn option(&mut self, depth: usize) -> Value {
        match self.random.below(6) {
            0 => Value::Bool(1),
            1 => Value::Bool(0),
            2 => self.text('s'),
            3 => {
                let count = self.many(32);
                let values = (0..count).map(|_| self.text('s')).collect();
                Value::Array("s".to_owned(), values)
            }
            4 if depth < 50 => Value::Variant(Box::new(self.option(depth + 1))),
            _ => self.anything(depth),
        }
    }

    /// Mostly few, sometimes many: as many as there is room for, if each takes this many bytes.
    fn many(&mut self, each: usize) -> usize {
        let wanted = match self.random.below(100) {
            0 => 20_000,
            1..5 => 300,
            _ => self.random.below(4),
        };
        match self.takes(wanted * each) {
            true => wanted,
            false => 0,
        }
    }

    /// Takes this many bytes of the room, if it has them.
    fn takes(&mut self, bytes: usize) -> bool {
        match self.room.checked_sub(bytes) {
            Some(room) => {
                self.room = room;
                true
            }
            None => false,
        }
    }

    /// A value of any type.
    fn anything(&mut self, depth: usize) -> Value {
        let deeper = depth < 12;
        match self.random.below(14) {
            0 if deeper => Value::Variant(Box::new(self.nested())),
            1 if deeper => Value::Variant(Box::new(self.anything(depth + 1))),
            2 if deeper => {
                let count = 1 + self.random.below(3);
                Value::Struct((0..count).map(|_| self.anything(depth + 1)).collect())
            }
            3 if deeper => {
                let value = self.anything(depth + 1);
                Value::Array(value.signature(), vec![value])
            }
            4 => {
                let count = self.many(50) * 50;
                Value::Array("y".to_owned(), vec![Value::Byte(0x41); count])
            }
            _ => {
                let kind = b"ybnqiuxtdsogh"[self.random.below(13)];
                self.single(char::from(kind), depth)
            }
        }
    }

    /// As deep as the bus lets through, or a little deeper.
    fn nested(&mut self) -> Value {
        let depth = 20 + self.random.below(45);
        (0..depth).fold(Value::Byte(1), |value, _| Value::Variant(Box::new(value)))
    }

    fn single(&mut self, kind: char, depth: usize) -> Value {
        let number = match self.random.below(4) {
            0 => 0,
            1 => u64::MAX,
            2 => u64::try_from(self.random.below(2000)).unwrap_or(0),
            _ => self.random.number(),
        };
        #[allow(clippy::cast_possible_truncation, reason = "any number will do")]
        match kind {
            'y' => Value::Byte(number as u8),
            // Others than 0 and 1 make the bus close the connection.
            'b' => Value::Bool(number as u32 & 1),
            'n' | 'q' => Value::Short(number as u16, kind),
            'i' | 'u' => Value::Int(number as u32, kind),
            'x' | 't' | 'd' => Value::Long(number, kind),
            'g' => Value::Signature("a{sv}".to_owned()),
            'h' => match self.random.pick(&self.descriptors) {
                Some(fd) => Value::Fd(Arc::clone(fd)),
                None => Value::Byte(0),
            },
            'v' if depth < 12 => Value::Variant(Box::new(self.anything(depth + 1))),
            'v' => Value::Variant(Box::new(Value::Byte(0))),
            _ => self.text(kind),
        }
    }

    fn text(&mut self, kind: char) -> Value {
        if kind == 'o' {
            let paths = [
                "/",
                "/org/kde/kapsule",
                "/org/kde/kapsule/operations/1",
                "/x",
            ];
            let path = self.random.pick(&paths).copied().unwrap_or("/");
            return Value::Text(path.as_bytes().to_vec(), 'o');
        }
        let mut text = self.random.pick(TEXTS).copied().unwrap_or("").to_owned();
        // A zero byte, too, makes the bus close the connection; now and then is enough.
        if text.contains('\0') && !self.random.one_in(20) {
            text.clear();
        }
        match self.random.below(60) {
            0 if self.takes(text.len() * 1000) => text = text.repeat(1000),
            1 if self.takes(300_000) => text = "x".repeat(300_000),
            2 => text.push_str(&self.random.number().to_string()),
            _ => {}
        }
        Value::Text(text.into_bytes(), 's')
    }
}

/// One of each kind that a process can have.
fn descriptors() -> Vec<Arc<OwnedFd>> {
    let open =
        |path: &str, flags| rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty()).ok();
    let mut all: Vec<Option<OwnedFd>> = vec![
        open("/dev/null", OFlags::RDWR),
        open("/dev/zero", OFlags::RDONLY),
        open("/etc/passwd", OFlags::RDONLY),
        open("/etc/shadow", OFlags::PATH),
        open("/", OFlags::RDONLY | OFlags::DIRECTORY),
        open("/proc/self/mem", OFlags::RDWR),
        open("/proc/self/maps", OFlags::RDONLY),
        open("/dev/ptmx", OFlags::RDWR | OFlags::NOCTTY),
    ];
    if let Ok((read, write)) = std::io::pipe() {
        all.extend([Some(read.into()), Some(write.into())]);
    }
    if let Ok((one, other)) = std::os::unix::net::UnixStream::pair() {
        all.extend([Some(one.into()), Some(other.into())]);
    }
    if let Ok(memory) = rustix::fs::memfd_create("fuzz", rustix::fs::MemfdFlags::CLOEXEC) {
        // Large, and nothing in it.
        let _ = rustix::fs::ftruncate(&memory, 1 << 40);
        all.push(Some(memory));
    }
    let path = std::env::temp_dir().join(format!("t-fuzz-{}", std::process::id()));
    if let Ok(file) = File::create(&path) {
        all.push(Some(file.into()));
        all.push(File::open(&path).ok().map(Into::into));
        let _ = std::fs::remove_file(&path);
    }
    all.into_iter().flatten().map(Arc::new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::message::Call;

    #[test]
    fn a_call_has_an_end() {
        let signatures = ["s".to_owned(), "as".to_owned(), "a{sv}".to_owned()];
        let mut values = Values::new(1_795_408_964);
        for _ in 0..2000 {
            let arguments = values.arguments(&signatures);
            let call = Call {
                arguments,
                ..Call::default()
            };
            let length = call.message(1).bytes.len();
            assert!(length < 2 * ROOM, "{length} bytes");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_calls() {
        let signatures = ["s".to_owned(), "a{sv}".to_owned(), "h".to_owned()];
        let show = |seed| {
            let mut values = Values::new(seed);
            let calls = (0..50).map(|_| values.arguments(&signatures));
            let shown = calls.map(|arguments| {
                let shown: String = arguments.iter().map(Value::signature).collect();
                shown
            });
            shown.collect::<Vec<_>>()
        };
        assert_eq!(show(1), show(1));
        assert_ne!(show(1), show(2));
    }
}
