// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Tells the user which ports are on localhost: in a file that `kapsule info` reads, and in the journal.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use kapsule_core::ports::{AllPorts, ContainerPorts, FILE};

/// What was told last.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    ports: Rc<RefCell<AllPorts>>,
    /// Where it is written, if there is a place.
    file: Option<PathBuf>,
}

impl Report {
    /// Writes to the folder that systemd made, and removes when this ends, however it ends.
    pub(crate) fn new(folder: Option<PathBuf>) -> Self {
        let name = Path::new(FILE).file_name().unwrap_or_default();
        Self {
            ports: Rc::default(),
            file: folder.map(|folder| folder.join(name)),
        }
    }

    /// Tells what became of a container's ports, if it is something new.
    pub(crate) fn tell(&self, container: &str, ports: ContainerPorts) {
        let mut all = self.ports.borrow_mut();
        if all.get(container).cloned().unwrap_or_default() == ports {
            return;
        }
        let words = ports.to_words();
        if ports.is_empty() {
            all.remove(container);
            eprintln!("{container}: no ports");
        } else {
            eprintln!("{container}: {words}");
            all.insert(container.to_owned(), ports);
        }
        if let Some(file) = &self.file
            && let Err(error) = write(file, &all)
        {
            eprintln!("cannot write {}: {error}", file.display());
        }
    }
}

/// Whole or not at all.
fn write(file: &Path, all: &AllPorts) -> io::Result<()> {
    let new = file.with_extension("new");
    fs::write(&new, serde_json::to_vec(all)?)?;
    fs::rename(&new, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_can_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let report = Report::new(Some(folder.path().to_owned()));
        let file = folder.path().join("ports.json");
        let ports = ContainerPorts {
            offered: vec![8080],
            ..ContainerPorts::default()
        };
        report.tell("dev", ports.clone());
        let read = || -> AllPorts { serde_json::from_slice(&fs::read(&file).unwrap()).unwrap() };
        assert_eq!(read()["dev"], ports);
        report.tell("dev", ContainerPorts::default());
        assert!(read().is_empty());
    }
}
