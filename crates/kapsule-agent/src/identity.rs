// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! From the guest's root to the container's owner.

use std::io;

use kapsule_proto::spec::Owner;
use rustix::fs::Gid;
use rustix::process::Uid;

use crate::account_file::{fields, lines, number};
use crate::{cgroup, files, spec};

/// Longest file of groups that is read, in bytes.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// Turns this process from root into the owner, with the owner's groups and, where the guest has
/// cgroup v2, a control group to divide among sessions.
pub(crate) fn become_owner() -> io::Result<()> {
    let owner = spec::read()?.owner;
    // Sessions do without if there is none.
    let _ = cgroup::enter_own(&owner);
    let groups = groups_of(&owner);
    rustix::thread::set_thread_groups(&groups)?;
    let gid = Gid::from_raw(owner.gid);
    let uid = Uid::from_raw(owner.uid);
    // There is one thread, so that the thread's ids are the process's.
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    if owner.uid != 0 && rustix::process::geteuid().is_root() {
        return Err(io::Error::other("still root"));
    }
    Ok(())
}

fn groups_of(owner: &Owner) -> Vec<Gid> {
    let file = files::read_limited("/etc/group".as_ref(), MAX_FILE).unwrap_or_default();
    let mut groups = parse_groups(&file, owner.name.as_bytes());
    groups.push(owner.gid);
    groups.sort_unstable();
    groups.dedup();
    groups.into_iter().map(Gid::from_raw).collect()
}

fn parse_groups(file: &[u8], name: &[u8]) -> Vec<u32> {
    lines(file)
        .filter_map(|line| match fields(line)[..] {
            [_, _, gid, members] => {
                let mut members = members.split(|byte| *byte == b',');
                members.any(|member| member == name).then(|| number(gid))?
            }
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_those_that_name_the_user() {
        let file = b"root:x:0:\nsudo:x:27:bob,alice\nvideo:x:44:alice\nx:x:y:alice\nz:alice\n\
            w:x:5:alice2\n";
        assert_eq!(parse_groups(file, b"alice"), [27, 44]);
    }
}
