// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Subordinate ids for rootless containers inside (subuid(5)).
//!
//! They have to lie within the ids that the container itself has, and must not touch those of
//! others in the same file.

use crate::account_file::{Table, fields, lines, number};

/// What useradd gives.
const FIRST: u64 = 100_000;
const COUNT: u64 = 65_536;
/// What is tried in containers that have too few ids for that; below 65 534, which is nobody.
const SMALL: &[(u64, u64)] = &[(30_000, 32_768), (30_000, 16_384), (10_000, 8_192)];

/// Ids `start..end`.
type Range = (u64, u64);

/// Adds a range for the user if there is none yet and one fits. `map` is `/proc/self/uid_map` or
/// `gid_map`.
pub(crate) fn add(table: &mut Table, name: &str, uid: u32, map: &str) {
    let id = uid.to_string();
    let has_one = |fields: &[&[u8]]| fields[0] == name.as_bytes() || fields[0] == id.as_bytes();
    if table.find(3, has_one).is_some() {
        return;
    }
    let taken = taken(&table.render());
    if let Some((start, end)) = choose(&mapped(map), &taken) {
        let count = end - start;
        table.add(format!("{name}:{start}:{count}").into_bytes());
    }
}

fn choose(mapped: &[Range], taken: &[Range]) -> Option<Range> {
    let fits = |(start, end): Range| {
        mapped.iter().any(|(from, to)| *from <= start && end <= *to)
            && taken.iter().all(|(from, to)| end <= *from || *to <= start)
    };
    // Right after somebody else's range is the only other place worth trying.
    let mut starts: Vec<u64> = taken.iter().map(|(_, end)| (*end).max(FIRST)).collect();
    starts.push(FIRST);
    starts.sort_unstable();
    let usual = starts.into_iter().map(|start| (start, start + COUNT));
    let small = SMALL.iter().map(|(start, count)| (*start, start + count));
    usual.chain(small).find(|range| fits(*range))
}

fn taken(file: &[u8]) -> Vec<Range> {
    lines(file)
        .filter_map(|line| match fields(line)[..] {
            [_, start, count] => {
                let start = u64::from(number(start)?);
                Some((start, start + u64::from(number(count)?)))
            }
            _ => None,
        })
        .collect()
}

/// The ids that the container has, with ranges that touch joined (user_namespaces(7)).
fn mapped(map: &str) -> Vec<Range> {
    let mut ranges: Vec<Range> = map
        .lines()
        .filter_map(|line| {
            let mut columns = line.split_ascii_whitespace().map(str::parse::<u32>);
            let inside = u64::from(columns.next()?.ok()?);
            let _outside = columns.next()?.ok()?;
            let count = u64::from(columns.next()?.ok()?);
            Some((inside, inside + count))
        })
        .collect();
    ranges.sort_unstable();
    let mut joined: Vec<Range> = Vec::new();
    for (start, end) in ranges {
        match joined.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => joined.push((start, end)),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "         0          0 4294967295\n";
    const INCUS: &str = "0 1000000 1000\n1000 1000 1\n1001 1001001 999998999\n";
    const SMALL_MAP: &str = "0 100000 1000\n1001 101001 64535\n1000 1000 1\n";

    #[test]
    fn a_range_that_fits() {
        for (file, map, expected) in [
            ("", HOST, "alice:100000:65536\n"),
            ("", INCUS, "alice:100000:65536\n"),
            (
                "bob:100000:65536\n",
                INCUS,
                "bob:100000:65536\nalice:165536:65536\n",
            ),
            ("bob:500:10\n", INCUS, "bob:500:10\nalice:100000:65536\n"),
            ("", SMALL_MAP, "alice:30000:32768\n"),
            ("alice:1:2\n", INCUS, "alice:1:2\n"),
            ("1000:1:2\n", INCUS, "1000:1:2\n"),
            ("", "0 0 1000\n", ""),
            ("", "nonsense", ""),
            ("x:y\n::\n", INCUS, "x:y\n::\nalice:100000:65536\n"),
        ] {
            let mut table = Table::parse(file.as_bytes());
            add(&mut table, "alice", 1000, map);
            assert_eq!(
                String::from_utf8(table.render()).unwrap(),
                expected,
                "{file} {map}"
            );
            let once = table.clone();
            add(&mut table, "alice", 1000, map);
            assert_eq!(table, once);
        }
    }
}
