//! Gradients of energies by dual numbers: an energy is written once, for any scalar.

use flowlet::elementary::{Elementary, Libm};
use flowlet::{Dual, Real};

/// Directions that share one evaluation.
pub const LANES: usize = 4;

/// An energy U(x) in nats, of a density proportional to e^-U, for any scalar.
pub trait Energy {
    /// U(x).
    fn energy<T: Real>(&self, x: &[T]) -> T
    where
        Libm: Elementary<T>;
}

/// Value and gradient of an energy, in an evaluation for each [`LANES`] features.
///
/// ```
/// use flowlet::{Elementary, Libm, Real};
/// use flowlet_trainer::variational::{Energy, gradient};
///
/// /// A double well.
/// struct Well;
///
/// impl Energy for Well {
///     fn energy<T: Real>(&self, x: &[T]) -> T
///     where
///         Libm: Elementary<T>,
///     {
///         x.iter().fold(T::ZERO, |sum, x| sum + (*x * *x - T::ONE) * (*x * *x - T::ONE))
///     }
/// }
///
/// assert_eq!(gradient(Well)(&[2.0]), (9.0, vec![24.0]));
/// ```
pub fn gradient(energy: impl Energy + Sync) -> impl Fn(&[f64]) -> (f64, Vec<f64>) + Sync {
    differentiate(move |x| energy.energy(x))
}

/// As [`gradient`], for a function of dual numbers.
pub fn differentiate(
    energy: impl Fn(&[Dual<f64, LANES>]) -> Dual<f64, LANES> + Sync,
) -> impl Fn(&[f64]) -> (f64, Vec<f64>) + Sync {
    move |x| {
        let mut variables: Vec<Dual<f64, LANES>> = x.iter().copied().map(Dual::constant).collect();
        let (mut value, mut gradient) = (0.0, Vec::with_capacity(x.len()));
        // Once even without features, for the value.
        for start in (0..x.len().max(1)).step_by(LANES) {
            let lanes = start..x.len().min(start + LANES);
            for (direction, (variable, x)) in variables[lanes.clone()].iter_mut().zip(&x[lanes.clone()]).enumerate() {
                *variable = Dual::variable(*x, direction);
            }
            let result = energy(&variables);
            value = result.value;
            gradient.extend_from_slice(&result.derivatives[..lanes.len()]);
            for (variable, x) in variables[lanes.clone()].iter_mut().zip(&x[lanes]) {
                *variable = Dual::constant(*x);
            }
        }
        (value, gradient)
    }
}
