// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The kinds of act that polkit is asked about.

use crate::ops::OperationKind;

/// An action of polkit's. `data/org.kde.kapsule.policy` describes the same ones, and
/// `docs/polkit.md` tells administrators about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Act {
    /// Listing and looking at one's own containers, and at the images that one can use.
    SeeContainers,
    /// Starting, stopping, deleting, changing and setting up one's own containers.
    ManageContainers,
    /// Opening sessions in one's own containers.
    EnterContainer,
    /// Making a container that is confined.
    CreateContainer,
    /// Making a container that has the host's network and devices.
    CreatePrivileged,
    /// Showing a container a folder that its owner could not read.
    MountBeyondOwnRights,
    /// Giving a container USB devices of the host.
    GiveDevices,
    /// Importing, refreshing and deleting images.
    ManageImages,
    /// Seeing and managing what belongs to other users.
    ManageOthers,
    /// Changing the settings that hold for all users.
    ChangeSystemDefaults,
}

impl Act {
    /// All of them.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 10] = [
        Self::SeeContainers,
        Self::ManageContainers,
        Self::EnterContainer,
        Self::CreateContainer,
        Self::CreatePrivileged,
        Self::MountBeyondOwnRights,
        Self::GiveDevices,
        Self::ManageImages,
        Self::ManageOthers,
        Self::ChangeSystemDefaults,
    ];

    /// What an operation of this kind is, done to things of one's own.
    pub(crate) fn of(kind: OperationKind) -> Self {
        match kind {
            OperationKind::Create => Self::CreateContainer,
            OperationKind::Delete
            | OperationKind::Restart
            | OperationKind::SetOptions
            | OperationKind::SetupUser
            | OperationKind::Start
            | OperationKind::Stop => Self::ManageContainers,
            OperationKind::DeleteImage
            | OperationKind::ImportImage
            | OperationKind::RefreshImages => Self::ManageImages,
        }
    }

    /// What an operation of this kind may turn out to be beyond that, once its options and those
    /// of its image are known.
    pub(crate) fn that_may_follow(kind: OperationKind) -> &'static [Self] {
        match kind {
            OperationKind::Create => &[
                Self::CreatePrivileged,
                Self::MountBeyondOwnRights,
                Self::GiveDevices,
            ],
            OperationKind::SetOptions => &[Self::GiveDevices],
            _ => &[],
        }
    }

    /// Whether a yes is remembered for the login session: what people do all the time and wait
    /// for, and what changes nothing.
    pub(super) fn is_remembered(self) -> bool {
        matches!(self, Self::SeeContainers | Self::EnterContainer)
    }

    /// The id of the action.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::SeeContainers => "org.kde.kapsule.see-containers",
            Self::ManageContainers => "org.kde.kapsule.manage-containers",
            Self::EnterContainer => "org.kde.kapsule.enter-container",
            Self::CreateContainer => "org.kde.kapsule.create-container",
            Self::CreatePrivileged => "org.kde.kapsule.create-privileged",
            Self::MountBeyondOwnRights => "org.kde.kapsule.mount-beyond-own-rights",
            Self::GiveDevices => "org.kde.kapsule.give-devices",
            Self::ManageImages => "org.kde.kapsule.manage-images",
            Self::ManageOthers => "org.kde.kapsule.manage-others",
            Self::ChangeSystemDefaults => "org.kde.kapsule.change-system-defaults",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = include_str!("../../../../data/org.kde.kapsule.policy");

    /// Each action of the installed file: its id and its description.
    fn described() -> impl Iterator<Item = (&'static str, &'static str)> {
        POLICY
            .split("<action id=\"")
            .skip(1)
            .filter_map(|rest| rest.split_once('"'))
    }

    /// Polkit refuses actions that it has no description of.
    #[test]
    fn the_installed_policy_describes_exactly_these_actions() {
        let ids: Vec<&str> = described().map(|(id, _)| id).collect();
        assert_eq!(ids, Act::ALL.map(Act::id));
    }

    #[test]
    fn what_is_everyday_needs_no_password_and_what_is_dangerous_an_administrators() {
        let dangerous = [
            Act::CreatePrivileged,
            Act::MountBeyondOwnRights,
            Act::GiveDevices,
            Act::ManageOthers,
            Act::ChangeSystemDefaults,
        ];
        for ((_, description), act) in described().zip(Act::ALL) {
            let answer = match dangerous.contains(&act) {
                true => "auth_admin_keep",
                false => "yes",
            };
            for who in ["any", "inactive", "active"] {
                let line = format!("<allow_{who}>{answer}</allow_{who}>");
                assert!(description.contains(&line), "{act:?}: no {line}");
            }
            for element in ["<description>", "<message>", "<icon_name>"] {
                assert!(description.contains(element), "{act:?}: no {element}");
            }
        }
    }

    #[test]
    fn administrators_are_told_about_all_of_them() {
        let page = include_str!("../../../../docs/polkit.md");
        for act in Act::ALL {
            assert!(page.contains(&format!("`{}`", act.id())), "{act:?}");
        }
    }
}
