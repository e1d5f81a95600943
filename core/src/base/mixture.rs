//! A mixture of normal distributions, each with independent coordinates: a flow onto it need not tear one bump into the
//! several operating modes that a machine has.
//!
//! ln p(z) = ln Σ_m exp(offset_m - ½ Σ_i ((z_i - mean_mi) · inverse_scale_mi)²), with
//! offset_m = ln weight_m + Σ_i ln inverse_scale_mi - D ln(2π)/2.

use core::marker::PhantomData;

use rand_core::Rng;
use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::{Base, BaseRecord, LogSum, choose, standard_normal_deviate};
use crate::elementary::{Elementary, ElementaryName, Libm};
use crate::real::Real;
use crate::schema::{Field, Format, Parameter, Record, Rule, Value};

/// A mixture of `M` normal distributions over `D` coordinates.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Mixture<const D: usize, const M: usize, E = Libm> {
    /// ln weight_m + Σ_i ln inverse_scale_mi - D ln(2π)/2.
    pub offset: [f32; M],
    /// The weights of all components behind the m-th, times 2³²: one uniform word chooses.
    pub behind: [u32; M],
    /// The means.
    pub mean: [[f32; D]; M],
    /// 1 / standard deviation; positive.
    pub inverse_scale: [[f32; D]; M],
    elementary: PhantomData<E>,
}

impl<const D: usize, const M: usize, E: ElementaryName> BaseRecord for Mixture<D, M, E> {
    const RECORD: Record = record(&const { parameters(D, M, E::NAME) }, &const { fields(D, M) });
}

/// What describes the base.
#[must_use]
pub const fn parameters(features: usize, components: usize, elementary: &'static str) -> [Parameter; 3] {
    [
        ("features", Value::Number(features)),
        ("components", Value::Number(components)),
        ("elementary", Value::Word(elementary)),
    ]
}

/// What the base stores.
#[must_use]
pub const fn fields(features: usize, components: usize) -> [Field; 4] {
    let count = features * components;
    [
        Field::Data { name: "offset", format: Format::F32, count: components, rule: Rule::Finite },
        Field::Data { name: "behind", format: Format::U32, count: components, rule: Rule::Descending },
        Field::Data { name: "mean", format: Format::F32, count, rule: Rule::Finite },
        Field::Data { name: "inverse_scale", format: Format::F32, count, rule: Rule::Positive },
    ]
}

/// The base's record.
#[must_use]
pub const fn record(parameters: &'static [Parameter], fields: &'static [Field]) -> Record {
    Record::stored("Mixture", parameters, fields)
}

/// The base's mathematics, on slices.
#[derive(Clone, Copy, Debug)]
pub struct MixtureView<'a> {
    /// One for each component.
    pub offset: &'a [f32],
    /// One for each component.
    pub behind: &'a [u32],
    /// One for each coordinate, component after component.
    pub mean: &'a [f32],
    /// As the means.
    pub inverse_scale: &'a [f32],
}

impl<'a> MixtureView<'a> {
    /// Means and inverse scales of every component for so many coordinates, in order.
    #[inline]
    fn components(&self, features: usize) -> impl Iterator<Item = (&'a [f32], &'a [f32])> {
        let (mut means, mut scales) = (self.mean, self.inverse_scale);
        core::iter::from_fn(move || {
            let (mean, means_left) = means.split_at_checked(features)?;
            let (scale, scales_left) = scales.split_at_checked(features)?;
            (means, scales) = (means_left, scales_left);
            Some((mean, scale))
        })
    }

    /// The log-density: the components' terms are added in order, relative to the largest so far. Finite, and the lowest
    /// f32 at the least.
    #[inline]
    pub fn log_prob<T: Real, E: Elementary<T>>(&self, z: &[T]) -> T {
        let mut sum = LogSum::default();
        for ((mean, scale), offset) in self.components(z.len()).zip(self.offset) {
            let mut squares = T::ZERO;
            for ((z, mean), scale) in z.iter().zip(mean).zip(scale) {
                let deviation = (*z - T::from_f32(*mean)) * T::from_f32(*scale);
                squares = squares + deviation * deviation;
            }
            sum.add::<E>(T::from_f32(*offset) - T::from_f32(0.5) * squares);
        }
        sum.ln::<E>()
    }

    /// A sample: one word for the component, and one for each coordinate, in order.
    #[inline]
    pub fn sample<T: Real, E: Elementary<T>, R: Rng + ?Sized>(&self, rng: &mut R, z: &mut [T]) {
        let component = choose(self.behind, rng.next_u32());
        let chosen = self.components(z.len()).nth(component).unwrap_or((&[], &[]));
        for ((z, mean), scale) in z.iter_mut().zip(chosen.0).zip(chosen.1) {
            *z = standard_normal_deviate::<T, E>(rng.next_u32()) / T::from_f32(*scale) + T::from_f32(*mean);
        }
    }
}

impl<const D: usize, const M: usize, E> Mixture<D, M, E> {
    /// With these components (see the fields).
    #[must_use]
    pub const fn new(offset: [f32; M], behind: [u32; M], mean: [[f32; D]; M], inverse_scale: [[f32; D]; M]) -> Self {
        Self { offset, behind, mean, inverse_scale, elementary: PhantomData }
    }

    /// The parameters, lent.
    #[inline]
    #[must_use]
    pub fn view(&self) -> MixtureView<'_> {
        MixtureView {
            offset: &self.offset,
            behind: &self.behind,
            mean: self.mean.as_flattened(),
            inverse_scale: self.inverse_scale.as_flattened(),
        }
    }
}

impl<const D: usize, const M: usize, T: Real, E: Elementary<T>> Base<D, T> for Mixture<D, M, E> {
    #[inline]
    fn log_prob(&self, z: &[T; D]) -> T {
        self.view().log_prob::<T, E>(z)
    }

    #[inline]
    fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> [T; D] {
        let mut z = [T::ZERO; D];
        self.view().sample::<T, E, R>(rng, &mut z);
        z
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use core::f64::consts::{PI, SQRT_2};
    use std::vec::Vec;

    use super::super::tests::{Splitmix, distance, integral};
    use super::{Base, Mixture};

    const WEIGHTS: [f64; 3] = [0.5, 0.2, 0.3];
    const MEAN: [[f32; 2]; 3] = [[-3.0, 1.0], [0.5, 0.0], [4.0, -2.0]];
    const INVERSE_SCALE: [[f32; 2]; 3] = [[1.0, 2.0], [4.0, 0.5], [0.25, 1.5]];

    fn mixture() -> Mixture<2, 3> {
        let offset = core::array::from_fn(|m| {
            let scales: f64 = INVERSE_SCALE[m].iter().map(|scale| libm::log(f64::from(*scale))).sum();
            (libm::log(WEIGHTS[m]) + scales - libm::log(2.0 * PI)) as f32
        });
        let behind = core::array::from_fn(|m| (WEIGHTS[m + 1..].iter().sum::<f64>() * 4_294_967_296.0) as u32);
        Mixture::new(offset, behind, MEAN, INVERSE_SCALE)
    }

    /// By the definition: no logarithm of a sum.
    fn density(z: [f64; 2]) -> f64 {
        let normal = |z: f64, mean: f32, inverse_scale: f32| {
            let (mean, scale) = (f64::from(mean), 1.0 / f64::from(inverse_scale));
            libm::exp(-libm::pow((z - mean) / scale, 2.0) / 2.0) / (scale * libm::sqrt(2.0 * PI))
        };
        let component = |m: usize| {
            let of = |i: usize| normal(z[i], MEAN[m][i], INVERSE_SCALE[m][i]);
            WEIGHTS[m] * of(0) * of(1)
        };
        (0..3).map(component).sum()
    }

    #[test]
    fn densities_are_those_of_the_definition_and_integrate_to_one() {
        let integral = integral(&mixture(), density, ([-15.0, -20.0], 0.1, [400, 400]));
        // The widest component reaches beyond the grid by 2.75 of its deviations.
        assert!((integral - 1.0).abs() < 2e-3, "{integral}");
    }

    #[test]
    fn samples_follow_the_marginal_distributions() {
        let (base, mut rng) = (mixture(), Splitmix(3));
        let samples: Vec<[f32; 2]> = (0..20_000).map(|_| base.sample(&mut rng)).collect();
        for i in 0..2 {
            let marginal = |z: f64| -> f64 {
                let below = |m: usize| {
                    let deviation = (z - f64::from(MEAN[m][i])) * f64::from(INVERSE_SCALE[m][i]);
                    WEIGHTS[m] * libm::erfc(-deviation / SQRT_2) / 2.0
                };
                (0..3).map(below).sum()
            };
            let distance = distance(samples.iter().map(|z| marginal(f64::from(z[i]))).collect());
            assert!(distance < 1.95 / 141.4, "{i}: {distance}");
        }
        // The components' coordinates come together: the first lies left and above.
        let together = samples.iter().filter(|z| z[0] < -1.0 && z[1] > 0.0).count();
        assert!((together as f64 / 20_000.0 - 0.49).abs() < 0.02, "{together}");
    }

    #[test]
    fn extremes_give_numbers() {
        let mut rng = Splitmix(4);
        for extreme in [1e-40, 1e-30, 1.0, 1e30, f32::MAX] {
            for behind in [[0, 0], [u32::MAX, u32::MAX]] {
                let base = Mixture::<1, 2>::new([extreme, -extreme], behind, [[extreme], [-extreme]], [[extreme]; 2]);
                for z in [0.0, -1e30, f32::MAX, f32::MIN, f32::NAN] {
                    assert!(base.log_prob(&[z]).is_finite(), "{extreme} at {z}");
                }
                let _: [f32; 1] = base.sample(&mut rng);
            }
        }
    }
}
