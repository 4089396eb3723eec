// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! `cargo xtask deb`: a Debian package out of what `cargo xtask install` installs, with the texts in
//! `packaging/debian`.

mod notices;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::run::{cmd, output, run};
use crate::{dirs, install, needs, template};

/// What only the packaging itself changes is counted by the number after the dash.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "-1");

const NEEDS: &[needs::Need] = &[("dpkg-dev", "dpkg-shlibdeps"), ("gzip", "gzip")];

/// Builds everything and returns the package's path, in `target/deb`.
pub(crate) fn build(profile: &str) -> Result<PathBuf> {
    needs::ensure(needs::BUILD)?;
    needs::ensure(NEEDS)?;
    let folder = dirs::target().join("deb");
    fs::create_dir_all(&folder)?;
    let work = tempfile::Builder::new()
        .prefix("part-")
        .tempdir_in(&folder)?;
    let root = work.path().join("root");
    fs::create_dir(&root)?;
    fs::set_permissions(&root, fs::Permissions::from_mode(0o755))?;
    install::install(&root, Path::new("/usr"), profile)?;
    follow_debian(&root)?;
    write_documents(&root)?;
    let control = control(&root, work.path())?;
    let sums = checksums(&root)?;
    write_control_folder(&root.join("DEBIAN"), &control, &sums)?;

    let architecture = output(&mut cmd("dpkg", ["--print-architecture"]))?;
    let name = format!("kapsule_{VERSION}_{architecture}.deb");
    let made = work.path().join(&name);
    run(cmd("dpkg-deb", ["--root-owner-group", "--build"])
        // Two builds of one commit are the same, byte by byte.
        .env("SOURCE_DATE_EPOCH", commit_time()?)
        .arg(&root)
        .arg(&made))?;
    for old in fs::read_dir(&folder)? {
        let old = old?.path();
        if old.extension().is_some_and(|extension| extension == "deb") {
            fs::remove_file(old)?;
        }
    }
    let package = folder.join(name);
    fs::rename(made, &package)?;
    Ok(package)
}

/// Where Debian has it otherwise than others.
fn follow_debian(root: &Path) -> Result<()> {
    let share = root.join("usr/share");
    fs::rename(
        share.join("zsh/site-functions"),
        share.join("zsh/vendor-completions"),
    )?;
    for page in fs::read_dir(share.join("man/man1"))? {
        compress(&page?.path())?;
    }
    Ok(())
}

fn write_documents(root: &Path) -> Result<()> {
    let folder = root.join("usr/share/doc/kapsule");
    fs::create_dir_all(&folder)?;
    let crates = notices::linked_crates()?;
    let list: Vec<String> = crates.iter().map(|it| format!("  {it}")).collect();
    write(
        &folder.join("copyright"),
        &filled("copyright.in", &[("crates", &list.join("\n"))])?,
    )?;
    let date = output(&mut cmd(
        "date",
        [
            "--utc",
            "--rfc-email",
            &format!("--date=@{}", commit_time()?),
        ],
    ))?;
    let own = folder.join("changelog.Debian");
    write(&own, &filled("changelog.in", &[("date", &date)])?)?;
    compress(&own)?;
    let changes = folder.join("changelog");
    write(
        &changes,
        &fs::read_to_string(dirs::workspace().join("CHANGELOG.md"))
            .context("cannot read CHANGELOG.md")?,
    )?;
    compress(&changes)?;
    let texts = folder.join("third-party-notices");
    write(&texts, &notices::texts(&crates)?)?;
    compress(&texts)
}

fn control(root: &Path, work: &Path) -> Result<String> {
    let shlibs = shared_libraries(root, work)?;
    let size = output(
        cmd(
            "du",
            ["--summarize", "--apparent-size", "--block-size=1024"],
        )
        .arg(root),
    )?;
    let size = size.split_whitespace().next().context("du says nothing")?;
    let architecture = output(&mut cmd("dpkg", ["--print-architecture"]))?;
    let values = [
        ("architecture", architecture.as_str()),
        ("shlibs", &shlibs),
        ("size", size),
    ];
    filled("control.in", &values)
}

/// What `dpkg --verify` compares with: deb-md5sums(5).
fn checksums(root: &Path) -> Result<String> {
    let script = "find * -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum";
    Ok(output(cmd("sh", ["-ec", script]).current_dir(root))? + "\n")
}

fn write_control_folder(folder: &Path, control: &str, sums: &str) -> Result<()> {
    fs::create_dir(folder)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    write(&folder.join("control"), control)?;
    write(&folder.join("md5sums"), sums)?;
    for script in ["postinst", "prerm", "postrm"] {
        let target = folder.join(script);
        write(&target, &source(script)?)?;
        fs::set_permissions(&target, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// The packages with the libraries that the services are linked with; nothing else is linked with any.
fn shared_libraries(root: &Path, work: &Path) -> Result<String> {
    // dpkg-shlibdeps wants to be in an unpacked source package.
    fs::create_dir(work.join("debian"))?;
    fs::write(work.join("debian/control"), "Source: kapsule\n")?;
    let said = output(
        cmd("dpkg-shlibdeps", ["-O"])
            .arg(root.join("usr/lib/kapsule/kapsule-daemon"))
            .arg(root.join("usr/lib/kapsule/kapsule-ports"))
            .arg(root.join("usr/lib/kapsule/kapsule-bus"))
            .current_dir(work),
    )?;
    let depends = said.trim().strip_prefix("shlibs:Depends=");
    Ok(depends
        .with_context(|| format!("dpkg-shlibdeps says `{said}`"))?
        .to_owned())
}

/// When the commit was made, in seconds since 1970.
fn commit_time() -> Result<String> {
    let git = ["-c", "safe.directory=*", "log", "-1", "--format=%ct"];
    output(cmd("git", git).current_dir(dirs::workspace()))
        .context("cannot ask git when the commit was made")
}

fn source(name: &str) -> Result<String> {
    let path = dirs::workspace().join("packaging/debian").join(name);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// A file of `packaging/debian` without its comments, and with these values in it.
fn filled(name: &str, values: &[(&str, &str)]) -> Result<String> {
    let text: String = source(name)?
        .split_inclusive('\n')
        .filter(|line| !line.starts_with('#'))
        .collect();
    let common = [
        ("version", VERSION),
        ("homepage", env!("CARGO_PKG_REPOSITORY")),
    ];
    template::fill(&text, &[&common, values].concat()).with_context(|| name.to_owned())
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644))?;
    Ok(())
}

fn compress(path: &Path) -> Result<()> {
    run(Command::new("gzip").args(["-9", "--no-name"]).arg(path))
}
