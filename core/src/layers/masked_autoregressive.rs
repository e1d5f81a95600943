//! Masked autoregressive layers: Papamakarios, Pavlakou, Murray, "Masked autoregressive flow for density estimation", 2017,
//! section 3.1; turned, Kingma et al., "Improved variational inference with inverse autoregressive flow", 2016, section 4.
//!
//! Feature i is transformed by a monotone map of one feature (see [`univariate`](crate::univariate)) whose parameters a masked
//! net computes from the features before it on the data's side, x_0 to x_(i-1), and the context:
//!
//! - data -> base: z_i = map⁻¹(x_i; net(x_0, .., x_(i-1)))
//! - base -> data: x_i = map(z_i; net(x_0, .., x_(i-1))), one after the other
//!
//! The Jacobian is triangular, so the log-determinant is the sum of the maps' logarithms of slopes. The net computes every
//! unit once in either direction, as soon as the features that it sees are known: a sample costs one pass, as a density does,
//! and not one for each feature.

use core::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::bijector::{Forward, Inverse, Layer, Triangular};
use crate::conditioner::{Autoregress, MaskedConditioner, Masks};
use crate::elementary::{Elementary, ElementaryName, Libm};
use crate::real::Real;
use crate::schema::{Field, Mixing, Parameter, Record, Schema, Value};
use crate::terms::Coordinates;
use crate::text::Text;
use crate::univariate::{Affine, Monotone, Univariate, stride};

/// A masked autoregressive layer on `D` features, each transformed by the map `U`.
///
/// `N` is the conditioner ([`MaskedInt8`](crate::conditioner::MaskedInt8),
/// [`MaskedFloat`](crate::conditioner::MaskedFloat)) of D features and C values of context, with as many outputs for each
/// feature as the [`stride`] of the map's. Within `Turned` it is an inverse autoregressive layer, whose net sees the base's
/// side.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct MaskedAutoregressive<const D: usize, N, U = Affine, E = Libm> {
    /// What the map stores.
    pub map: U,
    /// The net.
    pub conditioner: N,
    elementary: PhantomData<E>,
}

impl<const D: usize, N, U, E> MaskedAutoregressive<D, N, U, E> {
    /// The layer.
    #[must_use]
    pub const fn new(map: U, conditioner: N) -> Self {
        Self { map, conditioner, elementary: PhantomData }
    }
}

impl<const D: usize, N: MaskedConditioner, U: Univariate, E: ElementaryName> Layer
    for MaskedAutoregressive<D, N, U, E>
{
    const SCHEMA: Schema = Schema::Layer(
        &const {
            record(
                N::MASKS,
                &U::RECORD,
                &N::RECORD,
                &const { parameters(D, &U::RECORD, &N::RECORD, E::NAME) },
                &const { fields(&U::RECORD, &N::RECORD) },
            )
        },
    );
}

/// What describes the layer.
#[must_use]
pub const fn parameters(
    features: usize,
    map: &'static Record,
    net: &'static Record,
    elementary: &'static str,
) -> [Parameter; 4] {
    [
        ("features", Value::Number(features)),
        ("map", Value::Record(map)),
        ("net", Value::Record(net)),
        ("elementary", Value::Word(elementary)),
    ]
}

/// What the layer stores.
#[must_use]
pub const fn fields(map: &'static Record, net: &'static Record) -> [Field; 2] {
    [Field::Nested { times: 1, record: map }, Field::Nested { times: 1, record: net }]
}

/// The layer's record. The map works while the net does, so the scratch of both counts.
#[must_use]
pub const fn record(
    masks: Masks,
    map: &Record,
    net: &Record,
    parameters: &'static [Parameter],
    fields: &'static [Field],
) -> Record {
    Record {
        mixing: Mixing::Autoregressive { lowest: masks.lowest, hidden: masks.hidden },
        macs: net.macs,
        scratch: net.scratch + map.scratch,
        ..Record::stored("MaskedAutoregressive", parameters, fields)
    }
}

/// The layer's mathematics, on slices.
#[derive(Clone, Copy, Debug)]
pub struct MaskedAutoregressiveView<U, N> {
    /// The map, with what it stores.
    pub map: U,
    /// The net, lent.
    pub conditioner: N,
}

impl<U, N> MaskedAutoregressiveView<U, N> {
    /// Data -> base, in place; returns the log-determinant. Sums in the order of the features.
    #[inline]
    pub fn inverse<T: Real, E: Elementary<T>>(&self, x: &mut [T], context: &[T]) -> T
    where
        N: Autoregress<T>,
        U: Monotone<T, E>,
    {
        let mut log_det = T::ZERO;
        self.inverse_each(x, context, |_, log_slope| log_det = log_det + log_slope);
        log_det
    }

    /// Data -> base, in place; adds each feature's log-slope.
    #[inline]
    pub fn inverse_slopes<T: Real, E: Elementary<T>>(&self, x: &mut [T], log_slopes: &mut [T], context: &[T])
    where
        N: Autoregress<T>,
        U: Monotone<T, E>,
    {
        self.inverse_each(x, context, |feature, log_slope| {
            if let Some(sum) = log_slopes.get_mut(feature) {
                *sum = *sum + log_slope;
            }
        });
    }

    /// Data -> base, in place; gives every feature's log-slope to `take`, in order.
    #[inline(always)]
    fn inverse_each<T: Real, E: Elementary<T>>(&self, x: &mut [T], context: &[T], mut take: impl FnMut(usize, T))
    where
        N: Autoregress<T>,
        U: Monotone<T, E>,
    {
        self.conditioner.walk(context, |feature, parameters| {
            let Some(place) = x.get_mut(feature) else { return T::ZERO };
            let given = *place;
            let (value, log_slope) = self.map.inverse(parameters, given);
            *place = value;
            take(feature, log_slope);
            given
        });
    }

    /// Base -> data, in place; returns the log-determinant.
    #[inline]
    pub fn forward<T: Real, E: Elementary<T>>(&self, z: &mut [T], context: &[T]) -> T
    where
        N: Autoregress<T>,
        U: Monotone<T, E>,
    {
        let mut log_det = T::ZERO;
        self.conditioner.walk(context, |feature, parameters| {
            let Some(place) = z.get_mut(feature) else { return T::ZERO };
            let (value, log_slope) = self.map.forward(parameters, *place);
            *place = value;
            log_det = log_det + log_slope;
            value
        });
        log_det
    }
}

impl<const D: usize, N: MaskedConditioner, U: Univariate, E> MaskedAutoregressive<D, N, U, E> {
    /// The parameters, lent. Here the shapes are checked, since no use of the layer avoids it.
    #[inline(always)]
    fn view<const F: usize, const C: usize>(&self) -> MaskedAutoregressiveView<&U, &N> {
        const {
            check("features in its type", D, F);
            check("features in its conditioner", N::FEATURES, F);
            check("values of context in its conditioner", N::CONTEXT, C);
            check("outputs for each feature", N::STRIDE, stride(U::OUTPUTS));
        }
        MaskedAutoregressiveView { map: &self.map, conditioner: &self.conditioner }
    }
}

/// Stops the build when a shape is not the one that is needed.
const fn check(what: &str, found: usize, needed: usize) {
    if found != needed {
        let mut buffer = [0; 256];
        let mut text = Text::new(&mut buffer);
        text.word("flowlet: MaskedAutoregressive has ");
        text.number(found as u64);
        text.word(" ");
        text.word(what);
        text.word(", but needs ");
        text.number(needed as u64);
        panic!("{}", text.as_str());
    }
}

impl<const D: usize, N, U, E, const F: usize, const C: usize, T: Real> Inverse<F, C, T>
    for MaskedAutoregressive<D, N, U, E>
where
    N: MaskedConditioner + Autoregress<T>,
    U: Univariate + Monotone<T, E>,
    E: Elementary<T>,
{
    #[inline]
    fn inverse(&self, x: &mut [T; F], context: &[T; C]) -> T {
        self.view::<F, C>().inverse::<T, E>(x, context)
    }
}

impl<const D: usize, N, U, E, const F: usize, const C: usize, T: Real> Triangular<F, C, T>
    for MaskedAutoregressive<D, N, U, E>
where
    N: MaskedConditioner + Autoregress<T>,
    U: Univariate + Monotone<T, E>,
    E: Elementary<T>,
{
    #[inline]
    fn inverse_slopes(&self, x: &mut [T; F], log_slopes: &mut [T; F], context: &[T; C]) {
        self.view::<F, C>().inverse_slopes::<T, E>(x, log_slopes, context);
    }

    #[inline]
    fn trace(&self, coordinates: &mut Coordinates<'_>) {
        coordinates.autoregress(N::MASKS, false);
    }
}

impl<const D: usize, N, U, E, const F: usize, const C: usize, T: Real> Forward<F, C, T>
    for MaskedAutoregressive<D, N, U, E>
where
    N: MaskedConditioner + Autoregress<T>,
    U: Univariate + Monotone<T, E>,
    E: Elementary<T>,
{
    #[inline]
    fn forward(&self, z: &mut [T; F], context: &[T; C]) -> T {
        self.view::<F, C>().forward::<T, E>(z, context)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::{MaskedAutoregressive, MaskedAutoregressiveView};
    use crate::conditioner::{Autoregress, MaskedConditioner, Masks};
    use crate::schema::{Mixing, Record, Schema};
    use crate::univariate::scale::{Exp, Softsign};
    use crate::univariate::{Additive, Affine, Monotone, Sigmoidal, Spline, Univariate, spline};
    use crate::{Forward, Inverse, Layer, Libm, Turned};

    /// Outputs that are sines of the sums of what is before.
    #[derive(Clone, Copy)]
    struct Sines<const STRIDE: usize>;

    fn outputs<const STRIDE: usize>(sum: f64, feature: usize) -> [f64; STRIDE] {
        core::array::from_fn(|output| libm::sin(sum * (1 + output) as f64 + feature as f64))
    }

    impl<const STRIDE: usize> Autoregress<f64> for Sines<STRIDE> {
        fn walk(&self, context: &[f64], mut step: impl FnMut(usize, &[f64]) -> f64) {
            let mut sum: f64 = context.iter().sum();
            for feature in 0..4 {
                sum += step(feature, &outputs::<STRIDE>(sum, feature));
            }
        }
    }

    impl<const STRIDE: usize> MaskedConditioner for Sines<STRIDE> {
        const RECORD: Record = Record { macs: 7, scratch: 11, ..Record::stored("Sines", &[], &[]) };
        const FEATURES: usize = 4;
        const CONTEXT: usize = 1;
        const STRIDE: usize = STRIDE;
        const MASKS: Masks = Masks { features: 4, lowest: 0, hidden: 8 };
    }

    fn check<U: Univariate + Monotone<f64, Libm> + Copy, const STRIDE: usize>(map: U) {
        let layer = MaskedAutoregressive::<4, _, U>::new(map, Sines::<STRIDE>);
        let (start, context) = ([0.3, -1.2, 0.9, 2.0], [0.4]);
        // By definition, each feature from those before it.
        let (mut z, mut log_det, mut sum) = (start, 0.0, context[0]);
        for (feature, z) in z.iter_mut().enumerate() {
            let (value, log_slope) = map.inverse(&outputs::<STRIDE>(sum, feature), *z);
            sum += *z;
            *z = value;
            log_det += log_slope;
        }
        let mut found = start;
        assert_eq!(layer.inverse(&mut found, &context), log_det);
        assert_eq!(found, z);
        let mut back = z;
        let opposite: f64 = layer.forward(&mut back, &context);
        assert!((log_det + opposite).abs() < 1e-12);
        assert!(back.iter().zip(&start).all(|(back, start)| (back - start).abs() < 1e-12));

        let mut turned = start;
        let mut straight = start;
        assert_eq!(Turned(layer).inverse(&mut turned, &context), layer.forward(&mut straight, &context));
        assert_eq!(turned, straight);

        let view = MaskedAutoregressiveView { map, conditioner: Sines::<STRIDE> };
        let mut viewed = start;
        assert_eq!(view.inverse::<f64, Libm>(&mut viewed, &context), log_det);
        assert_eq!(viewed, z);
        // Fewer features than the net has: the rest counts as 0.
        view.forward::<f64, Libm>(&mut viewed[..2], &context);
        assert!((viewed[1] - start[1]).abs() < 1e-12);
    }

    #[test]
    fn each_feature_is_mapped_by_those_before_it() {
        check::<_, 1>(Additive);
        check::<_, 2>(Affine { scale: Softsign::new(2.0) });
        check::<_, 2>(Turned(Affine { scale: Exp }));
        check::<_, 24>(Spline::<8> { bound: 3.0, parameterization: spline::Softclip::new(1e-3) });
        check::<_, 12>(Sigmoidal::<4> { inverse_bound: 0.5 });
    }

    #[test]
    fn records_say_what_the_net_mixes() {
        let Schema::Layer(record) = &MaskedAutoregressive::<4, Sines<2>>::SCHEMA else { panic!("a layer") };
        assert_eq!(record.mixing, Mixing::Autoregressive { lowest: 0, hidden: 8 });
        assert_eq!((record.macs, record.scratch, record.size()), (7, 11, 4));
        let mut buffer = [0; 128];
        let mut text = crate::text::Text::new(&mut buffer);
        record.describe(&mut text);
        let expected = "MaskedAutoregressive(features:4,map:Affine(scale:Softsign),net:Sines(),elementary:Libm)";
        assert_eq!(text.as_str(), expected);
    }
}
