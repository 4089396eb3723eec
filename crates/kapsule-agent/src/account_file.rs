// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Colon-separated account files (`passwd`, `group` and their like), as bytes.
//!
//! Whatever is not understood is kept as it is: the files belong to the guest.

use kapsule_proto::spec::Owner;

/// The lines of a file, without their ends.
pub(crate) fn lines(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    file.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
}

/// The fields of a line.
pub(crate) fn fields(line: &[u8]) -> Vec<&[u8]> {
    line.split(|byte| *byte == b':').collect()
}

/// A decimal number as these files have them.
pub(crate) fn number(field: &[u8]) -> Option<u32> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// Whether the names and paths of an owner can stand in these files at all.
pub(crate) fn is_possible(owner: &Owner) -> bool {
    let plain = |text: &str, also_bad: &[char]| {
        !text
            .chars()
            .any(|c| c.is_control() || c == ':' || also_bad.contains(&c))
    };
    let name = |name: &str| {
        (1..=255).contains(&name.len())
            && !name.starts_with(['-', '+', '#', '.', '~'])
            && plain(name, &[',', '/', ' '])
    };
    name(&owner.name)
        && name(&owner.group)
        && owner.home.starts_with('/')
        && plain(&owner.home, &[])
        && plain(&owner.shell, &[])
}

/// A line of `/etc/passwd`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) home: &'a [u8],
    pub(crate) shell: &'a [u8],
}

/// Reads a line of `/etc/passwd` as the C library does, to which all that follows the sixth colon is
/// the shell; `None` for what is no user.
pub(crate) fn user(line: &[u8]) -> Option<User<'_>> {
    let fields: Vec<&[u8]> = line.splitn(7, |byte| *byte == b':').collect();
    match fields[..] {
        [name, _, uid, gid, _, home, shell] if is_name(name) => Some(User {
            name,
            uid: number(uid)?,
            gid: number(gid)?,
            home,
            shell,
        }),
        _ => None,
    }
}

/// Whether a line that begins with this is an entry. Includes of NIS (`+@group`) are none, nor are comments.
fn is_name(field: &[u8]) -> bool {
    !matches!(field.first(), None | Some(b'+' | b'-' | b'#'))
}

/// The first user with this number, which is the one that the C library finds too.
pub(crate) fn user_by_id(passwd: &[u8], uid: u32) -> Option<User<'_>> {
    lines(passwd).filter_map(user).find(|user| user.uid == uid)
}

/// A whole file, to be changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    lines: Vec<Vec<u8>>,
}

impl Table {
    pub(crate) fn parse(file: &[u8]) -> Self {
        let mut lines: Vec<Vec<u8>> = file
            .split(|byte| *byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect();
        // What follows the last line's end is no line, unless that end is missing.
        if lines.last().is_some_and(Vec::is_empty) {
            lines.pop();
        }
        Self { lines }
    }

    pub(crate) fn render(&self) -> Vec<u8> {
        let mut file = self.lines.join(&b'\n');
        if !file.is_empty() {
            file.push(b'\n');
        }
        file
    }

    /// The lines with at least `count` fields, by their position.
    fn entries(&self, count: usize) -> impl Iterator<Item = (usize, Vec<&[u8]>)> {
        self.lines
            .iter()
            .enumerate()
            .map(|(at, line)| (at, fields(line)))
            .filter(move |(_, fields)| fields.len() >= count && is_name(fields[0]))
    }

    /// Position of the first entry for which `matches` holds.
    pub(crate) fn find(&self, count: usize, matches: impl Fn(&[&[u8]]) -> bool) -> Option<usize> {
        self.entries(count)
            .find(|(_, fields)| matches(fields))
            .map(|(at, _)| at)
    }

    /// Position of the entry with this name.
    pub(crate) fn find_name(&self, name: &[u8]) -> Option<usize> {
        self.find(2, |fields| fields[0] == name)
    }

    pub(crate) fn fields_of(&self, at: usize) -> Vec<&[u8]> {
        fields(&self.lines[at])
    }

    pub(crate) fn set(&mut self, at: usize, field: usize, value: &[u8]) {
        let mut new: Vec<&[u8]> = fields(&self.lines[at]);
        if let Some(place) = new.get_mut(field) {
            *place = value;
        }
        self.lines[at] = new.join(&b':');
    }

    /// Adds an entry; before the includes of NIS, which end what is looked up here.
    pub(crate) fn add(&mut self, line: Vec<u8>) {
        let at = self.lines.iter().position(|line| line.starts_with(b"+"));
        self.lines.insert(at.unwrap_or(self.lines.len()), line);
    }

    /// Removes the entries for which `matches` holds, and returns their names.
    pub(crate) fn remove(
        &mut self,
        count: usize,
        matches: impl Fn(usize, &[&[u8]]) -> bool,
    ) -> Vec<Vec<u8>> {
        let doomed: Vec<(usize, Vec<u8>)> = self
            .entries(count)
            .filter(|(at, fields)| matches(*at, fields))
            .map(|(at, fields)| (at, fields[0].to_vec()))
            .collect();
        for (at, _) in doomed.iter().rev() {
            self.lines.remove(*at);
        }
        doomed.into_iter().map(|(_, name)| name).collect()
    }

    /// Replaces a name in the comma-separated lists of the fields from `first` on.
    pub(crate) fn rename_members(&mut self, first: usize, old: &[u8], new: &[u8]) {
        for at in 0..self.lines.len() {
            let line = fields(&self.lines[at]);
            if !line
                .iter()
                .skip(first)
                .any(|list| members(list).any(|member| member == old))
            {
                continue;
            }
            let renamed: Vec<Vec<u8>> = line
                .iter()
                .enumerate()
                .map(|(field, list)| match field {
                    _ if field < first => list.to_vec(),
                    _ => {
                        let rename = |member| if member == old { new } else { member };
                        members(list).map(rename).collect::<Vec<_>>().join(&b',')
                    }
                })
                .collect();
            self.lines[at] = renamed.join(&b':');
        }
    }

    /// Adds a name to the list that is the last field of the entry `group`.
    pub(crate) fn add_member(&mut self, group: &[u8], name: &[u8]) {
        let Some(at) = self.find_name(group) else {
            return;
        };
        let line = fields(&self.lines[at]);
        let last = line.len() - 1;
        if members(line[last]).any(|member| member == name) {
            return;
        }
        let list: Vec<&[u8]> = members(line[last]).chain([name]).collect();
        let list = list.join(&b',');
        self.set(at, last, &list);
    }
}

fn members(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|byte| *byte == b',')
        .filter(|member| !member.is_empty())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    #[test]
    fn users_are_found_among_what_is_none() {
        let passwd = b"# comment\nroot:x:0:0:root:/root:/bin/bash\n\xff\xfe:x\n::\n\
            alice:x:1000:1000:Alice,,,:/home/alice:/bin/zsh\nbob:x:1000:1000::/home/bob:/bin/sh\n\
            +::::::\nmax:x:99999999999:1::/:/bin/sh";
        let alice = user_by_id(passwd, 1000).unwrap();
        assert_eq!(alice.name, b"alice");
        assert_eq!(alice.home, b"/home/alice");
        assert_eq!(alice.shell, b"/bin/zsh");
        assert_eq!(user_by_id(passwd, 0).unwrap().gid, 0);
        assert_eq!(user_by_id(passwd, 1), None);
        assert_eq!(user_by_id(b"", 0), None);
    }

    #[test]
    fn what_counts_as_a_user_is_the_same_everywhere() {
        // Colons too many belong to the shell: such a line is a user to the C library, and to a table.
        let passwd = b"#c:x:5:5::/:/bin/sh\n+n:x:5:5::/:/bin/sh\n-n:x:5:5::/:/bin/sh\nmax:x:5:6::/:/bin/sh:x\n";
        let user = user_by_id(passwd, 5).unwrap();
        assert_eq!((user.name, user.shell), (&b"max"[..], &b"/bin/sh:x"[..]));
        let at = Table::parse(passwd).find(7, |fields| number(fields[2]) == Some(5));
        assert_eq!(at, Some(3));
    }

    /// An owner who can be an account.
    pub(crate) fn alice() -> Owner {
        Owner {
            uid: 1000,
            gid: 1000,
            name: "alice".into(),
            group: "alice".into(),
            gecos: "Alice: A\n".into(),
            home: "/home/alice".into(),
            home_mounted: true,
            shell: "/bin/zsh".into(),
        }
    }

    #[test]
    fn impossible_owners_are_refused() {
        assert!(is_possible(&alice()));
        for bad in [
            Owner {
                name: String::new(),
                ..alice()
            },
            Owner {
                name: "a:b".into(),
                ..alice()
            },
            Owner {
                name: "a\nb".into(),
                ..alice()
            },
            Owner {
                name: "../a".into(),
                ..alice()
            },
            Owner {
                name: "-a".into(),
                ..alice()
            },
            Owner {
                group: "a,b".into(),
                ..alice()
            },
            Owner {
                home: "home".into(),
                ..alice()
            },
            Owner {
                home: "/home:x".into(),
                ..alice()
            },
            Owner {
                shell: "/bin/\n".into(),
                ..alice()
            },
        ] {
            assert!(!is_possible(&bad), "{bad:?}");
        }
    }
}
