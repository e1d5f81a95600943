//! A density known up to a factor, normalized on a fine grid.

use rand::{Rng, RngExt};

/// Cells along each axis.
const CELLS: usize = 1200;

pub struct Grid {
    log_density: Box<dyn Fn([f64; 2]) -> f64 + Send + Sync>,
    range: [f64; 2],
    /// Probability of a cell and all before it.
    cumulative: Vec<f64>,
    log_normalization: f64,
    /// The most that the density can be above that of its cell's centre, as a factor.
    excess: f64,
}

impl std::fmt::Debug for Grid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Grid").field("log_normalization", &self.log_normalization).finish_non_exhaustive()
    }
}

impl Grid {
    /// All of the mass lies in `range`, on both axes.
    pub fn new(log_density: impl Fn([f64; 2]) -> f64 + Send + Sync + 'static, range: [f64; 2]) -> Self {
        let width = (range[1] - range[0]) / CELLS as f64;
        let mut sum = 0.0;
        let cumulative: Vec<f64> = (0..CELLS * CELLS)
            .map(|cell| {
                sum += log_density(centre(cell, range)).exp() * width * width;
                sum
            })
            .collect();
        Self {
            log_density: Box::new(log_density),
            range,
            cumulative: cumulative.iter().map(|value| value / sum).collect(),
            log_normalization: sum.ln(),
            excess: 1.5,
        }
    }

    pub fn log_prob(&self, x: [f64; 2]) -> f64 {
        (self.log_density)(x) - self.log_normalization
    }

    /// A cell by its probability, then a point within by rejection.
    pub fn sample(&self, rng: &mut impl Rng) -> [f64; 2] {
        let width = (self.range[1] - self.range[0]) / CELLS as f64;
        loop {
            let uniform: f64 = rng.random();
            let cell = self.cumulative.partition_point(|below| *below <= uniform).min(CELLS * CELLS - 1);
            let at = centre(cell, self.range);
            let point = at.map(|value| value + width * (rng.random::<f64>() - 0.5));
            let ratio = ((self.log_density)(point) - (self.log_density)(at)).exp();
            if rng.random::<f64>() * self.excess < ratio {
                return point;
            }
        }
    }
}

fn centre(cell: usize, range: [f64; 2]) -> [f64; 2] {
    [cell % CELLS, cell / CELLS].map(|index| range[0] + (range[1] - range[0]) * (index as f64 + 0.5) / CELLS as f64)
}
