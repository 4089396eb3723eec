// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What the daemon has written down for this container: whose it is, and what it is given.

use std::io;

use kapsule_proto::paths;
use kapsule_proto::spec::{GuestSpec, SPEC_VERSION};

use crate::account_file::is_possible;
use crate::files;

/// Longer paths of shared folders than anybody has are in it, in bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// Reads it.
///
/// # Errors
/// When it is not there, of a later version, or names an owner who cannot be an account.
pub(crate) fn read() -> io::Result<GuestSpec> {
    let json = files::read_limited(paths::SPEC.as_ref(), MAX_FILE)?;
    let spec: GuestSpec = serde_json::from_slice(&json).map_err(io::Error::other)?;
    if spec.version > SPEC_VERSION {
        return Err(io::Error::other(format!(
            "version {} is newer than this agent",
            spec.version
        )));
    }
    if !is_possible(&spec.owner) {
        return Err(io::Error::other("the owner cannot be an account"));
    }
    Ok(spec)
}
