//! The four energies of Rezende and Mohamed, "Variational inference with normalizing flows", 2015, table 1: their
//! figures 3 and 4, in numbers.

use std::fmt::{self, Display, Formatter};
use std::sync::atomic::AtomicBool;

use flowlet::Real;
use flowlet::elementary::{Elementary, Libm};
use flowlet_trainer::layers::{Sequence, Trainable, TrainedActNorm, TrainedPlanar};
use flowlet_trainer::train::FitError;
use flowlet_trainer::variational::{self, Annealing, Estimate, Options, fit, gradient};

use super::{couplings, inverse_autoregressive, shown};
use crate::densities::{Density, ENERGIES, densities, energy};

/// One of the four.
struct Energy(usize);

impl variational::Energy for Energy {
    fn energy<T: Real>(&self, x: &[T]) -> T
    where
        Libm: Elementary<T>,
    {
        match x {
            [x, y] => energy(self.0, [*x, *y]),
            _ => T::ZERO,
        }
    }
}

/// A flow to fit: its family, depth, layers and options.
#[derive(Clone, Debug)]
pub struct Family {
    /// What it is called.
    pub name: &'static str,
    /// Layers that transform.
    pub depth: usize,
    /// The layers.
    pub sequence: Sequence,
    options: Options,
}

/// The flows to compare; `quick` leaves out the deep ones and most steps.
#[must_use]
pub fn flows(quick: bool) -> Vec<Family> {
    let options = |steps: usize, learning_rate: f32| {
        let steps = if quick { steps / 3 } else { steps };
        let annealing = Some(Annealing { start: 0.01, steps: steps / 2 });
        Options { steps, learning_rate, annealing, ..Options::default() }
    };
    // The base's mean and deviations are fitted too.
    let planar = |depth: usize| {
        (0..depth).fold(Sequence::new().then(TrainedActNorm { features: 2 }), |sequence, _| {
            sequence.then(TrainedPlanar::new(2))
        })
    };
    let mut flows = Vec::new();
    for depth in [2, 8, 32] {
        flows.push(Family { name: "planar", depth, sequence: planar(depth), options: options(3000, 1e-2) });
    }
    for depth in [2, 8] {
        let sequence = inverse_autoregressive(2, depth);
        flows.push(Family { name: "inverse autoregressive", depth, sequence, options: options(2500, 5e-3) });
    }
    for depth in [2, 8] {
        let sequence = couplings(2, depth);
        flows.push(Family { name: "affine couplings", depth, sequence, options: options(2500, 5e-3) });
    }
    if quick {
        flows.retain(|family| family.depth < 32);
    }
    flows
}

/// KL(q || p) of a flow and each energy, in nats.
#[derive(Clone, Debug)]
pub struct Divergences {
    name: &'static str,
    depth: usize,
    parameters: usize,
    /// In the order of [`ENERGIES`].
    pub divergences: Vec<Estimate>,
}

/// The energies' ln Z, from the cells of a fine grid.
fn log_normalizations() -> Vec<f64> {
    let of = |density: &Density, index: usize| -density.log_prob([0.5, 0.5]) - energy(index, [0.5, 0.5]);
    let all = densities();
    let find = |name: &str| all.iter().find(|density| density.name == name);
    ENERGIES.iter().enumerate().filter_map(|(index, name)| find(name).map(|density| of(density, index))).collect()
}

impl Divergences {
    /// Samples that a divergence is measured with.
    pub const SAMPLES: usize = 50_000;

    /// Fits each flow to each energy, and tells `watch` of every fit.
    ///
    /// # Errors
    /// Never: the options make sense.
    pub fn measure(flows: &[Family], mut watch: impl FnMut(&str)) -> Result<Vec<Self>, FitError> {
        let log_normalizations = log_normalizations();
        flows
            .iter()
            .map(|Family { name, depth, sequence, options }| {
                let mut divergences = Vec::new();
                for (index, log_normalization) in log_normalizations.iter().enumerate() {
                    let slope = gradient(Energy(index));
                    let fitted = fit(slope, sequence, 2, options, &mut (), &AtomicBool::new(false))?;
                    let value = |x: &[f64]| variational::Energy::energy(&Energy(index), x);
                    let found = fitted.flow.estimate(value, Self::SAMPLES, 1).divergence(*log_normalization);
                    watch(&format!("{name} {depth}, {}: {}", ENERGIES[index], shown(found)));
                    divergences.push(found);
                }
                let parameters = Trainable::<f32>::parameters(sequence);
                Ok(Self { name, depth: *depth, parameters, divergences })
            })
            .collect()
    }

    /// The table's head.
    #[must_use]
    pub fn head() -> String {
        let rule = "|---|---:|---:|".to_owned() + &"---:|".repeat(ENERGIES.len());
        format!("| flow | layers | parameters | {} |\n{rule}", ENERGIES.join(" | "))
    }
}

/// A row of the table.
impl Display for Divergences {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { name, depth, parameters, divergences } = self;
        let numbers: Vec<String> = divergences.iter().copied().map(shown).collect();
        write!(f, "| {name} | {depth} | {parameters} | {} |", numbers.join(" | "))
    }
}
