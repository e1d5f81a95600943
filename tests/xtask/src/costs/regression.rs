//! Coefficients from figures.

use std::collections::{BTreeMap, BTreeSet};

use flowlet_trainer::cost::work::Work;

/// Passes over all coefficients; later ones change nothing that a figure shows.
const SWEEPS: usize = 20_000;

/// The prices, none below zero, whose totals have the least squares of relative errors, by coordinate descent: nothing that
/// a device does takes less than no time, and prices of kinds that always come together share what they cost.
pub fn prices(figures: &[(Work, f64)]) -> Work {
    let kinds: BTreeSet<&String> = figures.iter().flat_map(|(work, _)| work.keys()).collect();
    // Relative to the total, which is then 1.
    let columns: Vec<Vec<f64>> = kinds
        .iter()
        .map(|kind| figures.iter().map(|(work, total)| work.get(*kind).unwrap_or(&0.0) / total).collect())
        .collect();
    let mut prices = vec![0.0; columns.len()];
    let mut residuals = vec![1.0; figures.len()];
    for _ in 0..SWEEPS {
        for (column, price) in columns.iter().zip(&mut prices) {
            let square: f64 = column.iter().map(|value| value * value).sum();
            let slope: f64 = column.iter().zip(&residuals).map(|(value, residual)| value * residual).sum();
            let moved = (*price + slope / square).max(0.0);
            let step = moved - *price;
            residuals.iter_mut().zip(column).for_each(|(residual, value)| *residual -= step * value);
            *price = moved;
        }
    }
    kinds.into_iter().cloned().zip(prices).collect::<BTreeMap<_, _>>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_that_explain_the_totals_are_found() {
        let work = |a: f64, b: f64, c: f64| Work::from([("a".into(), a), ("b".into(), b), ("c".into(), c)]);
        let figures: Vec<(Work, f64)> = [(1.0, 2.0, 3.0), (4.0, 1.0, 1.0), (1.0, 9.0, 0.0), (2.0, 2.0, 7.0)]
            .map(|(a, b, c)| (work(a, b, c), 100.0 * a + 3.0 * b))
            .to_vec();
        let found = prices(&figures);
        for (kind, expected) in [("a", 100.0), ("b", 3.0), ("c", 0.0)] {
            assert!((found[kind] - expected).abs() < 1e-3, "{found:?}");
        }
    }
}
