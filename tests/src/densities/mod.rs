//! Densities in the plane that the flow literature tries its methods on, with exact log-densities.
//!
//! Curves are defined as mixtures of many equal normal distributions along them, so that what is drawn and what is
//! computed are the same density to the last digit: the distance of a model from it is then the mean difference of
//! log-densities over the same points, and needs no estimate of an entropy.

mod energies;
mod grid;
mod mixture;
mod pinwheel;

use std::f64::consts::{PI, TAU};

use rand::{Rng, RngExt};

pub use energies::{ENERGIES, energy};
use grid::Grid;
use mixture::Mixture;
use pinwheel::Pinwheel;

/// A density in the plane.
#[derive(Debug)]
pub struct Density {
    /// Its name in the literature.
    pub name: &'static str,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Mixture(Mixture),
    Pinwheel(Pinwheel),
    Checkerboard,
    Energy(Grid),
}

/// The eleven densities: seven that are drawn from, and the four energies of Rezende and Mohamed, "Variational inference
/// with normalizing flows", 2015, table 1.
#[must_use]
pub fn densities() -> Vec<Density> {
    let mixture = |name, mixture| Density { name, kind: Kind::Mixture(mixture) };
    let mut all = vec![
        mixture("two moons", two_moons()),
        mixture("rings", rings()),
        mixture("eight Gaussians", eight_gaussians()),
        Density { name: "checkerboard", kind: Kind::Checkerboard },
        Density { name: "pinwheel", kind: Kind::Pinwheel(Pinwheel::new()) },
        mixture("swiss roll", swiss_roll()),
        mixture("spirals", spirals()),
    ];
    all.extend(
        ENERGIES.iter().enumerate().map(|(index, name)| Density {
            name,
            kind: Kind::Energy(Grid::new(move |z| -energy(index, z), [-6.0, 6.0])),
        }),
    );
    all
}

impl Density {
    /// A point.
    pub fn sample(&self, rng: &mut impl Rng) -> [f64; 2] {
        match &self.kind {
            Kind::Mixture(mixture) => mixture.sample(rng),
            Kind::Pinwheel(pinwheel) => pinwheel.sample(rng),
            Kind::Checkerboard => {
                let square: u32 = rng.random_range(0..8);
                let (row, column) = (square / 2, 2 * (square % 2) + (square / 2) % 2);
                let within = |index: u32, rng: &mut dyn Rng| 2.0 * (f64::from(index) + rng.random::<f64>()) - 4.0;
                [within(column, rng), within(row, rng)]
            }
            Kind::Energy(grid) => grid.sample(rng),
        }
    }

    /// The log-density at a point, in nats; -∞ outside the support.
    #[must_use]
    pub fn log_prob(&self, x: [f64; 2]) -> f64 {
        match &self.kind {
            Kind::Mixture(mixture) => mixture.log_prob(x),
            Kind::Pinwheel(pinwheel) => pinwheel.log_prob(x),
            Kind::Checkerboard => {
                let [column, row] = x.map(|value| ((value + 4.0) / 2.0).floor());
                let inside = (0.0..4.0).contains(&column) && (0.0..4.0).contains(&row) && (row + column) % 2.0 == 0.0;
                if inside { -32_f64.ln() } else { f64::NEG_INFINITY }
            }
            Kind::Energy(grid) => grid.log_prob(x),
        }
    }
}

/// Points along curves in fine steps.
const STEPS: u32 = 400;

fn along(from: f64, to: f64, point: impl Fn(f64) -> [f64; 2]) -> impl Iterator<Item = [f64; 2]> {
    (0..STEPS).map(move |step| point(from + (to - from) * (f64::from(step) + 0.5) / f64::from(STEPS)))
}

fn two_moons() -> Mixture {
    let upper = along(0.0, PI, |angle| [2.0 * angle.cos() - 1.0, 2.0 * angle.sin() - 0.5]);
    let lower = along(0.0, PI, |angle| [1.0 - 2.0 * angle.cos(), 0.5 - 2.0 * angle.sin()]);
    Mixture::new(upper.chain(lower).collect(), 0.2)
}

fn rings() -> Mixture {
    let ring = |radius: f64| along(0.0, TAU, move |angle| [radius * angle.cos(), radius * angle.sin()]);
    Mixture::new([1.0, 2.0, 3.0].into_iter().flat_map(ring).collect(), 0.15)
}

fn eight_gaussians() -> Mixture {
    let centre = |index: u32| {
        let angle = f64::from(index) * TAU / 8.0;
        [3.0 * angle.cos(), 3.0 * angle.sin()]
    };
    Mixture::new((0..8).map(centre).collect(), 0.3)
}

fn swiss_roll() -> Mixture {
    // Uniform in the angle, as in the usual generator.
    Mixture::new(along(1.5 * PI, 4.5 * PI, |t| [t * t.cos() / 4.0, t * t.sin() / 4.0]).collect(), 0.2)
}

fn spirals() -> Mixture {
    // Points are denser inside: the square root spreads them evenly over the length.
    let arm = |sign: f64| {
        along(0.02, 1.0, move |t| {
            let angle = t.sqrt() * 1.5 * TAU;
            [-sign * angle.cos() * angle / 3.0, sign * angle.sin() * angle / 3.0]
        })
    };
    Mixture::new(arm(1.0).chain(arm(-1.0)).collect(), 0.12)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// By the midpoint rule, which needs no knowledge of how a density is made.
    fn cells(density: &Density, cells: u32) -> Vec<f64> {
        let width = 14.0 / f64::from(cells);
        let centre = |index: u32| -7.0 + (f64::from(index) + 0.5) * width;
        (0..cells * cells)
            .map(|cell| density.log_prob([centre(cell % cells), centre(cell / cells)]).exp() * width * width)
            .collect()
    }

    #[test]
    fn every_density_integrates_to_one_and_is_sampled_from() {
        for density in densities() {
            let fine = cells(&density, 280);
            let integral: f64 = fine.iter().sum();
            assert!((integral - 1.0).abs() < 2e-3, "{}: {integral}", density.name);

            // Pearson's statistic of samples in 28 by 28 squares.
            let mut expected = vec![0.0; 28 * 28];
            for (index, probability) in fine.iter().enumerate() {
                expected[index / 280 / 10 * 28 + index % 280 / 10] += probability * 20_000.0;
            }
            let mut found = vec![0.0; 28 * 28];
            let mut rng = ChaCha8Rng::seed_from_u64(1);
            for _ in 0..20_000 {
                let [x, y] = density.sample(&mut rng).map(|value| ((value + 7.0) * 2.0) as usize);
                found[y * 28 + x] += 1.0;
            }
            let (mut statistic, mut freedom) = (0.0, 0.0_f64);
            for (expected, found) in expected.iter().zip(&found) {
                if *expected > 10.0 {
                    statistic += (found - expected) * (found - expected) / expected;
                    freedom += 1.0;
                }
            }
            let deviations = (statistic - freedom) / (2.0 * freedom).sqrt();
            assert!(freedom > 20.0 && deviations.abs() < 5.0, "{}: {deviations} deviations", density.name);
        }
    }
}
