// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `cargo xtask install`: the packager's rules. One table says what goes where.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::programs::{Linking, Programs};
use crate::run::run;
use crate::{dirs, template};

/// Where a file comes from.
#[derive(Debug, Clone, Copy)]
enum Source {
    /// A program that cargo builds.
    Program(&'static str, Linking),
    /// A file of the checkout, as it is.
    File(&'static str),
    /// A script of the checkout, to be run.
    Script(&'static str),
    /// A file of the checkout in which `@prefix@`, `@bindir@` and `@libdir@` (Kapsule's own folder) are
    /// replaced by the paths of the installed system.
    Template(&'static str),
    /// All files of a folder of the checkout that end so; the target is a folder.
    All(&'static str, &'static str),
    /// A symbolic link to this.
    Link(&'static str),
    /// The manual pages, which the program that we build writes itself; the target is a folder.
    ManualPages,
}
use Source::{All, File, Link, ManualPages, Program, Script, Template};

/// What is installed, and where below the prefix.
const LAYOUT: &[(Source, &str)] = &[
    (Program("kapsule", Linking::Static), "bin/kapsule"),
    (Link("kapsule"), "bin/kap"),
    (
        Program("kapsule-daemon", Linking::Dynamic),
        "lib/kapsule/kapsule-daemon",
    ),
    (
        Program("kapsule-agent", Linking::Static),
        "lib/kapsule/guest/kapsule-agent",
    ),
    (
        Program("kapsule-open", Linking::Static),
        "lib/kapsule/guest/kapsule-open",
    ),
    (
        Program("kapsule-dbus-mux", Linking::Static),
        "lib/kapsule/guest/kapsule-dbus-mux",
    ),
    (File("data/kapsule.conf"), "lib/kapsule/kapsule.conf"),
    (
        Template("data/kapsule-daemon.service.in"),
        "lib/systemd/system/kapsule-daemon.service",
    ),
    (
        Program("kapsule-ports", Linking::Dynamic),
        "lib/kapsule/kapsule-ports",
    ),
    (
        Template("data/kapsule-ports.service.in"),
        "lib/systemd/user/kapsule-ports.service",
    ),
    // With every session. `systemctl --user mask` keeps it out of one's own.
    (
        Link("../kapsule-ports.service"),
        "lib/systemd/user/default.target.wants/kapsule-ports.service",
    ),
    (
        Program("kapsule-bus", Linking::Dynamic),
        "lib/kapsule/kapsule-bus",
    ),
    (
        Template("data/app-org.kde.kapsule.service.in"),
        "lib/systemd/user/app-org.kde.kapsule.service",
    ),
    (
        File("data/kapsule-bus.socket"),
        "lib/systemd/user/kapsule-bus.socket",
    ),
    (
        Link("../kapsule-bus.socket"),
        "lib/systemd/user/sockets.target.wants/kapsule-bus.socket",
    ),
    // How dialogs of the desktop call whoever asks by way of it.
    (
        File("data/org.kde.kapsule.desktop"),
        "share/applications/org.kde.kapsule.desktop",
    ),
    (
        File("data/50-kapsule.preset"),
        "lib/systemd/system-preset/50-kapsule.preset",
    ),
    (Script("data/incus-mounts"), "lib/kapsule/incus-mounts"),
    (
        Template("data/incus.conf.in"),
        "lib/systemd/system/incus.service.d/kapsule.conf",
    ),
    (
        File("data/modules-load.conf"),
        "lib/modules-load.d/kapsule.conf",
    ),
    (
        File("data/org.kde.kapsule.conf"),
        "share/dbus-1/system.d/org.kde.kapsule.conf",
    ),
    (
        Template("data/org.kde.kapsule.service.in"),
        "share/dbus-1/system-services/org.kde.kapsule.service",
    ),
    (All("data/interfaces", ".xml"), "share/dbus-1/interfaces"),
    (
        File("data/org.kde.kapsule.policy"),
        "share/polkit-1/actions/org.kde.kapsule.policy",
    ),
    (File("docs/polkit.md"), "share/doc/kapsule/polkit.md"),
    (
        File("data/polkit-kapsule.rules.example"),
        "share/doc/kapsule/polkit-kapsule.rules.example",
    ),
    (
        All("data/completions/bash", ""),
        "share/bash-completion/completions",
    ),
    (
        All("data/completions/fish", ".fish"),
        "share/fish/vendor_completions.d",
    ),
    (All("data/completions/zsh", ""), "share/zsh/site-functions"),
    (ManualPages, "share/man/man1"),
];

/// Builds what is needed and installs everything below `destdir`. Returns the installed paths, relative
/// to `destdir`.
pub(crate) fn install(destdir: &Path, prefix: &Path, profile: &str) -> Result<Vec<PathBuf>> {
    let Ok(inner) = prefix.strip_prefix("/") else {
        bail!(
            "the prefix {} must be absolute, for example /usr",
            prefix.display()
        );
    };
    // Before the long build.
    let missing = missing_files();
    if !missing.is_empty() {
        bail!(
            "these files of the checkout are missing: {}",
            missing.join(", ")
        );
    }
    let programs = Programs::build(profile)?;
    let mut installed = Vec::new();
    for (source, target) in LAYOUT {
        let target = inner.join(target);
        match *source {
            Program(name, linking) => {
                put(
                    &fs::read(programs.path(name, linking))?,
                    0o755,
                    destdir,
                    &target,
                )?;
            }
            File(path) => put(&read(path)?, 0o644, destdir, &target)?,
            Script(path) => put(&read(path)?, 0o755, destdir, &target)?,
            Template(path) => put(filled(path, prefix)?.as_bytes(), 0o644, destdir, &target)?,
            Link(to) => {
                let path = make_way(destdir, &target)?;
                symlink(to, &path)
                    .with_context(|| format!("cannot make the link {}", path.display()))?;
            }
            All(folder, suffix) => {
                for name in files_in(folder, suffix) {
                    let target = target.join(&name);
                    put(&read(&format!("{folder}/{name}"))?, 0o644, destdir, &target)?;
                    installed.push(target);
                }
                continue;
            }
            ManualPages => {
                for (name, page) in manual_pages(&programs)? {
                    let target = target.join(name);
                    put(&page, 0o644, destdir, &target)?;
                    installed.push(target);
                }
                continue;
            }
        }
        installed.push(target);
    }
    Ok(installed)
}

/// Names and contents.
fn manual_pages(programs: &Programs) -> Result<Vec<(String, Vec<u8>)>> {
    let folder = tempfile::tempdir()?;
    let kapsule = programs.path("kapsule", Linking::Static);
    run(Command::new(kapsule).arg("man").arg(folder.path()))?;
    let mut pages = Vec::new();
    for entry in fs::read_dir(folder.path())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        pages.push((name, fs::read(entry.path())?));
    }
    pages.sort();
    if pages.is_empty() {
        bail!("`kapsule man` wrote no page");
    }
    Ok(pages)
}

fn missing_files() -> Vec<&'static str> {
    let is_missing = |source: &Source| match *source {
        File(path) | Script(path) | Template(path) => {
            (!dirs::workspace().join(path).is_file()).then_some(path)
        }
        All(folder, suffix) => files_in(folder, suffix).is_empty().then_some(folder),
        Program(..) | Link(_) | ManualPages => None,
    };
    LAYOUT
        .iter()
        .filter_map(|(source, _)| is_missing(source))
        .collect()
}

fn files_in(folder: &str, suffix: &str) -> Vec<String> {
    let entries = fs::read_dir(dirs::workspace().join(folder));
    let mut names: Vec<String> = entries
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.ends_with(suffix))
        .collect();
    names.sort();
    names
}

fn read(path: &str) -> Result<Vec<u8>> {
    fs::read(dirs::workspace().join(path)).with_context(|| format!("cannot read {path}"))
}

/// The file with the folders of the installed system in it.
fn filled(path: &str, prefix: &Path) -> Result<String> {
    let text = String::from_utf8(read(path)?).with_context(|| format!("{path} is no text"))?;
    let prefix = prefix.to_str().context("the prefix is not UTF-8")?;
    let (bindir, libdir) = (format!("{prefix}/bin"), format!("{prefix}/lib/kapsule"));
    let values = [("prefix", prefix), ("bindir", &bindir), ("libdir", &libdir)];
    template::fill(&text, &values).with_context(|| path.to_owned())
}

fn put(content: &[u8], mode: u32, destdir: &Path, target: &Path) -> Result<()> {
    let path = make_way(destdir, target)?;
    fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
    // Set by hand, since the umask of whoever calls is not the package's.
    fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    Ok(())
}

/// Makes the folder and removes what is in the way; replacing beats overwriting, for programs that run.
fn make_way(destdir: &Path, target: &Path) -> Result<PathBuf> {
    let path = destdir.join(target);
    let folder = path.parent().context("a target without a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    if path.symlink_metadata().is_ok() {
        fs::remove_file(&path).with_context(|| format!("cannot replace {}", path.display()))?;
    }
    Ok(path)
}
