// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: LGPL-2.1-or-later

//! Progress, from what Incus writes into an operation's metadata.
//!
//! Incus has two forms, often both at once: `"<stage>_progress"` with a text for people ("rootfs: 37% (12.50MB/s)"),
//! and `"progress"`, a map of texts with `stage`, `percent`, `processed` (bytes) and `speed` (bytes a second).

use serde_json::{Map, Value};

/// How far an operation is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Incus' text for people, such as "Unpacking image: 37% (120.00MB/s)".
    pub text: String,
    /// The stage: `download`, `create_instance_from_image_unpack` …
    pub stage: String,
    /// Percent done, 0 to 100.
    pub percent: Option<u8>,
    /// Bytes done in this stage.
    pub bytes_done: Option<u64>,
    /// Bytes in all in this stage. Only known where Incus tells both bytes and percent, and then an estimate.
    pub bytes_total: Option<u64>,
    /// Bytes a second.
    pub speed: Option<u64>,
}

impl Progress {
    /// The progress an operation's metadata tells of.
    pub(crate) fn from_metadata(metadata: &Map<String, Value>) -> Option<Progress> {
        let map = metadata.get("progress").and_then(Value::as_object);
        let field = |name: &str| {
            map.and_then(|map| map.get(name))
                .map(text_of)
                .filter(|text| !text.is_empty())
        };
        // Texts of stages that are over stay in the metadata; the map tells which stage is the present one.
        let stage = field("stage");
        let text = match &stage {
            Some(stage) => metadata.get(&format!("{stage}_progress")).map(text_of),
            None => None,
        };
        let (stage, text) = match (stage, text) {
            (Some(stage), text) => (stage, text.unwrap_or_default()),
            (None, _) => metadata
                .iter()
                .filter_map(|(key, value)| {
                    Some((key.strip_suffix("_progress")?.to_owned(), text_of(value)))
                })
                .next_back()?,
        };
        let number = |name: &str| field(name).and_then(|text| text.parse::<u64>().ok());
        let percent = number("percent")
            .or_else(|| percent_in(&text))
            .map(|percent| percent.min(100) as u8);
        let bytes_done = number("processed");
        let bytes_total = match (bytes_done, percent) {
            (Some(done), Some(percent)) if percent > 0 => {
                Some(done.saturating_mul(100) / u64::from(percent))
            }
            _ => None,
        };
        let speed = number("speed")
            .or_else(|| speed_in(&text))
            .filter(|speed| *speed > 0);
        Some(Progress {
            text,
            stage,
            percent,
            bytes_done,
            bytes_total,
            speed,
        })
    }
}

fn text_of(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// The number before the first `%`.
fn percent_in(text: &str) -> Option<u64> {
    let (before, _) = text.split_once('%')?;
    let digits = before.len() - before.bytes().rev().take_while(u8::is_ascii_digit).count();
    before[digits..].parse().ok()
}

/// The rate in a text like `(12.50MB/s)`. Incus counts in powers of 1000.
fn speed_in(text: &str) -> Option<u64> {
    let (before, _) = text.split_once("B/s")?;
    let start = before
        .rfind(|c: char| c == '(' || c.is_whitespace())
        .map_or(0, |at| at + 1);
    let rate = &before[start..];
    let number = rate.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &rate[number.len()..] {
        "" => 1.0,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        _ => return None,
    };
    Some((number.parse::<f64>().ok()? * factor) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(value: Value) -> Option<Progress> {
        Progress::from_metadata(value.as_object().unwrap())
    }

    #[test]
    fn a_text_alone_is_understood() {
        for (text, percent, speed) in [
            ("rootfs: 37% (12.50MB/s)", Some(37), Some(12_500_000)),
            ("metadata: 100% (999B/s)", Some(100), Some(999)),
            ("100% (1.00kB/s)", Some(100), Some(1000)),
            ("5%", Some(5), None),
            ("% odd", None, None),
            ("12.00MB (3.00GB/s)", None, Some(3_000_000_000)),
            ("äöü (x", None, None),
            ("ä(ö1B/s", None, None),
            ("", None, None),
        ] {
            let progress = parse(json!({ "download_progress": text })).unwrap();
            assert_eq!(
                (progress.percent, progress.speed),
                (percent, speed),
                "{text}"
            );
            assert_eq!(
                (progress.stage.as_str(), progress.text.as_str()),
                ("download", text)
            );
        }
    }

    #[test]
    fn the_map_names_the_present_stage() {
        let progress = parse(json!({
            "download_progress": "rootfs: 100% (1.00MB/s)",
            "create_instance_from_image_unpack_progress": "Unpacking image: 40% (2.00MB/s)",
            "progress": {"stage": "create_instance_from_image_unpack", "percent": "40", "speed": "2000000"},
        }));
        assert_eq!(
            progress,
            Some(Progress {
                text: "Unpacking image: 40% (2.00MB/s)".into(),
                stage: "create_instance_from_image_unpack".into(),
                percent: Some(40),
                bytes_done: None,
                bytes_total: None,
                speed: Some(2_000_000),
            })
        );
    }

    #[test]
    fn bytes_and_odd_values() {
        let progress = parse(
            json!({"progress": {"stage": "x", "percent": "250", "processed": "50", "speed": "0"}}),
        )
        .unwrap();
        assert_eq!(progress.percent, Some(100));
        assert_eq!(
            (progress.bytes_done, progress.bytes_total, progress.speed),
            (Some(50), Some(50), None)
        );
        let progress =
            parse(json!({"progress": {"stage": "x", "percent": 50, "processed": 10}})).unwrap();
        assert_eq!(
            (progress.percent, progress.bytes_total),
            (Some(50), Some(20))
        );
        assert_eq!(parse(json!({"command": ["true"], "progress": "odd"})), None);
        assert_eq!(parse(json!({})), None);
    }
}
