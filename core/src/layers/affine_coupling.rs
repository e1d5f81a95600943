//! Affine coupling (RealNVP): Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP", 2017, equations 4 to 8.
//!
//! The first A features pass through; a net of them, the conditioner, gives each of the other B a shift t and a
//! log-scale s:
//!
//! - base -> data: x = z · e^s + t, log |det| = Σ s
//! - data -> base: z = (x - t) · e^-s, log |det| = -Σ s
//!
//! The layer is invertible whatever the conditioner computes, so a quantized conditioner moves the density and never
//! breaks it. The log-scale passes through a soft clip, s = a / (1 + |a| / bound), |s| < bound: an unclipped one
//! overflows on far-off readings.

use core::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::bijector::{Forward, Inverse, Layer};
use crate::conditioner::{Conditioner, Evaluate, check_quads};
use crate::elementary::{Elementary, ElementaryName, Libm};
use crate::real::Real;
use crate::schema::{Field, Format, Mixing, Parameter, Record, Rule, Schema, Value};
use crate::text::Text;

/// An affine coupling of `A` features that condition and `B` that are transformed, A + B = D.
///
/// `N` is the conditioner ([`Int8`](crate::Int8), [`Float`](crate::Float)): A + C inputs and, for the b-th transformed
/// feature, the outputs 2b (shift) and 2b + 1 (the log-scale before the clip).
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct AffineCoupling<const A: usize, const B: usize, N, E = Libm> {
    /// 1 / bound of the log-scales; positive.
    pub inverse_bound: f32,
    /// The net.
    pub conditioner: N,
    elementary: PhantomData<E>,
}

impl<const A: usize, const B: usize, N, E> AffineCoupling<A, B, N, E> {
    /// A coupling whose log-scales stay within ±`bound`.
    #[must_use]
    pub const fn new(bound: f32, conditioner: N) -> Self {
        Self { inverse_bound: 1.0 / bound, conditioner, elementary: PhantomData }
    }
}

impl<const A: usize, const B: usize, N: Conditioner, E: ElementaryName> Layer for AffineCoupling<A, B, N, E> {
    const SCHEMA: Schema = Schema::Layer(
        &const { record(A, &N::RECORD, &const { parameters(A, B, &N::RECORD, E::NAME) }, &const { fields(&N::RECORD) }) },
    );
}

/// What describes the layer.
#[must_use]
pub const fn parameters(
    kept: usize,
    transformed: usize,
    net: &'static Record,
    elementary: &'static str,
) -> [Parameter; 5] {
    [
        ("kept", Value::Number(kept)),
        ("transformed", Value::Number(transformed)),
        ("net", Value::Record(net)),
        ("clip", Value::Word("Softsign")),
        ("elementary", Value::Word(elementary)),
    ]
}

/// What the layer stores.
#[must_use]
pub const fn fields(net: &'static Record) -> [Field; 2] {
    [
        Field::Data { name: "inverse_bound", format: Format::F32, count: 1, rule: Rule::Positive },
        Field::Nested { times: 1, record: net },
    ]
}

/// The layer's record.
#[must_use]
pub const fn record(
    kept: usize,
    net: &'static Record,
    parameters: &'static [Parameter],
    fields: &'static [Field],
) -> Record {
    Record {
        mixing: Mixing::Coupling { kept },
        macs: net.macs,
        scratch: net.scratch,
        ..Record::stored("AffineCoupling", parameters, fields)
    }
}

/// The layer's mathematics, on slices.
#[derive(Clone, Copy, Debug)]
pub struct AffineCouplingView<N> {
    /// How many features pass through.
    pub kept: usize,
    /// 1 / bound of the log-scales.
    pub inverse_bound: f32,
    /// The net, lent.
    pub conditioner: N,
}

impl<N> AffineCouplingView<N> {
    /// Data -> base, in place; returns the log-determinant. Sums in the order of the features.
    #[inline]
    pub fn inverse<T: Real, E: Elementary<T>>(&self, x: &mut [T], context: &[T]) -> T
    where
        N: Evaluate<T>,
    {
        let mut log_det = T::ZERO;
        self.couple(x, context, |x, shift, log_scale| {
            *x = (*x - shift) * E::exp(-log_scale);
            log_det = log_det - log_scale;
        });
        log_det
    }

    /// Base -> data, in place; returns the log-determinant. Divides by the same e^-s that the inverse multiplies by,
    /// so that round trips stay exact with coarse elementary functions too.
    #[inline]
    pub fn forward<T: Real, E: Elementary<T>>(&self, z: &mut [T], context: &[T]) -> T
    where
        N: Evaluate<T>,
    {
        let mut log_det = T::ZERO;
        self.couple(z, context, |z, shift, log_scale| {
            *z = *z / E::exp(-log_scale) + shift;
            log_det = log_det + log_scale;
        });
        log_det
    }

    /// Gives each transformed feature, in order, with its shift and its clipped log-scale to `transform`.
    #[inline(always)]
    fn couple<T: Real>(&self, x: &mut [T], context: &[T], mut transform: impl FnMut(&mut T, T, T))
    where
        N: Evaluate<T>,
    {
        let Some((kept, transformed)) = x.split_at_mut_checked(self.kept) else { return };
        let inverse_bound = T::from_f32(self.inverse_bound);
        let mut transformed = transformed.iter_mut();
        self.conditioner.evaluate(kept, context, |[shift_0, raw_0, shift_1, raw_1]| {
            for (shift, raw) in [(shift_0, raw_0), (shift_1, raw_1)] {
                if let Some(x) = transformed.next() {
                    transform(x, shift, raw / (T::ONE + raw.abs() * inverse_bound));
                }
            }
        });
    }
}

impl<const A: usize, const B: usize, N: Conditioner, E> AffineCoupling<A, B, N, E> {
    /// The parameters, lent. Here the shapes are checked, since no use of the layer avoids it.
    #[inline(always)]
    fn view<const D: usize, const C: usize>(&self) -> AffineCouplingView<&N> {
        const {
            if A + B != D {
                let mut buffer = [0; 256];
                let mut text = Text::new(&mut buffer);
                text.word("flowlet: AffineCoupling keeps ");
                text.number(A as u64);
                text.word(" features and transforms ");
                text.number(B as u64);
                text.word(", but the flow has ");
                text.number(D as u64);
                text.word(": choose the two so that they add up");
                panic!("{}", text.as_str());
            }
            check_quads("inputs", N::INPUTS, A + C);
            check_quads("outputs", N::OUTPUTS, 2 * B);
        }
        AffineCouplingView { kept: A, inverse_bound: self.inverse_bound, conditioner: &self.conditioner }
    }
}

impl<const A: usize, const B: usize, N, E, const D: usize, const C: usize, T: Real> Inverse<D, C, T>
    for AffineCoupling<A, B, N, E>
where
    N: Conditioner + Evaluate<T>,
    E: Elementary<T>,
{
    #[inline]
    fn inverse(&self, x: &mut [T; D], context: &[T; C]) -> T {
        self.view::<D, C>().inverse::<T, E>(x, context)
    }
}

impl<const A: usize, const B: usize, N, E, const D: usize, const C: usize, T: Real> Forward<D, C, T>
    for AffineCoupling<A, B, N, E>
where
    N: Conditioner + Evaluate<T>,
    E: Elementary<T>,
{
    #[inline]
    fn forward(&self, z: &mut [T; D], context: &[T; C]) -> T {
        self.view::<D, C>().forward::<T, E>(z, context)
    }
}
