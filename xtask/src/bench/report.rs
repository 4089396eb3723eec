// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! Printing what was measured.

use anyhow::{Context as _, Result};
use clap::ValueEnum as _;
use serde::Serialize;

use super::Bench;
use super::statistics::Summary;

/// What values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Unit {
    Seconds,
    Bytes,
}

/// One subject's measurements. The first of a bench is Kapsule, the others are its peers.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) subject: String,
    pub(super) samples: Vec<f64>,
}

/// The outcome of one bench.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) unit: Unit,
    /// What Kapsule's median should stay below.
    pub(super) target: Option<f64>,
    pub(super) series: Vec<Series>,
    /// Peers that could not be measured, and why.
    pub(super) missing: Vec<(String, String)>,
}

/// A line for programs.
#[derive(Debug, Serialize)]
struct Row<'a> {
    bench: &'a str,
    subject: &'a str,
    unit: Unit,
    runs: usize,
    #[serde(flatten)]
    summary: Summary,
    /// Kapsule's median divided by this one's.
    kapsule_ratio: Option<f64>,
    target: Option<f64>,
    samples: &'a [f64],
}

/// A line for programs.
#[derive(Debug, Serialize)]
struct Missing<'a> {
    bench: &'a str,
    subject: &'a str,
    missing: &'a str,
}

/// For people or for programs.
#[derive(Debug)]
pub(super) struct Format {
    json: bool,
    began: bool,
}

impl Format {
    pub(super) fn new(json: bool) -> Self {
        Self { json, began: false }
    }

    /// Prints as soon as there is something, since all of it takes minutes.
    pub(super) fn show(&mut self, bench: Bench, outcome: Outcome) -> Result<()> {
        let name = bench.to_possible_value().context("no name")?;
        let mut own = None;
        for series in &outcome.series {
            let summary = Summary::of(&series.samples).context("nothing was measured")?;
            let row = Row {
                bench: name.get_name(),
                subject: &series.subject,
                unit: outcome.unit,
                runs: series.samples.len(),
                summary,
                kapsule_ratio: own.map(|own: f64| own / summary.median),
                target: own.is_none().then_some(outcome.target).flatten(),
                samples: &series.samples,
            };
            own = own.or(Some(summary.median));
            if self.json {
                println!("{}", serde_json::to_string(&row)?);
            } else {
                self.print(&row);
            }
        }
        for (subject, why) in &outcome.missing {
            if self.json {
                let row = Missing {
                    bench: name.get_name(),
                    subject,
                    missing: why,
                };
                println!("{}", serde_json::to_string(&row)?);
            } else {
                println!("{:<14} {subject:<38} not measured: {why}", "");
            }
        }
        Ok(())
    }

    fn print(&mut self, row: &Row<'_>) {
        if !self.began {
            println!(
                "{:<14} {:<38} {:>9} {:>9} {:>9} {:>5}  kapsule/peer",
                "", "", "median", "1st q.", "3rd q.", "runs"
            );
            self.began = true;
        }
        // The name once, above its peers.
        let name = if row.kapsule_ratio.is_none() {
            row.bench
        } else {
            ""
        };
        let verdict = match (row.kapsule_ratio, row.target) {
            (Some(ratio), _) if ratio < 1.0 => {
                format!("{ratio:.3}  ({:.1} times less)", 1.0 / ratio)
            }
            (Some(ratio), _) => format!("{ratio:.3}"),
            (None, Some(target)) => {
                let met = row.summary.median < target;
                format!(
                    "target < {}: {}",
                    shown(target, row.unit),
                    if met { "met" } else { "MISSED" }
                )
            }
            (None, None) => String::new(),
        };
        println!(
            "{name:<14} {:<38} {:>9} {:>9} {:>9} {:>5}  {verdict}",
            row.subject,
            shown(row.summary.median, row.unit),
            shown(row.summary.first_quartile, row.unit),
            shown(row.summary.third_quartile, row.unit),
            row.runs,
        );
    }
}

fn shown(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Bytes => format!("{:.2} MB", value / 1e6),
        Unit::Seconds if value < 1.0 => format!("{:.2} ms", value * 1e3),
        Unit::Seconds => format!("{value:.2} s"),
    }
}
