// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `kapsule man`: the manual pages, for packages.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use crate::cli;
use crate::error::{CommandError, ErrorKind};

/// Write the manual pages into a directory
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// An existing directory
    dir: PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<(), CommandError> {
    write_all(&args.dir).map_err(|error| {
        CommandError::new(ErrorKind::Failed, error).context(format!(
            "cannot write manual pages into {}",
            args.dir.display()
        ))
    })
}

fn write_all(dir: &Path) -> io::Result<()> {
    let mut command = cli::command("kapsule");
    command.build();
    write_page_and_below(&command, dir)?;
    fs::write(dir.join("kap.1"), ".so man1/kapsule.1\n")
}

fn write_page_and_below(command: &clap::Command, dir: &Path) -> io::Result<()> {
    for below in command.get_subcommands().filter(|it| !it.is_hide_set()) {
        write_page_and_below(below, dir)?;
    }
    let man = Man::new(command.clone())
        .source(concat!("Kapsule ", env!("CARGO_PKG_VERSION")))
        .manual("Kapsule");
    let mut page = Vec::new();
    render(command, &man, &mut page)?;
    fs::write(dir.join(man.get_filename()), page)
}

fn render(command: &clap::Command, man: &Man, page: &mut Vec<u8>) -> io::Result<()> {
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    if command.get_arguments().any(|arg| !arg.is_hide_set()) {
        man.render_options_section(page)?;
    }
    if command.get_subcommands().any(|it| !it.is_hide_set()) {
        man.render_subcommands_section(page)?;
    }
    let after = command.get_after_long_help().or(command.get_after_help());
    if let Some(after) = after {
        page.write_all(sections(&after.to_string()).as_bytes())?;
    }
    Ok(())
}

/// Sections out of the text at the end of a command's help: a paragraph whose first line ends
/// with a colon is one, laid out as it is there.
fn sections(text: &str) -> String {
    let mut roff = Roff::new();
    for paragraph in text.split("\n\n") {
        match paragraph.split_once(":\n") {
            Some((title, lines)) if !title.contains('\n') => {
                roff.control("SH", [title.to_uppercase().as_str()]);
                roff.control("nf", []);
                for line in lines.lines() {
                    roff.text([roman(line)]);
                }
                roff.control("fi", []);
            }
            _ => {
                roff.control("PP", []);
                roff.text([roman(paragraph.replace('\n', " "))]);
            }
        }
    }
    roff.to_roff()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_page_for_every_command() {
        let dir = tempfile::tempdir().unwrap();
        write_all(dir.path()).unwrap();
        let page = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        assert!(page("kapsule.1").contains(".SH \"EXIT STATUS\"\n.nf\n"));
        assert!(page("kapsule-enter.1").contains(".SH EXAMPLES\n.nf\n"));
        assert!(page("kapsule-image-import.1").contains("rootfs.squashfs"));
        assert!(page("kap.1").starts_with(".so "));
        assert!(!dir.path().join("kapsule-man.1").exists());
    }
}
