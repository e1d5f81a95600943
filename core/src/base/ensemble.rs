//! A mixture of flows, each over a base of its own: what several fits find together, as a deep ensemble does
//! (Lakshminarayanan, Pritzel, Blundell, "Simple and scalable predictive uncertainty estimation using deep ensembles", 2017).
//!
//! ln p(z) = ln Σ_k exp(offset_k + ln p_k(z)), with offset_k = ln weight_k and ln p_k the log-density of the k-th flow: that
//! of its base at the end of its layers, and the layers' log-determinant.
//!
//! On few readings, where chance decides what a single fit makes of the places between them, the mixture is closer to the truth
//! than its members are on average: its log-density is at least the mean of theirs, by the concavity of the logarithm.

use core::marker::PhantomData;

use rand_core::Rng;
use zerocopy::{FromBytes, Immutable, KnownLayout};

use super::{Base, BaseRecord, LogSum, StandardNormal, choose};
use crate::bijector::{Forward, Inverse, Layer};
use crate::elementary::{Elementary, ElementaryName, Libm};
use crate::real::Real;
use crate::schema::{Field, Format, Parameter, Record, Rule, Schema, Value};

/// One of several flows: layers, in the order data -> base, and what they map to.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Member<L, B> {
    /// The layers.
    pub layers: L,
    /// The base.
    pub base: B,
}

/// A mixture of `K` flows over `D` coordinates, all of one type. They see no context.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Ensemble<const D: usize, const K: usize, L, B = StandardNormal<D>, E = Libm> {
    /// ln weight_k.
    pub offset: [f32; K],
    /// The weights of all flows behind the k-th, times 2³²: one uniform word chooses.
    pub behind: [u32; K],
    /// The flows.
    pub members: [Member<L, B>; K],
    elementary: PhantomData<E>,
}

impl<const D: usize, const K: usize, L: Layer, B: BaseRecord, E: ElementaryName> BaseRecord
    for Ensemble<D, K, L, B, E>
{
    const RECORD: Record = {
        assert!(K > 0, "flowlet: an ensemble has one member at the least");
        record(
            (D, K),
            (&L::SCHEMA, &B::RECORD),
            &const { parameters(D, K, (&L::SCHEMA, &B::RECORD), E::NAME) },
            &const { fields(K, (&L::SCHEMA, &B::RECORD)) },
        )
    };
}

/// What a member is: its layers and its base.
pub type Parts = (&'static Schema, &'static Record);

/// What describes the base.
#[must_use]
pub const fn parameters(
    features: usize,
    members: usize,
    (layers, base): Parts,
    elementary: &'static str,
) -> [Parameter; 5] {
    [
        ("features", Value::Number(features)),
        ("members", Value::Number(members)),
        ("layers", Value::Layers(layers)),
        ("base", Value::Record(base)),
        ("elementary", Value::Word(elementary)),
    ]
}

/// What the base stores.
#[must_use]
pub const fn fields(members: usize, (layers, base): Parts) -> [Field; 3] {
    [
        Field::Data { name: "offset", format: Format::F32, count: members, rule: Rule::Finite },
        Field::Data { name: "behind", format: Format::U32, count: members, rule: Rule::Descending },
        Field::Flows { times: members, layers, base },
    ]
}

/// The base's record: the members are evaluated one after the other, each on a copy of the coordinates.
#[must_use]
pub const fn record(
    (features, members): (usize, usize),
    (layers, base): Parts,
    parameters: &'static [Parameter],
    fields: &'static [Field],
) -> Record {
    let (of_layers, of_base) = (layers.scratch(), base.scratch);
    Record {
        macs: members * (layers.macs() + base.macs),
        scratch: size_of::<f32>() * features + if of_layers > of_base { of_layers } else { of_base },
        ..Record::stored("Ensemble", parameters, fields)
    }
}

impl<const D: usize, const K: usize, L, B, E> Ensemble<D, K, L, B, E> {
    /// With these members and weights (see the fields).
    #[must_use]
    pub const fn new(offset: [f32; K], behind: [u32; K], members: [Member<L, B>; K]) -> Self {
        Self { offset, behind, members, elementary: PhantomData }
    }
}

impl<const D: usize, const K: usize, L, B, T, E> Base<D, T> for Ensemble<D, K, L, B, E>
where
    L: Inverse<D, 0, T> + Forward<D, 0, T>,
    B: Base<D, T>,
    T: Real,
    E: Elementary<T>,
{
    #[inline]
    fn log_prob(&self, z: &[T; D]) -> T {
        let mut sum = LogSum::default();
        for (member, offset) in self.members.iter().zip(&self.offset) {
            let mut z = *z;
            let log_det = member.layers.inverse(&mut z, &[]);
            sum.add::<E>(T::from_f32(*offset) + (member.base.log_prob(&z) + log_det));
        }
        sum.ln::<E>()
    }

    #[inline]
    fn sample<R: Rng + ?Sized>(&self, rng: &mut R) -> [T; D] {
        let chosen = choose(&self.behind, rng.next_u32());
        let Some(member) = self.members.get(chosen) else { return [T::ZERO; D] };
        let mut z = member.base.sample(rng);
        member.layers.forward(&mut z, &[]);
        z
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::super::tests::{Splitmix, distance, integral};
    use super::{Base, Ensemble, Member, StandardNormal};
    use crate::layers::Standardize;

    type Pair = Ensemble<2, 2, Standardize<2>>;

    const WEIGHTS: [f64; 2] = [0.75, 0.25];
    const MEAN: [[f32; 2]; 2] = [[-3.0, 1.0], [2.0, 0.0]];
    const INVERSE_SCALE: [[f32; 2]; 2] = [[1.0, 2.0], [4.0, 0.5]];

    fn pair() -> Pair {
        let member = |k: usize| {
            let log_det: f64 = INVERSE_SCALE[k].iter().map(|scale| libm::log(f64::from(*scale))).sum();
            let layers = Standardize { mean: MEAN[k], inverse_scale: INVERSE_SCALE[k], log_det: log_det as f32 };
            Member { layers, base: StandardNormal::new() }
        };
        let offset = WEIGHTS.map(|weight| libm::log(weight) as f32);
        Ensemble::new(offset, [1 << 30, 0], [member(0), member(1)])
    }

    /// By the definition: no logarithm of a sum.
    fn density(z: [f64; 2]) -> f64 {
        let normal = |k: usize, i: usize| {
            let scale = f64::from(INVERSE_SCALE[k][i]);
            let deviation = (z[i] - f64::from(MEAN[k][i])) * scale;
            libm::exp(-deviation * deviation / 2.0) * scale / libm::sqrt(core::f64::consts::TAU)
        };
        (0..2).map(|k| WEIGHTS[k] * normal(k, 0) * normal(k, 1)).sum()
    }

    #[test]
    fn densities_are_those_of_the_definition_and_integrate_to_one() {
        let integral = integral(&pair(), density, ([-10.0, -10.0], 0.05, [300, 400]));
        assert!((integral - 1.0).abs() < 1e-5, "{integral}");
    }

    #[test]
    fn samples_follow_the_marginal_distributions() {
        let (base, mut rng) = (pair(), Splitmix(5));
        let samples: Vec<[f32; 2]> = (0..20_000).map(|_| base.sample(&mut rng)).collect();
        for i in 0..2 {
            let marginal = |z: f64| -> f64 {
                let below = |k: usize| {
                    let deviation = (z - f64::from(MEAN[k][i])) * f64::from(INVERSE_SCALE[k][i]);
                    WEIGHTS[k] * libm::erfc(-deviation * core::f64::consts::FRAC_1_SQRT_2) / 2.0
                };
                below(0) + below(1)
            };
            let distance = distance(samples.iter().map(|z| marginal(f64::from(z[i]))).collect());
            assert!(distance < 1.95 / 141.4, "{i}: {distance}");
        }
    }

    #[test]
    fn a_mixture_is_at_least_the_mean_of_its_members() {
        let (base, mut rng) = (pair(), Splitmix(6));
        for _ in 0..1000 {
            let z: [f32; 2] = base.sample(&mut rng);
            let alone = |k: usize| {
                let single = Ensemble::<2, 1, _>::new([0.0], [0], [base.members[k]]);
                f64::from(single.log_prob(&z))
            };
            let mean: f64 = (0..2).map(|k| WEIGHTS[k] * alone(k)).sum();
            assert!(f64::from(base.log_prob(&z)) >= mean - 1e-5, "{z:?}");
        }
    }

    #[test]
    fn extremes_give_numbers() {
        let mut rng = Splitmix(7);
        for extreme in [1e-40, 1.0, f32::MAX] {
            for behind in [[0, 0], [u32::MAX, u32::MAX]] {
                let layers = Standardize { mean: [extreme], inverse_scale: [extreme], log_det: 0.0 };
                let member = Member { layers, base: StandardNormal::new() };
                let base = Ensemble::<1, 2, _>::new([extreme, -extreme], behind, [member; 2]);
                for z in [0.0, f32::MAX, f32::MIN, f32::NAN] {
                    let found: f32 = base.log_prob(&[z]);
                    assert!(found.is_finite(), "{extreme} at {z}: {found}");
                }
                let _: [f32; 1] = base.sample(&mut rng);
            }
        }
    }
}
