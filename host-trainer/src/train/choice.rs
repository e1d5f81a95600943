//! What is chosen for a table that nobody has seen, by its rows and columns.

use std::sync::atomic::{AtomicBool, Ordering};

use clap::ValueEnum;

use super::error::FitError;
use super::families::{Architecture, Family, FeatureOrder};
use super::fit::{Fit, TrainingData, fit};
use super::options::Options;
use super::progress::Progress;
use crate::calibrate::KNOTS;
use crate::model::architecture::NumberFormat;

/// How much work a fit is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Effort {
    /// A quarter of the steps, for a first look
    Quick,
    /// One fit
    #[default]
    Normal,
    /// A fit for each of several families, of which the one stays that finds readings most probable that it was not trained
    /// on; a chosen `--family` is fitted from several seeds
    Best,
}

/// Readings for each feature from which on the bins of a spline are filled. With fewer, scales and shifts are all that the
/// readings can tell.
const ROWS_PER_FEATURE: usize = 20;

/// Bytes of an int8 model, a weight each but for scales and biases, for each number that it is fitted to, at the most: where
/// there are more, they are narrow nets that find the readings probable that they have not seen.
const BYTES_PER_VALUE: usize = 2;

/// The largest model that is chosen, with int8 weights: what a microcontroller has to spare.
pub const MOST_BYTES: usize = 64 << 10;

/// Rows with fewer of which several flows are fitted, from several seeds: chance then decides as much of a single one as any
/// choice does.
const FEW_ROWS: usize = 4096;

/// Flows that a mixture has at the most where nobody says how many: each costs a device as much as the first, and brings less.
const MOST_MEMBERS: usize = 3;

/// Families that are fitted where none is chosen.
const FAMILIES: [Family; 5] = [Family::MafSpline, Family::Maf, Family::Spline, Family::Glow, Family::Realnvp];

/// Seeds from which one family is fitted.
const STARTS: u64 = 3;

impl Architecture {
    /// The richest of a few shapes whose int8 model has at most `most_bytes`, and no more than two for each number
    /// that it is fitted to; the smallest of them if none is so small. Autoregressive splines where there are twenty rows for each
    /// feature, else autoregressive scales and shifts. Where rows are few, as many flows of this shape as the bytes allow, up to three.
    #[must_use]
    pub fn for_table(rows: usize, features: usize, context: usize, most_bytes: usize) -> Self {
        let fitted_bytes = most_bytes.min(BYTES_PER_VALUE * rows * features);
        let spline = Self::of(Family::MafSpline, features);
        let affine = Self::of(Family::Maf, features);
        let widths = |most: usize| [64, 48, 32, 24, 16].into_iter().filter(move |width| *width <= most);
        let splines = [(8, 3), (6, 3), (4, 3), (4, 2)].into_iter().flat_map(|(bins, layers)| {
            // Fewer bins cost less than narrow nets do.
            let least = spline.hidden.min(32);
            widths(spline.hidden).filter(move |width| *width >= least).map(move |hidden| (bins, layers, hidden))
        });
        // Both together still tell more than scales and shifts.
        let narrow = [4, 3].into_iter().flat_map(|bins| [24, 16].map(|hidden| (bins, 2, hidden)));
        let splines = splines.chain(narrow).map(|(bins, layers, hidden)| Self {
            bins,
            layers,
            hidden,
            ..Self::of(Family::MafSpline, features)
        });
        let affines = [5, 3, 2].into_iter().flat_map(|layers| {
            widths(affine.hidden).map(move |hidden| Self { layers, hidden, ..Self::of(Family::Maf, features) })
        });
        let enough = rows >= ROWS_PER_FEATURE * features;
        let shapes: Vec<Self> = splines.filter(|_| enough).chain(affines).collect();
        let fits = |shape: &&Self| shape.int8_bytes(features, context) <= fitted_bytes;
        let shape = shapes.iter().find(fits).or(shapes.last()).cloned().unwrap_or(affine);
        Self { members: shape.most_members(rows, features, context, most_bytes), ..shape }
    }

    /// How many flows of this shape a model is a mixture of that has at most `most_bytes`: several where rows are few and nothing
    /// conditions them, else one.
    #[must_use]
    pub fn most_members(&self, rows: usize, features: usize, context: usize, most_bytes: usize) -> usize {
        let single = Self { members: 1, ..self.clone() };
        let fit = most_bytes / single.int8_bytes(features, context);
        if rows < FEW_ROWS && context == 0 && self.family.has_both_directions() {
            fit.clamp(1, MOST_MEMBERS)
        } else {
            1
        }
    }

    /// Bytes of a model of this shape with int8 weights, nearly: features' names are not known here.
    #[must_use]
    pub fn int8_bytes(&self, features: usize, context: usize) -> usize {
        let layers: usize =
            self.sequence(features, context, 0).layers(NumberFormat::Int8).map(|layer| layer.schema().size()).sum();
        let base = self.base(features).base().kind().record().size();
        let weights = if self.members > 1 { 8 * self.members } else { 0 };
        // Standardization; scores and counts of the knots, and three numbers more.
        self.members * (layers + base) + weights + 4 * (2 * (features + context) + 1) + 8 * KNOTS + 12
    }
}

/// Fits every candidate and keeps the one with the lowest validation loss; those after a cancelled one are not begun.
///
/// # Errors
/// If the table or an option does not make sense.
///
/// # Panics
/// If there is no candidate.
pub fn fit_best(
    data: TrainingData<'_>,
    candidates: &[Options],
    progress: &mut dyn Progress,
    cancel: &AtomicBool,
) -> Result<(Fit, Options), FitError> {
    let mut best: Option<(Fit, &Options)> = None;
    for options in candidates {
        let fitted = fit(data, options, progress, cancel)?;
        let loss = |fit: &Fit| fit.summary.validation_loss;
        if best.as_ref().is_none_or(|(best, _)| loss(&fitted) < loss(best)) {
            best = Some((fitted, options));
        }
        if cancel.load(Ordering::Relaxed) {
            break;
        }
    }
    let (fit, options) = best.expect("there is a candidate");
    Ok((fit, options.clone()))
}

impl Options {
    /// What is fitted with this effort, beginning with these options, to readings of `features` features and `context` values
    /// of context; `chosen` says that the family is the user's.
    #[must_use]
    pub fn candidates(self, effort: Effort, chosen: bool, features: usize, context: usize) -> Vec<Self> {
        match effort {
            Effort::Quick => vec![Self { steps: self.steps / 4, patience: self.patience / 2, ..self }],
            Effort::Normal => vec![self],
            Effort::Best if chosen => {
                (0..STARTS).map(|start| Self { seed: self.seed.wrapping_add(start), ..self.clone() }).collect()
            }
            Effort::Best => {
                let others = FAMILIES.into_iter().filter(|family| *family != self.architecture.family);
                let order = self.architecture.order;
                let others = others.filter(|family| order.suits(*family)).map(|family| {
                    let shape = Architecture::of(family, features);
                    let Architecture { layers, hidden, bins, bound, .. } = shape;
                    let shape =
                        Architecture { family, layers, hidden, bins, bound, members: 1, ..self.architecture.clone() };
                    if order == FeatureOrder::Fixed { shape.in_fixed_order(features, context) } else { shape }
                });
                let others = others.filter(|shape| shape.int8_bytes(features, context) <= MOST_BYTES);
                let others = others.map(|architecture| Self { architecture, ..self.clone() }).collect::<Vec<_>>();
                [self.clone()].into_iter().chain(others).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn shapes_are_as_rich_as_rows_and_bytes_allow() {
        let rich = Architecture::for_table(10_000, 8, 0, MOST_BYTES);
        assert_eq!(rich, Architecture::of(Family::MafSpline, 8));
        assert_eq!(Architecture::for_table(8 * ROWS_PER_FEATURE - 1, 8, 0, MOST_BYTES).family, Family::Maf);
        for features in [1, 2, 5, 8, 20, 36, 52, 100] {
            let mut last = 0;
            for most in [8 << 10, 16 << 10, 32 << 10, MOST_BYTES] {
                let shape = Architecture::for_table(100_000, features, 0, most);
                let bytes = shape.int8_bytes(features, 0);
                assert!(bytes <= most || features > 50, "{features} features: {bytes} of {most} bytes");
                assert!(bytes >= last, "{features} features: less in {most} bytes than in fewer");
                last = bytes;
            }
        }
    }

    #[test]
    fn more_effort_has_more_candidates() {
        let options = Options::for_features(6);
        let candidates = |effort, chosen| options.clone().candidates(effort, chosen, 6, 0);
        assert_eq!(candidates(Effort::Normal, false), std::slice::from_ref(&options));
        assert!(candidates(Effort::Quick, false)[0].steps < options.steps);
        let seeds: Vec<u64> = candidates(Effort::Best, true).iter().map(|it| it.seed).collect();
        assert_eq!(seeds, [0, 1, 2]);
        let best = candidates(Effort::Best, false);
        assert_eq!(best[0], options);
        let families: HashSet<_> = best.iter().map(|it| it.architecture.family).collect();
        assert!(families.len() == best.len() && families.len() > 2, "{families:?}");
    }
}
