// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Which ports of the user's containers are on localhost: as `kapsule-ports` has written it down.

use std::ffi::OsStr;
use std::io::Read as _;
use std::path::Path;

use kapsule_core::ports::{AllPorts, ContainerPorts, FILE};
use kapsule_core::settings::files::open_regular;

/// As many containers as nobody has take less.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// The ports of one container. Empty where nothing is known: it is one more thing to tell.
pub(crate) fn ports_of(container: &str) -> ContainerPorts {
    let folder = std::env::var_os("XDG_RUNTIME_DIR");
    let all = folder.as_deref().and_then(read).unwrap_or_default();
    all.get(container).cloned().unwrap_or_default()
}

fn read(folder: &OsStr) -> Option<AllPorts> {
    // Programs in containers can write there, too: what is no file is not waited for.
    let file = open_regular(&Path::new(folder).join(FILE), MAX_FILE).ok()?;
    let mut text = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_such_file_tells_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path().as_os_str()), None);
        let file = folder.path().join(FILE);
        std::fs::create_dir(file.parent().unwrap()).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &file,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        assert_eq!(read(folder.path().as_os_str()), None);
        std::fs::remove_file(&file).unwrap();
        std::fs::write(&file, r#"{"dev":{"offered":[8080]}}"#).unwrap();
        let all = read(folder.path().as_os_str()).unwrap();
        assert_eq!(all["dev"].offered, [8080]);
    }
}
