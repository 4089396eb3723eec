// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What of the session takes the guest's root: done at every boot before anything of the guest runs, and
//! again when the options change.
//!
//! | what | where |
//! |---|---|
//! | fonts of the host | a file for fontconfig |
//! | icons, themes, colour schemes | links in a folder of `XDG_DATA_DIRS` |
//! | links and files are opened on the host | `xdg-open` in `/usr/local/bin`, in front of the guest's |
//! | no second sound server or key agent | drop-ins for units of users' managers |

use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use kapsule_proto::spec::{GuestSpec, SessionShares};

use super::table::RIVALS;
use super::{LOOK, OPENER};
use crate::files::{self, inside, remove_ours};
use crate::init::has_systemd;

const XDG_OPEN: &str = "/usr/local/bin/xdg-open";
const FONTS: &str = "/etc/fonts/conf.d/60-kapsule-host.conf";
const USER_UNITS: &str = "/etc/systemd/user";
const DROP_IN: &str = "50-kapsule.conf";
const MARK: &str = "# Written by Kapsule at every boot of this container; changes are lost.\n";
const XML_MARK: &str =
    "<!-- Written by Kapsule at every boot of this container; changes are lost. -->\n";

/// Folders of the host's `/usr/share` that only say how things look. Not all of it: programs that are
/// on the host alone would be offered inside.
const LOOKS: &[&str] = &["color-schemes", "fonts", "icons", "sounds", "themes"];

/// Makes the guest be as the container's options say.
pub(crate) fn set_up(root: &Path, spec: &GuestSpec, problems: &mut Vec<String>) {
    let shares = match spec.host_runtime_dir {
        Some(_) => spec.session,
        None => SessionShares::default(),
    };
    let mut step = |name: &str, result: io::Result<()>| {
        if let Err(error) = result {
            problems.push(format!("{name}: {error}"));
        }
    };
    step("fonts", fonts(root, shares.look));
    step("look", look(root, shares.look));
    step("xdg-open", opener(root, shares.bus));
    for (part, units) in RIVALS {
        for unit in *units {
            step(unit, rival(root, unit, part.is_given(shares)));
        }
    }
}

fn fonts(root: &Path, given: bool) -> io::Result<()> {
    let path = inside(root, FONTS);
    if !given {
        return remove_ours(&path, XML_MARK);
    }
    make_parent(&path)?;
    let text = format!(
        "{XML_MARK}\
<!DOCTYPE fontconfig SYSTEM \"urn:fontconfig:fonts.dtd\">
<fontconfig>
  <description>Fonts of the host</description>
  <dir>/.kapsule/host/usr/share/fonts</dir>
  <dir>/.kapsule/host/usr/local/share/fonts</dir>
</fontconfig>
"
    );
    files::replace(&path, text.as_bytes(), 0o644)
}

fn look(root: &Path, given: bool) -> io::Result<()> {
    let folder = inside(root, LOOK);
    if !given {
        for name in LOOKS {
            remove_link(&folder.join(name), &of_host(name))?;
        }
        return match std::fs::remove_dir(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
    }
    std::fs::create_dir_all(&folder)?;
    for name in LOOKS {
        make_link(&folder.join(name), &of_host(name))?;
    }
    Ok(())
}

fn of_host(name: &str) -> String {
    format!("../host/usr/share/{name}")
}

/// In front of the guest's own, which stays where it is: ours turns to it for what the host cannot open.
fn opener(root: &Path, given: bool) -> io::Result<()> {
    let path = inside(root, XDG_OPEN);
    if given {
        make_parent(&path)?;
        make_link(&path, OPENER)
    } else {
        remove_link(&path, OPENER)
    }
}

/// Keeps a unit from starting where the host has the like. It holds from the next start of the owner's
/// manager on.
fn rival(root: &Path, unit: &str, given: bool) -> io::Result<()> {
    let folder = inside(root, USER_UNITS).join(format!("{unit}.d"));
    let path = folder.join(DROP_IN);
    if given && has_systemd(root) {
        std::fs::create_dir_all(&folder)?;
        let text = format!(
            "{MARK}# Programs have the host's.\n[Unit]\nConditionPathExists=!/.kapsule/host/run/user\n"
        );
        return files::replace(&path, text.as_bytes(), 0o644);
    }
    remove_ours(&path, MARK)?;
    // Somebody else may have something in it.
    let _ = std::fs::remove_dir(&folder);
    Ok(())
}

fn make_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), std::fs::create_dir_all)
}

/// Leaves alone what is there.
fn make_link(path: &Path, target: &str) -> io::Result<()> {
    match path.symlink_metadata() {
        Ok(_) => Ok(()),
        Err(_) => symlink(target, path),
    }
}

fn remove_link(path: &Path, target: &str) -> io::Result<()> {
    match std::fs::read_link(path) {
        Ok(found) if found == Path::new(target) => std::fs::remove_file(path),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn spec(session: &str) -> GuestSpec {
        let text = format!(
            r#"{{"version":1,"container":"dev","owner":{{"uid":7,"gid":7,"name":"alice",
                "group":"alice","home":"/home/alice","home_mounted":true,"shell":"/bin/sh"}},
                "host_runtime_dir":"/.kapsule/host/run/user/7","session":{session}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn files_in(root: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                } else {
                    let path = entry.path();
                    let path = path.strip_prefix(root).unwrap();
                    found.push(path.to_str().unwrap().to_owned());
                }
            }
        }
        found.sort();
        found
    }

    #[test]
    fn it_comes_and_goes_with_the_options() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let bin = root.join("usr/lib/systemd");
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::write(bin.join("systemd"), "").unwrap();
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(bin.join("systemd"), executable).unwrap();
        std::fs::create_dir_all(root.join("sbin")).unwrap();
        symlink("../usr/lib/systemd/systemd", root.join("sbin/init")).unwrap();
        let before = files_in(root);
        let mut problems = Vec::new();
        for _ in 0..2 {
            set_up(
                root,
                &spec(r#"{"look":true,"bus":true,"sound":true,"agents":true}"#),
                &mut problems,
            );
        }
        assert_eq!(problems, Vec::<String>::new());
        let all = files_in(root);
        for path in [
            "etc/fonts/conf.d/60-kapsule-host.conf",
            ".kapsule/share/icons",
            "usr/local/bin/xdg-open",
            "etc/systemd/user/pipewire.socket.d/50-kapsule.conf",
            "etc/systemd/user/gpg-agent.socket.d/50-kapsule.conf",
        ] {
            assert!(all.iter().any(|it| it == path), "{path} in {all:?}");
        }
        set_up(root, &spec("{}"), &mut problems);
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(files_in(root), before);
    }

    #[test]
    fn what_the_guest_has_stays() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        std::fs::create_dir_all(root.join("usr/local/bin")).unwrap();
        std::fs::write(root.join("usr/local/bin/xdg-open"), "mine").unwrap();
        let mut problems = Vec::new();
        set_up(root, &spec(r#"{"bus":true}"#), &mut problems);
        set_up(root, &spec("{}"), &mut problems);
        assert_eq!(problems, Vec::<String>::new());
        let text = std::fs::read_to_string(root.join("usr/local/bin/xdg-open")).unwrap();
        assert_eq!(text, "mine");
    }
}
