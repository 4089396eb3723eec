// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Who is who: the numbers of users inside a container and on the host. What a number inside is on
//! the host is asked of Incus, never of the container.

use kapsule_core::isolation::Isolation;
use kapsule_proto::spec::HostIds;

use super::metadata::{self, Config};
use crate::users::User;

/// How many numbers Incus gives to a container that has its own ones.
const ISOLATED_RANGE: u32 = 65_536;
/// The number of an ordinary user where the owner's own does not fit in there, as that of a
/// directory service may not. From 65534 on there are nobody and its kin.
const ORDINARY: u32 = 1000;

/// The owner's user and group id inside.
pub(super) fn inside(owner: &User, level: Isolation) -> (u32, u32) {
    if level != Isolation::Sealed {
        return (owner.uid, owner.gid);
    }
    let fits = |id: u32| id < ISOLATED_RANGE - 2;
    (
        if fits(owner.uid) { owner.uid } else { ORDINARY },
        if fits(owner.gid) { owner.gid } else { ORDINARY },
    )
}

/// The numbers on the host of a user inside, where they are others. Nothing if Incus does not tell.
pub(super) fn on_host(config: &Config, (uid, gid): (u32, u32)) -> Option<HostIds> {
    let ranges = ranges(config)?;
    Some(HostIds {
        uid: ranges.iter().find_map(|range| range.host(uid, true))?,
        gid: ranges.iter().find_map(|range| range.host(gid, false))?,
    })
}

/// The number on the host of a container's root.
pub(super) fn root(config: &Config) -> Option<u32> {
    if metadata::isolation(config) == Isolation::Privileged {
        return Some(0);
    }
    let ranges = ranges(config)?;
    let root = ranges.iter().find_map(|range| range.host(0, true))?;
    // Root of the host is no guest's root here; if it were, its agent would not be one to talk to.
    Some(root).filter(|uid| *uid != 0)
}

/// A range of the map, as Incus writes it.
#[derive(serde::Deserialize)]
struct Range {
    #[serde(rename = "Isuid")]
    uids: bool,
    #[serde(rename = "Isgid")]
    gids: bool,
    #[serde(rename = "Hostid")]
    host: u32,
    #[serde(rename = "Nsid")]
    inside: u32,
    #[serde(rename = "Maprange")]
    count: u32,
}

impl Range {
    fn host(&self, id: u32, is_uid: bool) -> Option<u32> {
        let of_kind = if is_uid { self.uids } else { self.gids };
        let offset = id.checked_sub(self.inside)?;
        (of_kind && offset < self.count).then(|| self.host.checked_add(offset))?
    }
}

/// The map: of a container that runs the one that is in force, of another one the next. A JSON array
/// in either key.
fn ranges(config: &Config) -> Option<Vec<Range>> {
    ["volatile.idmap.current", "volatile.idmap.next"]
        .iter()
        .filter_map(|key| serde_json::from_str::<Vec<Range>>(config.get(*key)?).ok())
        .find(|ranges| !ranges.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(map: &str) -> Config {
        Config::from([("volatile.idmap.current".to_owned(), map.to_owned())])
    }

    const STANDARD: &str = r#"[{"Isuid":false,"Isgid":true,"Hostid":5,"Nsid":0,"Maprange":1},
        {"Isuid":true,"Isgid":false,"Hostid":1000000,"Nsid":0,"Maprange":1000},
        {"Isuid":true,"Isgid":true,"Hostid":1000,"Nsid":1000,"Maprange":1}]"#;
    const ISOLATED: &str = r#"[{"Isuid":true,"Isgid":false,"Hostid":1065536,"Nsid":0,"Maprange":65536},
        {"Isuid":false,"Isgid":true,"Hostid":2065536,"Nsid":0,"Maprange":65536}]"#;

    #[test]
    fn root_inside_is_found_in_the_map() {
        assert_eq!(root(&config(STANDARD)), Some(1_000_000));
        assert_eq!(root(&config(ISOLATED)), Some(1_065_536));
        for bad in [
            "",
            "[]",
            "{}",
            r#"[{"Isuid":true,"Isgid":true,"Hostid":0,"Nsid":0,"Maprange":9}]"#,
        ] {
            assert_eq!(root(&config(bad)), None, "{bad}");
        }
        let mut privileged = config("[]");
        privileged.insert("security.privileged".to_owned(), "true".to_owned());
        assert_eq!(root(&privileged), Some(0));
    }

    #[test]
    fn the_owner_is_found_in_the_map() {
        let ids = on_host(&config(ISOLATED), (1000, 100)).unwrap();
        assert_eq!((ids.uid, ids.gid), (1_066_536, 2_065_636));
        assert_eq!(on_host(&config(ISOLATED), (70_000, 100)), None);
        let next = Config::from([("volatile.idmap.next".to_owned(), ISOLATED.to_owned())]);
        assert!(on_host(&next, (1000, 100)).is_some());
    }

    #[test]
    fn numbers_that_do_not_fit_become_ordinary_ones() {
        let directory = User::for_tests(1_234_567, 100);
        assert_eq!(inside(&directory, Isolation::Sealed), (1000, 100));
        assert_eq!(inside(&directory, Isolation::Standard), (1_234_567, 100));
        let local = User::for_tests(1001, 1001);
        assert_eq!(inside(&local, Isolation::Sealed), (1001, 1001));
    }
}
