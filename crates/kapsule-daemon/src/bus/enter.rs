// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The ways into a container. They are to be quick: polkit's answer is remembered, and Incus is
//! only asked where the container's agent is not there.

use kapsule_core::isolation::Isolation;
use kapsule_core::name::ContainerName;
use zbus::OwnedFd;
use zbus::message::Header;

use super::Shared;
use crate::agents::SessionUser;
use crate::error::{Error, Result};
use crate::policy::Act;
use crate::{config, users};

impl Shared {
    /// The container's name, the client's end of a session, and how far the container is kept apart.
    pub(super) async fn session(
        &self,
        header: &Header<'_>,
        name: &str,
        user: SessionUser,
    ) -> Result<(String, OwnedFd, Isolation)> {
        let caller = self.permitted(header, Act::EnterContainer).await?;
        let name = named_or_default(name, caller.uid).await?;
        let session = self.service.open_session(caller.uid, &name, user).await?;
        let isolation = self.service.known_isolation(caller.uid, &name);
        Ok((name.into(), session.into(), isolation))
    }

    /// The command line that enters a container.
    pub(super) async fn enter_command(
        &self,
        header: &Header<'_>,
        name: &str,
        command: Vec<String>,
        directory: String,
    ) -> Result<Vec<String>> {
        let caller = self.permitted(header, Act::EnterContainer).await?;
        let name = named_or_default(name, caller.uid).await?;
        // Clients make a container that is missing; one that is stopped is `kapsule enter`'s.
        self.service.summary(caller.uid, &name).await?;
        if directory.starts_with('-') {
            return Err(Error::invalid(format!(
                "{directory:?} is not a working directory"
            )));
        }
        Ok(command_line(&name, command, directory))
    }
}

/// A container's name from an argument; the empty text is the user's default container.
async fn named_or_default(name: &str, uid: u32) -> Result<ContainerName> {
    if !name.is_empty() {
        return Ok(name.parse()?);
    }
    let user = users::lookup(uid).await?;
    let default = config::settings_for(&user).await.settings.default_container;
    default.parse().map_err(|error| {
        Error::from(error).context(format!(
            "default_container = {default} in the configuration"
        ))
    })
}

fn command_line(name: &ContainerName, command: Vec<String>, directory: String) -> Vec<String> {
    let mut line = vec!["kapsule".to_owned(), "enter".to_owned(), name.to_string()];
    if !directory.is_empty() {
        line.extend(["--cwd".to_owned(), directory]);
    }
    if !command.is_empty() {
        line.push("--".to_owned());
        line.extend(command);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_stays_the_words_it_is() {
        let name: ContainerName = "dev".parse().unwrap();
        let words = |words: &[&str]| {
            words
                .iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            command_line(&name, Vec::new(), String::new()),
            ["kapsule", "enter", "dev"]
        );
        assert_eq!(
            command_line(&name, words(&["ls", "-l", "a b"]), "/tmp".to_owned()),
            [
                "kapsule", "enter", "dev", "--cwd", "/tmp", "--", "ls", "-l", "a b"
            ]
        );
    }
}
