//! A chain of anharmonic oscillators: lattice φ⁴ theory in one dimension.
//!
//! Flows that are fitted to a lattice action and weigh their samples give free energies without a chain of
//! intermediate temperatures ("Estimation of thermodynamic observables in lattice field theories with deep generative
//! models", Nicoli et al. 2021). In one dimension the partition function is the trace of a power of the transfer
//! operator, which a grid gives to many digits: what a flow finds can be checked.

use std::fmt::{self, Display, Formatter};
use std::sync::atomic::AtomicBool;

use flowlet::Real;
use flowlet::elementary::{Elementary, Libm};
use flowlet_trainer::train::FitError;
use flowlet_trainer::variational::{Annealing, Energy, Estimates, Options, fit, gradient};

use super::{inverse_autoregressive, shown};

/// Fields φ₁..φₙ on a periodic chain, with the action Σ (φᵢ₊₁ - φᵢ)² / 2 + V(φᵢ), V(φ) = m² φ² / 2 + λ φ⁴. A negative m²
/// makes V a double well.
#[derive(Clone, Copy, Debug)]
pub struct Chain {
    /// n, at least 2.
    pub sites: usize,
    /// m².
    pub mass: f64,
    /// λ.
    pub coupling: f64,
}

/// The transfer operator's grid: φ within ± this, in steps of this.
const RANGE: f64 = 8.0;
const STEP: f64 = 0.1;

impl Chain {
    /// V(φ).
    fn potential<T: Real>(&self, field: T) -> T {
        let square = field * field;
        square.scale(0.5 * self.mass as f32) + (square * square).scale(self.coupling as f32)
    }

    /// ln Z = ln ∫ e^-S dφ = ln tr Kⁿ with K(φ, φ') = e^-((φ - φ')² / 2 + (V(φ) + V(φ')) / 2), by the trapezoidal rule: of
    /// analytic functions that fall off before the grid ends, its error is below the rounding.
    #[must_use]
    pub fn log_partition(&self) -> f64 {
        let fields: Vec<f64> =
            (0..).map(|index| STEP * f64::from(index) - RANGE).take_while(|it| *it <= RANGE).collect();
        let points = fields.len();
        let kernel =
            |a: f64, b: f64| STEP * (-0.5 * (a - b) * (a - b) - 0.5 * (self.potential(a) + self.potential(b))).exp();
        let transfer: Vec<Vec<f64>> = fields.iter().map(|a| fields.iter().map(|b| kernel(*a, *b)).collect()).collect();
        let mut power = transfer.clone();
        for _ in 1..self.sites {
            power = power.iter().map(|row| times(row, &transfer)).collect();
        }
        (0..points).map(|point| power[point][point]).sum::<f64>().ln()
    }
}

/// A row times a matrix.
fn times(row: &[f64], matrix: &[Vec<f64>]) -> Vec<f64> {
    let mut product = vec![0.0; row.len()];
    for (factor, from) in row.iter().zip(matrix) {
        for (sum, value) in product.iter_mut().zip(from) {
            *sum += factor * value;
        }
    }
    product
}

/// The action.
impl Energy for Chain {
    fn energy<T: Real>(&self, x: &[T]) -> T
    where
        Libm: Elementary<T>,
    {
        let next = x.iter().cycle().skip(1);
        x.iter().zip(next).fold(T::ZERO, |sum, (field, next)| {
            let step = *next - *field;
            sum + (step * step).scale(0.5) + self.potential(*field)
        })
    }
}

/// What a flow fitted to a chain says of its free energy -ln Z.
#[derive(Clone, Debug)]
pub struct Chained {
    chain: Chain,
    /// -ln Z, by the transfer operator.
    pub exact: f64,
    /// By the flow.
    pub found: Estimates,
}

impl Chained {
    /// Fits an inverse autoregressive flow of so many layers, and weighs samples of it.
    ///
    /// # Errors
    /// If there are no steps to speak of.
    pub fn measure(chain: Chain, layers: usize, steps: usize, samples: usize) -> Result<Self, FitError> {
        let options =
            Options { steps, annealing: Some(Annealing { start: 0.1, steps: steps / 4 }), ..Options::default() };
        let sequence = inverse_autoregressive(chain.sites, layers);
        let fitted = fit(gradient(chain), &sequence, chain.sites, &options, &mut (), &AtomicBool::new(false))?;
        let found = fitted.flow.estimate(|x| chain.energy(x), samples, 1);
        Ok(Self { chain, exact: -chain.log_partition(), found })
    }

    /// The chains of the table.
    ///
    /// # Errors
    /// Never: the options make sense.
    pub fn table(quick: bool, mut watch: impl FnMut(&str)) -> Result<Vec<Self>, FitError> {
        let chains = [(8, 1.0, 0.25), (8, 0.0, 0.25), (8, -1.0, 0.25)];
        let (steps, samples) = if quick { (500, 20_000) } else { (2500, 100_000) };
        chains
            .into_iter()
            .map(|(sites, mass, coupling)| {
                let chain = Chain { sites, mass, coupling };
                let row = Self::measure(chain, 6, steps, samples)?;
                watch(&format!(
                    "chain with m² = {mass}: {}, exactly {:.4}",
                    shown(row.found.log_normalization),
                    -row.exact
                ));
                Ok(row)
            })
            .collect()
    }

    /// The table's head.
    #[must_use]
    pub fn head() -> &'static str {
        "| sites | m² | λ | -ln Z, exact | by weights | deviation | variational bound | effective samples |\n\
         |---:|---:|---:|---:|---:|---:|---:|---:|"
    }

    /// How far the free energy is off, in standard errors.
    #[must_use]
    pub fn deviation(&self) -> f64 {
        (-self.found.log_normalization.value - self.exact) / self.found.log_normalization.standard_error
    }
}

/// A row of the table.
impl Display for Chained {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Chain { sites, mass, coupling } = self.chain;
        let Estimates { bound, mut log_normalization, effective, .. } = self.found;
        log_normalization.value = -log_normalization.value;
        let (free, bound, exact) = (shown(log_normalization), shown(bound), self.exact);
        let (deviation, percent) = (self.deviation(), 100.0 * effective);
        write!(
            f,
            "| {sites} | {mass} | {coupling} | {exact:.4} | {free} | {deviation:+.1} σ | {bound} | {percent:.0} % |"
        )
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    /// Without the quartic term the action is φᵀAφ / 2, and the eigenvalues of A are m² + 2 - 2 cos(2πk / n).
    #[test]
    fn the_harmonic_chain_is_that_of_its_modes() {
        for sites in [2, 3, 4, 8] {
            let chain = Chain { sites, mass: 0.75, coupling: 0.0 };
            let mode = |index: usize| 0.75 + 2.0 - 2.0 * (TAU * index as f64 / sites as f64).cos();
            let expected: f64 = (0..sites).map(|index| 0.5 * (TAU / mode(index)).ln()).sum();
            let found = chain.log_partition();
            assert!((found - expected).abs() < 1e-10, "{sites}: {found} {expected}");
        }
    }

    /// Of two sites, by a plain sum over the plane.
    #[test]
    fn the_partition_function_is_that_of_the_action() {
        let chain = Chain { sites: 2, mass: -1.0, coupling: 0.25 };
        let at = |index: i32| 0.06 * f64::from(index);
        let sum: f64 = (-100..=100)
            .flat_map(|a| (-100..=100).map(move |b| [at(a), at(b)]))
            .map(|x| 0.06 * 0.06 * (-chain.energy(&x)).exp())
            .sum();
        assert!((chain.log_partition() - sum.ln()).abs() < 1e-10, "{} {}", chain.log_partition(), sum.ln());
    }
}
