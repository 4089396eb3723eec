// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Colon-separated account files (`passwd`, `group` and their like), as bytes.
//!
//! Whatever is not understood is kept as it is: the files belong to the guest.

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

/// A line of `/etc/passwd`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) home: &'a [u8],
    pub(crate) shell: &'a [u8],
}

/// Reads a line of `/etc/passwd`; `None` for what is no user.
pub(crate) fn user(line: &[u8]) -> Option<User<'_>> {
    match fields(line)[..] {
        [name, _, uid, gid, _, home, shell] if !name.is_empty() => Some(User {
            name,
            uid: number(uid)?,
            gid: number(gid)?,
            home,
            shell,
        }),
        _ => None,
    }
}

/// The first user with this number, which is the one that the C library finds too.
pub(crate) fn user_by_id(passwd: &[u8], uid: u32) -> Option<User<'_>> {
    lines(passwd).filter_map(user).find(|user| user.uid == uid)
}

#[cfg(test)]
mod tests {
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
}
