// SPDX-FileCopyrightText: 2026 Kapsule contributors
// SPDX-License-Identifier: GPL-3.0-or-later

//! What a series of measurements comes to.

use serde::Serialize;

/// Medians and quartiles, since the times of processes have a long tail on one side.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Summary {
    pub(super) median: f64,
    pub(super) first_quartile: f64,
    pub(super) third_quartile: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Summary {
    /// Of at least one value.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        Some(Self {
            median: quantile(&sorted, 0.5)?,
            first_quartile: quantile(&sorted, 0.25)?,
            third_quartile: quantile(&sorted, 0.75)?,
            min: *sorted.first()?,
            max: *sorted.last()?,
        })
    }
}

/// Between two values, on the line through them.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = share * (sorted.len().checked_sub(1)? as f64);
    let low = sorted.get(place.floor() as usize)?;
    let high = sorted.get(place.ceil() as usize)?;
    Some(low + (high - low) * place.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_even_number_of_values() {
        let summary = Summary::of(&[4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!(
            summary,
            Summary {
                median: 2.5,
                first_quartile: 1.75,
                third_quartile: 3.25,
                min: 1.0,
                max: 4.0,
            }
        );
    }

    #[test]
    fn of_one_value_and_of_none() {
        assert_eq!(Summary::of(&[7.0]).unwrap().third_quartile, 7.0);
        assert_eq!(Summary::of(&[]), None);
    }
}
