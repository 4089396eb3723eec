// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What an image wants to be run once in each container made from it: the programs in
//! `/.kapsule/init`, in the order of their names, as the container's root. One that fails is worth
//! a warning; the container can be used all the same.

use std::time::Duration;

use incus::{ExecLimits, ExecPost};

use super::{Service, incus_error};
use crate::container_id::ContainerId;
use crate::error::{Error, Result};
use crate::ops::Reporter;

const FOLDER: &str = "/.kapsule/init";
/// More than this is no image's wish.
const MAX_HOOKS: usize = 64;
const LIMITS: ExecLimits = ExecLimits {
    stdout: 0,
    stderr: 4096,
    time: Some(Duration::from_secs(10 * 60)),
};

impl Service {
    /// Runs them.
    ///
    /// # Errors
    /// When the user cancels, or Incus cannot be reached.
    pub(super) async fn run_init_hooks(&self, id: &ContainerId, reporter: &Reporter) -> Result<()> {
        let project = self.project(id.owner);
        let found = match project.list_directory(id.name.as_str(), FOLDER).await {
            Ok(found) => found,
            Err(error) if error.is_unreachable() => return Err(incus_error(error)),
            // The usual case: the image has none.
            Err(_) => return Ok(()),
        };
        for name in runnable(found) {
            reporter.info(format!("Running the image's {name}"));
            let post = ExecPost::new([format!("{FOLDER}/{name}")]);
            let run = tokio::select! {
                run = project.exec_collect(id.name.as_str(), &post, "", LIMITS) => run,
                () = reporter.cancelled() => return Err(Error::cancelled()),
            };
            match run {
                Ok(output) if output.status == 0 => {}
                Ok(output) => reporter.warning(format!(
                    "The image's {name} failed (status {}): {}",
                    output.status,
                    last_line(&output.stderr)
                )),
                Err(error) if error.is_unreachable() => return Err(incus_error(error)),
                Err(error) => reporter.warning(format!("The image's {name} failed: {error}")),
            }
        }
        Ok(())
    }
}

/// The names that can be programs, in order. They come from the guest.
fn runnable(mut names: Vec<String>) -> Vec<String> {
    names.retain(|name| {
        !name.starts_with('.') && !name.contains('/') && !name.chars().any(char::is_control)
    });
    names.sort();
    names.truncate(MAX_HOOKS);
    names
}

fn last_line(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    text.lines().next_back().unwrap_or("no message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ordered_and_those_that_cannot_be_are_left_out() {
        let names = ["50-b", "10-a", ".hidden", "..", "x/y", "a\nb"]
            .map(str::to_owned)
            .to_vec();
        assert_eq!(runnable(names), ["10-a", "50-b"]);
        assert_eq!(runnable(vec!["x".to_owned(); 1000]).len(), MAX_HOOKS);
    }

    #[test]
    fn the_last_line_tells_why() {
        assert_eq!(last_line(b"a\nb\n"), "b");
        assert_eq!(last_line(b""), "no message");
    }
}
