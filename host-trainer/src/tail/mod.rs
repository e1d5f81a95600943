//! The upper tail of scores: rates so low that counting held-back rows does not reach them.
//!
//! Excesses over a high threshold are near a generalized Pareto distribution, whatever the scores' own distribution is
//! (Pickands, "Statistical inference using extreme order statistics", Annals of Statistics 3, 1975):
//!
//! ```text
//! P(score > u + x | score > u) = (1 + shape x / scale)^(-1 / shape),    e^(-x / scale) for a shape of 0
//! ```
//!
//! A shape above 0 is a heavy tail, one below 0 ends at `start - scale / shape`. What is said beyond the highest score is an
//! extrapolation, and [`Tail::quantile_interval`] how far it can be trusted. Scores are negative log-densities, higher is
//! more anomalous.

mod pareto;
#[cfg(test)]
mod tests;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Binomial, Distribution};

use pareto::Pareto;

/// The fewest excesses, and distinct ones, that a tail is fitted to.
pub const FEWEST: usize = 10;

/// Rows for each row that may be above the threshold: the tail is a fifth at the most.
const ROWS_PER_EXCESS: usize = 5;

/// Samples that an interval is read off.
const REPLICATES: usize = 1000;

/// The share of the samples that an interval leaves out on either side.
const OUTSIDE: f64 = 0.025;

/// The upper tail of scores, as a generalized Pareto distribution above [`Tail::start`]; below it, the scores themselves.
#[derive(Clone, Debug, PartialEq)]
pub struct Tail {
    /// The threshold u: the tail is of scores above.
    pub start: f64,
    /// The shape ξ: above 0 for a heavy tail, 0 for an exponential one, below 0 for one with an end.
    pub shape: f64,
    /// The scale σ, in the unit of the scores.
    pub scale: f64,
    /// The share of rows above the threshold.
    pub share: f64,
    /// Rows.
    pub rows: usize,
    /// Clusters of rows above the threshold for each such row: 1 where rows are taken to be independent, 1 / n where they
    /// come in runs of n.
    pub extremal_index: f64,
    /// Excesses that shape and scale are fitted to: rows above the threshold, or one for each cluster of them.
    excesses: usize,
    /// Their mean.
    mean_excess: f64,
    /// All scores, ascending.
    sorted: Vec<f32>,
}

/// Why scores have no tail that can be fitted.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum TailError {
    /// Too few scores.
    #[error("a tail needs at least {needed} scores, found {found} (record more normal readings)")]
    TooFew {
        /// Scores there are.
        found: usize,
        /// Scores needed.
        needed: usize,
    },
    /// A score that is NaN or infinite.
    #[error("score {row} is {score}, expected a finite number")]
    NotFinite {
        /// Which score, from 0.
        row: usize,
        /// The score.
        score: f32,
    },
    /// All scores are the same.
    #[error("all scores are {score}, so there is no tail to fit")]
    Constant {
        /// That score.
        score: f32,
    },
    /// So many scores are the same that hardly a few different ones are left above a threshold.
    #[error(
        "only {found} different scores are above {start}, a tail needs {needed} (too many scores are the same: readings repeat)"
    )]
    Ties {
        /// The threshold.
        start: f32,
        /// Different scores above it.
        found: usize,
        /// Different scores needed.
        needed: usize,
    },
    /// Rows above the threshold that are too few runs.
    #[error(
        "rows above {start} are {found} clusters with {run} rows between them, a tail needs {needed} (record for longer, or take clusters to be over after fewer rows)"
    )]
    TooFewClusters {
        /// The threshold.
        start: f32,
        /// Clusters there are.
        found: usize,
        /// Clusters needed.
        needed: usize,
        /// Rows at or below the threshold that end a cluster.
        run: usize,
    },
}

impl Tail {
    /// The tail of independent scores, in any order.
    ///
    /// The threshold leaves min(n / 5, 3 √n) of n rows above it, or the next more where rows are equal to it: for large n a
    /// share that goes to zero, as the limit law needs, of ever more rows (the rule of Vehtari, Simpson, Gelman, Yao and
    /// Gabry, "Pareto smoothed importance sampling", JMLR 25, 2024, section 2). Shape and scale are estimated as by Zhang and
    /// Stephens ("A new and efficient estimation method for the generalized Pareto distribution", Technometrics 51, 2009),
    /// which always gives a result, and one with little error where excesses are few.
    ///
    /// # Errors
    /// If there are too few scores, if one is not finite, or if too many are the same.
    pub fn fit(scores: &[f32]) -> Result<Self, TailError> {
        Self::new(scores, |above| Ok(above.map(|(_, excess)| excess).collect()))
    }

    /// The tail of scores in the order of time, whose neighbours are alike.
    ///
    /// A cluster of rows above the threshold is over after `run` rows in a row at or below it; `run` of 0 makes each row a
    /// cluster. Shape and scale are fitted to the highest score of each, which are nearly independent, and the extremal index
    /// is the number of clusters for each row above the threshold (runs declustering; Coles, "An Introduction to Statistical
    /// Modeling of Extreme Values", 2001, section 5.3.2). In the limit of high thresholds the highest scores of clusters are
    /// distributed as all scores above are, so one distribution serves for both.
    ///
    /// # Errors
    /// As [`Tail::fit`], and if there are too few clusters.
    pub fn fit_declustered(scores: &[f32], run: usize) -> Result<Self, TailError> {
        Self::new(scores, |above| {
            let mut highest: Vec<f64> = Vec::new();
            let mut last: Option<usize> = None;
            for (row, excess) in above {
                match highest.last_mut() {
                    Some(most) if last.is_some_and(|last| row - last <= run) => *most = most.max(excess),
                    _ => highest.push(excess),
                }
                last = Some(row);
            }
            if highest.len() < FEWEST { Err((highest.len(), run)) } else { Ok(highest) }
        })
    }

    /// The tail whose excesses `choose` picks of the rows above the threshold, each given by its number and its excess; or the
    /// number of clusters, which are too few, and the run between them.
    fn new(
        scores: &[f32],
        choose: impl Fn(&mut dyn Iterator<Item = (usize, f64)>) -> Result<Vec<f64>, (usize, usize)>,
    ) -> Result<Self, TailError> {
        let rows = scores.len();
        if rows < FEWEST * ROWS_PER_EXCESS {
            return Err(TailError::TooFew { found: rows, needed: FEWEST * ROWS_PER_EXCESS });
        }
        if let Some(row) = scores.iter().position(|score| !score.is_finite()) {
            return Err(TailError::NotFinite { row, score: scores[row] });
        }
        let mut sorted = scores.to_vec();
        sorted.sort_unstable_by(f32::total_cmp);
        let start = threshold(&sorted)?;
        let above = rows - sorted.partition_point(|score| *score <= start);
        let excess = |score: f32| f64::from(score) - f64::from(start);
        let mut rows_above = scores.iter().enumerate().filter(|(_, score)| **score > start);
        let chosen = choose(&mut rows_above.by_ref().map(|(row, score)| (row, excess(*score))));
        let mut chosen =
            chosen.map_err(|(found, run)| TailError::TooFewClusters { start, found, needed: FEWEST, run })?;
        let Pareto { shape, scale } = Pareto::fit(&mut chosen);
        Ok(Self {
            start: start.into(),
            shape,
            scale,
            share: above as f64 / rows as f64,
            rows,
            extremal_index: chosen.len() as f64 / above as f64,
            excesses: chosen.len(),
            mean_excess: mean(&chosen),
            sorted,
        })
    }

    /// The exponential tail of the same rows, whose shape is 0: for what is known to have one, such as sums of bounded steps that go down
    /// in the mean.
    #[must_use]
    pub fn exponential(self) -> Self {
        Self { shape: 0.0, scale: self.mean_excess, ..self }
    }

    /// The chance that a reading scores above `score`: by the fitted distribution above [`Tail::start`], the share of rows
    /// that do below it.
    pub fn exceedance_probability(&self, score: f64) -> f64 {
        match score > self.start {
            true => self.share * self.pareto().survival(score - self.start),
            false => {
                let at_most = self.sorted.partition_point(|other| f64::from(*other) <= score);
                (self.rows - at_most) as f64 / self.rows as f64
            }
        }
    }

    /// The score that a reading exceeds with the chance `p`, from 0 to 1: the end of the tail for 0, which is infinite but for a
    /// shape below 0.
    pub fn quantile(&self, p: f64) -> f64 {
        match p < self.share {
            true => self.start + self.pareto().quantile(p / self.share),
            false => self.counted((p * self.rows as f64).round() as usize),
        }
    }

    /// What [`Tail::quantile`] may have been, had other rows been held back: the interval from the 2.5th to the 97.5th percentile of
    /// a thousand samples, drawn by the seed from the fitted tail and fitted in turn (the parametric bootstrap; Efron and
    /// Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 6 and 13).
    ///
    /// The number of excesses is drawn as well. The threshold is not, nor what the distribution of excesses lacks to be a
    /// generalized Pareto one, so the interval is narrow rather than wide.
    pub fn quantile_interval(&self, p: f64, seed: u64) -> (f64, f64) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let trials = self.rows as u64;
        let binomial = |chance: f64| Binomial::new(trials, chance.clamp(0.0, 1.0)).ok();
        let (excesses, counts) = (binomial(self.excesses as f64 / self.rows as f64), binomial(p));
        let mut quantiles: Vec<f64> = (0..REPLICATES)
            .map(|_| {
                if p >= self.share {
                    return self.counted(counts.map_or(0, |counts| counts.sample(&mut rng) as usize));
                }
                let drawn = excesses.map_or(0, |excesses| excesses.sample(&mut rng) as usize).max(FEWEST);
                let mut sample: Vec<f64> = (0..drawn).map(|_| self.pareto().sample(&mut rng)).collect();
                let share = drawn as f64 / self.excesses as f64 * self.share;
                // Of an exponential tail only the scale is not known.
                let pareto = match self.shape == 0.0 {
                    true => Pareto { shape: 0.0, scale: mean(&sample) },
                    false => Pareto::fit(&mut sample),
                };
                // With fewer rows above the threshold it may lie where counting does; there the tail is as steep.
                self.start + pareto.quantile(p / share)
            })
            .collect();
        quantiles.sort_unstable_by(f64::total_cmp);
        let outside = (OUTSIDE * REPLICATES as f64) as usize;
        (quantiles[outside], quantiles[REPLICATES - 1 - outside])
    }

    /// The alarms for each reading that a threshold raises, where readings above it with no more than the run of
    /// [`Tail::fit_declustered`] between them are one alarm: the chance of a reading above it times the extremal index. Below
    /// [`Tail::start`] clusters grow together and there are fewer alarms than this.
    pub fn alarms_per_reading(&self, threshold: f64) -> f64 {
        self.extremal_index * self.exceedance_probability(threshold)
    }

    /// The threshold that raises so many alarms for each reading: the inverse of [`Tail::alarms_per_reading`].
    pub fn threshold_for(&self, alarms_per_reading: f64) -> f64 {
        self.quantile((alarms_per_reading / self.extremal_index).min(1.0))
    }

    /// What [`Tail::threshold_for`] may have been: as [`Tail::quantile_interval`].
    pub fn threshold_interval(&self, alarms_per_reading: f64, seed: u64) -> (f64, f64) {
        self.quantile_interval((alarms_per_reading / self.extremal_index).min(1.0), seed)
    }

    /// Excesses that shape and scale are fitted to: rows above the threshold, or clusters of them.
    pub fn excesses(&self) -> usize {
        self.excesses
    }

    fn pareto(&self) -> Pareto {
        Pareto { shape: self.shape, scale: self.scale }
    }

    /// The score that `above` of the rows are above, but for ties.
    fn counted(&self, above: usize) -> f64 {
        self.sorted[(self.rows - 1).saturating_sub(above)].into()
    }
}

/// The highest score with as many scores above it as the rule says, of scores in ascending order.
fn threshold(sorted: &[f32]) -> Result<f32, TailError> {
    let rows = sorted.len();
    let above = (rows / ROWS_PER_EXCESS).min((3.0 * (rows as f64).sqrt()).ceil() as usize);
    let at = sorted[rows - 1 - above];
    // Scores equal to it are not above it: then the next lower one is the threshold.
    let enough = |start: f32| rows - sorted.partition_point(|score| *score <= start) >= above;
    let lower = |than: f32| sorted.partition_point(|score| *score < than).checked_sub(1).map(|row| sorted[row]);
    let start = if enough(at) { Some(at) } else { lower(at) };
    let Some(start) = start else {
        // No score is lower, so the threshold is the lowest of all.
        return match sorted[0] == sorted[rows - 1] {
            true => Err(TailError::Constant { score: sorted[0] }),
            false => Err(TailError::Ties { start: at, found: distinct_above(sorted, at), needed: FEWEST }),
        };
    };
    match distinct_above(sorted, start) {
        found if found < FEWEST => Err(TailError::Ties { start, found, needed: FEWEST }),
        _ => Ok(start),
    }
}

fn distinct_above(sorted: &[f32], start: f32) -> usize {
    sorted[sorted.partition_point(|score| *score <= start)..].chunk_by(|a, b| a == b).count()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
