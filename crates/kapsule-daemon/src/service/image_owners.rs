// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Whose an image is. Incus stores the same files once, so one image can be several users': each
//! who imported it has a property `kapsule.owner.<uid>` on it, and each alias tells in its
//! description who gave it. An image without any owner was downloaded by the daemon and is
//! everyone's, as is one of root's.

use std::collections::BTreeSet;

use incus::{Image, ImageAlias};

const OWNER: &str = "kapsule.owner.";

/// The property that makes an image a user's.
pub(super) fn property(user: u32) -> String {
    format!("{OWNER}{user}")
}

/// The description of an alias that a user gave.
pub(super) fn alias_description(user: u32) -> String {
    property(user)
}

fn owners(image: &Image) -> BTreeSet<u32> {
    let owner = |key: &String| key.strip_prefix(OWNER)?.parse().ok();
    image.properties.keys().filter_map(owner).collect()
}

/// Whether a user may use and see an image.
pub(super) fn is_visible(image: &Image, user: u32) -> bool {
    let owners = owners(image);
    user == 0 || owners.is_empty() || owners.contains(&0) || owners.contains(&user)
}

/// What a user's wish to delete an image comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deletion {
    /// The image goes.
    Whole,
    /// It stays for its other owners.
    Share,
    /// It is not the user's.
    Refused,
}

/// What deleting an image means for a user.
pub(super) fn deletion(image: &Image, user: u32) -> Deletion {
    let owners = owners(image);
    if user == 0 || owners.is_empty() || (owners.len() == 1 && owners.contains(&user)) {
        Deletion::Whole
    } else if owners.contains(&user) {
        Deletion::Share
    } else {
        Deletion::Refused
    }
}

/// Whether a user may give an alias to another image. Aliases without an owner are those that an
/// administrator made in Incus.
pub(super) fn may_move(alias: &ImageAlias, user: u32) -> bool {
    user == 0 || alias.description == alias_description(user)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(owners: &[u32]) -> Image {
        let claim = |user: &u32| (property(*user), "true".to_owned());
        Image {
            properties: owners.iter().map(claim).collect(),
            ..Image::default()
        }
    }

    #[test]
    fn owners_see_theirs_and_everyone_sees_roots_and_downloaded_ones() {
        for (owners, user, visible) in [
            (&[1000][..], 1000, true),
            (&[1000], 1001, false),
            (&[1000], 0, true),
            (&[1000, 1001], 1001, true),
            (&[0], 1001, true),
            (&[], 1001, true),
        ] {
            assert_eq!(
                is_visible(&image(owners), user),
                visible,
                "{owners:?} {user}"
            );
        }
    }

    #[test]
    fn an_image_goes_with_its_last_owner() {
        for (owners, user, what) in [
            (&[1000][..], 1000, Deletion::Whole),
            (&[1000, 1001], 1000, Deletion::Share),
            (&[0], 1000, Deletion::Refused),
            (&[1001], 1000, Deletion::Refused),
            (&[1000, 1001], 0, Deletion::Whole),
            (&[], 1000, Deletion::Whole),
        ] {
            assert_eq!(deletion(&image(owners), user), what, "{owners:?} {user}");
        }
    }

    #[test]
    fn only_who_gave_an_alias_may_move_it() {
        let alias = ImageAlias {
            name: "x".to_owned(),
            description: alias_description(1000),
        };
        assert!(may_move(&alias, 1000) && may_move(&alias, 0) && !may_move(&alias, 1001));
        assert!(!may_move(&ImageAlias::default(), 1000));
    }
}
