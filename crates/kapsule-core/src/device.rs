// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! The kind of a USB device: who made it, and what it is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Vendor and product of a USB device, as `lsusb` shows them: `0403:6001`. All devices of a kind have the
/// same ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UsbId {
    /// `idVendor` of the device descriptor (USB 2.0, 9.6.1).
    pub vendor: u16,
    /// `idProduct` of it.
    pub product: u16,
}

/// Why a text does not name a kind of USB device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no USB device: write vendor and product as 'lsusb' and 'kapsule device list' show them, such \
     as 0403:6001"
)]
pub struct UsbIdError(String);

impl fmt::Display for UsbId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:04x}", self.vendor, self.product)
    }
}

impl FromStr for UsbId {
    type Err = UsbIdError;

    fn from_str(text: &str) -> Result<Self, UsbIdError> {
        // Not `from_str_radix` alone: that takes a sign, too.
        let number = |digits: &str| {
            let plain = digits.len() == 4 && digits.bytes().all(|c| c.is_ascii_hexdigit());
            plain.then(|| u16::from_str_radix(digits, 16).ok())?
        };
        text.split_once(':')
            .and_then(|(vendor, product)| {
                Some(Self {
                    vendor: number(vendor)?,
                    product: number(product)?,
                })
            })
            // Texts of any length come in by the bus.
            .ok_or_else(|| UsbIdError(text.chars().take(64).collect()))
    }
}

impl TryFrom<String> for UsbId {
    type Error = UsbIdError;

    fn try_from(text: String) -> Result<Self, UsbIdError> {
        text.parse()
    }
}

impl From<UsbId> for String {
    fn from(id: UsbId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_as_lsusb_does() {
        for (text, shown) in [("0403:6001", "0403:6001"), ("1D6B:00aF", "1d6b:00af")] {
            assert_eq!(text.parse::<UsbId>().unwrap().to_string(), shown);
        }
        for text in [
            "",
            ":",
            "0403",
            "403:6001",
            "0403:60011",
            "+403:6001",
            "0403:600g",
            "0403:6001:1",
            " 0403:6001",
            "０４０３:6001",
            "0403-6001",
        ] {
            let error = text.parse::<UsbId>().unwrap_err().to_string();
            assert!(error.contains("such as 0403:6001"), "{error}");
        }
        let error = "x".repeat(1_000_000).parse::<UsbId>().unwrap_err();
        assert!(error.to_string().len() < 300);
    }
}
