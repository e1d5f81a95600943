//! The readings that quantize nets, and those that judge what it costs.

use nalgebra::DMatrix;
use rayon::prelude::*;

use crate::data::Matrix;
use crate::layers::{Rows, View};
use crate::train::{Flow, without_farthest};

/// The most readings that a quantization looks at: more change nothing but the time it takes.
const MOST_ROWS: usize = 4096;

/// Both kinds of readings, where they enter the first layer behind the standardization.
#[derive(Clone, Debug)]
pub(super) struct Readings {
    /// Those that quantize.
    pub fitted: Rows,
    /// Those that judge.
    pub held_back: Judges,
}

/// Readings on their way through a flow, and what the flow as it was fitted says of them.
#[derive(Clone, Debug)]
pub(super) struct Judges {
    rows: Rows,
    /// The log-determinants so far.
    log_dets: Vec<f64>,
    /// Log-densities of the exact flow.
    exact: Vec<f64>,
}

impl Readings {
    pub fn new(flow: &Flow, fitted: &Matrix, held_back: &Matrix) -> Self {
        assert!(fitted.rows() > 0 && held_back.rows() > 0, "a quantization looks at readings");
        let features = flow.features();
        let prepared = |readings: &Matrix| {
            // Every k-th, so that all parts of an ordered table are seen.
            let step = readings.rows().div_ceil(MOST_ROWS);
            let chosen: Vec<usize> = (0..readings.rows()).step_by(step).collect();
            flow.prepared(&readings.select(&chosen)).0
        };
        let near = without_farthest(&prepared(held_back), features);
        Self { fitted: rows(&prepared(fitted), features), held_back: Judges::new(flow, rows(&near, features)) }
    }
}

impl Judges {
    fn new(flow: &Flow, rows: Rows) -> Self {
        let mut judges = Self { log_dets: vec![0.0; rows.values.nrows()], rows, exact: Vec::new() };
        judges.exact = judges.log_probs(flow, 0);
        judges
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.log_dets.len()
    }

    /// Takes another flow for the exact one.
    pub fn against(mut self, flow: &Flow) -> Self {
        self.exact = self.log_probs(flow, 0);
        self
    }

    /// Moves through a layer.
    pub fn pass(&mut self, layer: &dyn View) {
        let log_dets = pass(&mut self.rows, layer);
        self.log_dets.iter_mut().zip(log_dets).for_each(|(sum, log_det)| *sum += log_det);
    }

    /// What the log-density of each has lost, when the layers from `from` on are exact.
    pub fn losses(&self, flow: &Flow, from: usize) -> Vec<f64> {
        let log_probs = self.log_probs(flow, from);
        self.exact.iter().zip(log_probs).map(|(exact, found)| exact - found).collect()
    }

    fn log_probs(&self, flow: &Flow, from: usize) -> Vec<f64> {
        let Rows { values, context } = &self.rows;
        let columns = values.ncols() + context.ncols();
        let row =
            |row: usize| values.row(row).into_iter().chain(&context.row(row)).map(|v| *v as f32).collect::<Vec<_>>();
        let rows: Vec<f32> = (0..values.nrows()).flat_map(row).collect();
        let rest = flow.log_probs_from(from, &Matrix::new(values.nrows(), columns, rows));
        self.log_dets.iter().zip(rest).map(|(log_det, rest)| log_det + f64::from(rest)).collect()
    }
}

/// The mean.
pub(super) fn mean(losses: &[f64]) -> f64 {
    losses.iter().sum::<f64>() / losses.len() as f64
}

/// Whether the mean of `losses` is below that of `others`, of the same readings, by more than chance gives: by three
/// standard errors of the difference.
pub(super) fn clearly_below(losses: &[f64], others: &[f64]) -> bool {
    let gains: Vec<f64> = others.iter().zip(losses).map(|(other, loss)| other - loss).collect();
    let gain = mean(&gains);
    let variance = gains.iter().map(|it| (it - gain).powi(2)).sum::<f64>() / gains.len() as f64;
    gain > 3.0 * (variance / gains.len() as f64).sqrt()
}

fn rows(standardized: &Matrix, features: usize) -> Rows {
    let values = standardized.values().iter().map(|value| f64::from(*value));
    let all = DMatrix::from_row_iterator(standardized.rows(), standardized.columns(), values);
    let (values, context) = (all.columns(0, features), all.columns(features, all.ncols() - features));
    Rows { values: values.into_owned(), context: context.into_owned() }
}

/// Maps readings through a layer, by the core's mathematics; returns the log-determinants.
pub(super) fn pass(rows: &mut Rows, layer: &dyn View) -> Vec<f64> {
    let mapped = |row: usize| {
        let mut x: Vec<f64> = rows.values.row(row).iter().copied().collect();
        let context: Vec<f64> = rows.context.row(row).iter().copied().collect();
        let log_det = layer.inverse_f64(&mut x, &context);
        (x, log_det)
    };
    let mapped: Vec<(Vec<f64>, f64)> = (0..rows.values.nrows()).into_par_iter().map(mapped).collect();
    for (row, (x, _)) in mapped.iter().enumerate() {
        rows.values.row_mut(row).iter_mut().zip(x).for_each(|(value, x)| *value = *x);
    }
    mapped.into_iter().map(|(_, log_det)| log_det).collect()
}

#[cfg(test)]
mod tests {
    use super::clearly_below;

    #[test]
    fn what_chance_gives_is_not_clear() {
        let noise = |row: usize| if row.is_multiple_of(2) { 0.1 } else { -0.1 };
        let losses = |mean: f64| (0..400).map(|row| mean + noise(row)).collect::<Vec<f64>>();
        let flat = vec![0.0; 400];
        // The standard error is 0.005.
        assert!(clearly_below(&losses(-0.016), &flat));
        assert!(!clearly_below(&losses(-0.014), &flat) && !clearly_below(&losses(0.02), &flat));
        assert!(!clearly_below(&flat, &flat));
    }
}
