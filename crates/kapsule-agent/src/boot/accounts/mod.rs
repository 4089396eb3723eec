// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The owner's account in the guest's account files: pure functions from files to files.
//!
//! Applied at every boot, so it settles: applying it twice is applying it once. It never leaves two
//! entries with one name or two users with the owner's number.
//!
//! - The guest's user with the owner's uid becomes the owner: renamed, not doubled. Its password
//!   is locked then, because what the image set as such is known to everybody.
//! - Another user with the owner's name keeps its uid, and so its files, as `<name>-image`.
//! - The group with the owner's gid is renamed likewise, unless it is one of the guest's system
//!   groups: those are known by name to the guest's programs.
//! - What the user changed inside later (shell, real name, password) stays.

use kapsule_proto::spec::Owner;

use crate::account_file::{Table, number};

/// Groups whose members may do what a desktop's user may; joined where the guest has them.
const SUPPLEMENTARY: &[&str] = &["sudo", "wheel", "video", "render", "audio", "docker"];

/// Numbers below are the guest's own (login.defs(5), `UID_MIN` and `GID_MIN`).
const FIRST_ORDINARY: u32 = 1000;

/// The files; those that the guest does not have are `None` and stay away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AccountFiles {
    pub(crate) passwd: Table,
    pub(crate) group: Table,
    pub(crate) shadow: Option<Table>,
    pub(crate) gshadow: Option<Table>,
    pub(crate) subuid: Table,
    pub(crate) subgid: Table,
}

/// What the files are to say.
#[derive(Clone, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) owner: &'a Owner,
    /// The shell for a new account.
    pub(crate) shell: &'a [u8],
    /// Days since 1970, for the date of the password's last change.
    pub(crate) today: u64,
}

impl AccountFiles {
    /// Makes the files say it.
    pub(crate) fn apply(&mut self, wanted: &Wanted<'_>) {
        self.make_group(wanted.owner);
        self.make_user(wanted);
        for group in SUPPLEMENTARY {
            let name = wanted.owner.name.as_bytes();
            self.group.add_member(group.as_bytes(), name);
            if let Some(gshadow) = &mut self.gshadow {
                gshadow.add_member(group.as_bytes(), name);
            }
        }
    }

    fn make_group(&mut self, owner: &Owner) {
        let has_id = |fields: &[&[u8]]| number(fields[2]) == Some(owner.gid);
        let name = owner.group.as_bytes();
        let right = |fields: &[&[u8]]| has_id(fields) && fields[0] == name;
        if self.group.find(4, right).is_some() {
            return;
        }
        if let Some(at) = self.group.find(4, has_id) {
            // Where a system group of the guest has the name, the group with the number goes by another.
            if owner.gid >= FIRST_ORDINARY && !self.is_system_group(name) {
                let old = self.group.fields_of(at)[0].to_vec();
                self.set_group_aside(name);
                self.rename_group(&old, name);
                // Of several entries with the old name, the one with the number counts.
                self.group
                    .remove(4, |_, fields| fields[0] == name && !has_id(fields));
            }
            return;
        }
        let name = if self.is_system_group(name) {
            self.free_group_name(name, "-host")
        } else {
            self.set_group_aside(name);
            name.to_vec()
        };
        let gid = owner.gid.to_string();
        self.group
            .add([name.as_slice(), b":x:", gid.as_bytes(), b":"].concat());
        if let Some(gshadow) = &mut self.gshadow
            && gshadow.find_name(&name).is_none()
        {
            gshadow.add([name.as_slice(), b":!::"].concat());
        }
    }

    /// Whether this is the name of one of the guest's own groups, which its programs know by name.
    fn is_system_group(&self, name: &[u8]) -> bool {
        let fields = self
            .group
            .find_name(name)
            .map(|at| self.group.fields_of(at));
        let gid = fields.and_then(|fields| number(fields.get(2)?));
        gid.is_some_and(|gid| gid < FIRST_ORDINARY)
    }

    fn make_user(&mut self, wanted: &Wanted<'_>) {
        let owner = wanted.owner;
        let name = owner.name.as_bytes();
        let has_id = |fields: &[&[u8]]| number(fields[2]) == Some(owner.uid);
        let ours = self
            .passwd
            .find(7, |fields| has_id(fields) && fields[0] == name)
            .or_else(|| self.passwd.find(7, has_id));

        // Doubles of the owner's number go first, then namesakes with another number make way.
        let doubles = self
            .passwd
            .remove(7, |at, fields| Some(at) != ours && has_id(fields));
        let old = self
            .passwd
            .find(7, has_id)
            .map(|at| self.passwd.fields_of(at)[0].to_vec());
        for double in doubles {
            if old.as_ref() != Some(&double)
                && let Some(shadow) = &mut self.shadow
            {
                shadow.remove(2, |_, fields| fields[0] == double);
            }
        }
        if old.as_deref() != Some(name) {
            self.set_user_aside(name);
        }

        match &old {
            Some(old) => {
                if old != name {
                    self.rename_user(old, name);
                    self.lock_password(name);
                }
                // Of several entries with one name, the one with the number counts.
                self.passwd
                    .remove(7, |_, fields| fields[0] == name && !has_id(fields));
                if let Some(at) = self.passwd.find(7, has_id) {
                    self.passwd.set(at, 3, owner.gid.to_string().as_bytes());
                    self.passwd.set(at, 5, owner.home.as_bytes());
                    if old != name {
                        self.passwd.set(at, 4, &gecos(owner));
                        self.passwd.set(at, 6, wanted.shell);
                    }
                }
            }
            None => {
                let password: &[u8] = if self.shadow.is_some() { b"x" } else { b"!" };
                let (uid, gid) = (owner.uid.to_string(), owner.gid.to_string());
                let line = [
                    name,
                    password,
                    uid.as_bytes(),
                    gid.as_bytes(),
                    &gecos(owner),
                    owner.home.as_bytes(),
                    wanted.shell,
                ];
                self.passwd.add(line.join(&b':'));
            }
        }
        self.make_valid(name, wanted.today);
    }

    /// Sees to it that the account has a password entry, and one that has not expired: PAM would
    /// refuse the session otherwise.
    fn make_valid(&mut self, name: &[u8], today: u64) {
        let Some(shadow) = &mut self.shadow else {
            return;
        };
        let today = today.to_string();
        let Some(at) = shadow.find(9, |fields| fields[0] == name) else {
            shadow.remove(1, |_, fields| fields[0] == name);
            shadow.add([name, b":!:", today.as_bytes(), b":0:99999:7:::"].concat());
            return;
        };
        // 0 means that it has to be changed at once.
        if shadow.fields_of(at)[2] == b"0" {
            shadow.set(at, 2, today.as_bytes());
        }
        shadow.set(at, 7, b"");
    }

    fn lock_password(&mut self, name: &[u8]) {
        let (table, count) = match &mut self.shadow {
            Some(shadow) => (shadow, 2),
            None => (&mut self.passwd, 7),
        };
        if let Some(at) = table.find(count, |fields| fields[0] == name) {
            table.set(at, 1, b"!");
        }
    }

    fn set_user_aside(&mut self, name: &[u8]) {
        if self.passwd.find_name(name).is_some() {
            let aside = free_name(name, "-image", |name| self.passwd.find_name(name).is_some());
            self.rename_user(name, &aside);
        }
    }

    fn rename_user(&mut self, old: &[u8], new: &[u8]) {
        let own_lines = [
            Some(&mut self.passwd),
            self.shadow.as_mut(),
            Some(&mut self.subuid),
            Some(&mut self.subgid),
        ];
        for table in own_lines.into_iter().flatten() {
            rename_entry(table, old, new);
        }
        self.group.rename_members(3, old, new);
        if let Some(gshadow) = &mut self.gshadow {
            gshadow.rename_members(2, old, new);
        }
    }

    fn set_group_aside(&mut self, name: &[u8]) {
        if self.group.find_name(name).is_some() {
            let aside = self.free_group_name(name, "-image");
            self.rename_group(name, &aside);
        }
    }

    fn rename_group(&mut self, old: &[u8], new: &[u8]) {
        rename_entry(&mut self.group, old, new);
        if let Some(gshadow) = &mut self.gshadow {
            rename_entry(gshadow, old, new);
        }
    }

    fn free_group_name(&self, name: &[u8], suffix: &str) -> Vec<u8> {
        free_name(name, suffix, |name| self.group.find_name(name).is_some())
    }
}

/// Renames every entry of this name; one that has the new name already stays and wins.
fn rename_entry(table: &mut Table, old: &[u8], new: &[u8]) {
    if table.find_name(new).is_some() {
        table.remove(2, |_, fields| fields[0] == old);
    }
    while let Some(at) = table.find_name(old) {
        table.set(at, 0, new);
    }
}

fn free_name(name: &[u8], suffix: &str, is_taken: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let numbers = (2_u32..).map(|number| number.to_string());
    std::iter::once(String::new())
        .chain(numbers)
        .map(|number| [name, suffix.as_bytes(), number.as_bytes()].concat())
        .find(|candidate| !is_taken(candidate))
        .unwrap_or_default()
}

fn gecos(owner: &Owner) -> Vec<u8> {
    let plain = |c: char| if c.is_control() || c == ':' { ' ' } else { c };
    owner
        .gecos
        .chars()
        .map(plain)
        .collect::<String>()
        .into_bytes()
}

#[cfg(test)]
mod tests;
