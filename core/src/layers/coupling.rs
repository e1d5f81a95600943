//! Coupling: Dinh, Krueger, Bengio, "NICE", 2014, section 3; Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real
//! NVP", 2017, equations 4 to 8.
//!
//! The first A features pass through; a net of them, the conditioner, gives each of the other B the parameters of a monotone
//! map of one feature ([`Affine`], [`Spline`](crate::Spline), ..; see [`univariate`](crate::univariate)). The
//! log-determinant is the sum of the maps' logarithms of slopes.
//!
//! The layer is invertible whatever the conditioner computes, so a quantized conditioner moves the density and never
//! breaks it.

use core::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::bijector::{Forward, Inverse, Layer};
use crate::conditioner::{Conditioner, Evaluate, check_quads};
use crate::elementary::{Elementary, ElementaryName, Libm};
use crate::real::Real;
use crate::schema::{Field, Mixing, Parameter, Record, Schema, Value};
use crate::text::Text;
use crate::univariate::scale::Softsign;
use crate::univariate::{Affine, Gather, MOST_OUTPUTS, Monotone, Univariate, gathered, stride};

/// A coupling of `A` features that condition and `B` that are transformed, A + B = D, each by the map `U`.
///
/// `N` is the conditioner ([`Int8`](crate::Int8), [`Float`](crate::Float)): A + C inputs and, for the b-th transformed
/// feature, the outputs from b · S on, with S the [`stride`] of the map's outputs.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Coupling<const A: usize, const B: usize, N, U = Affine, E = Libm> {
    /// What the map stores.
    pub map: U,
    /// The net.
    pub conditioner: N,
    elementary: PhantomData<E>,
}

/// The coupling of RealNVP, with a shift and a log-scale that passes through a soft clip.
pub type AffineCoupling<const A: usize, const B: usize, N, E = Libm> = Coupling<A, B, N, Affine, E>;

impl<const A: usize, const B: usize, N, E> Coupling<A, B, N, Affine, E> {
    /// An affine coupling whose log-scales stay within ±`bound`.
    #[must_use]
    pub const fn new(bound: f32, conditioner: N) -> Self {
        Self::with(Affine { scale: Softsign::new(bound) }, conditioner)
    }
}

impl<const A: usize, const B: usize, N, U, E> Coupling<A, B, N, U, E> {
    /// A coupling by this map.
    #[must_use]
    pub const fn with(map: U, conditioner: N) -> Self {
        Self { map, conditioner, elementary: PhantomData }
    }
}

impl<const A: usize, const B: usize, N: Conditioner, U: Univariate, E: ElementaryName> Layer
    for Coupling<A, B, N, U, E>
{
    const SCHEMA: Schema = Schema::Layer(
        &const {
            record(
                A,
                U::OUTPUTS,
                &U::RECORD,
                &N::RECORD,
                &const { parameters(A, B, &U::RECORD, &N::RECORD, E::NAME) },
                &const { fields(&U::RECORD, &N::RECORD) },
            )
        },
    );
}

/// What describes the layer.
#[must_use]
pub const fn parameters(
    kept: usize,
    transformed: usize,
    map: &'static Record,
    net: &'static Record,
    elementary: &'static str,
) -> [Parameter; 5] {
    [
        ("kept", Value::Number(kept)),
        ("transformed", Value::Number(transformed)),
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

/// The layer's record; `outputs` of the net for each feature. The map works while the net's last layer runs, so the scratch
/// of both counts.
#[must_use]
pub const fn record(
    kept: usize,
    outputs: usize,
    map: &Record,
    net: &Record,
    parameters: &'static [Parameter],
    fields: &'static [Field],
) -> Record {
    Record {
        mixing: Mixing::Coupling { kept },
        macs: net.macs,
        scratch: net.scratch + gathered(outputs) + map.scratch,
        ..Record::stored("Coupling", parameters, fields)
    }
}

/// The layer's mathematics, on slices.
#[derive(Clone, Copy, Debug)]
pub struct CouplingView<U, N> {
    /// How many features pass through.
    pub kept: usize,
    /// Outputs of the net for each feature, up to [`MOST_OUTPUTS`].
    pub outputs: usize,
    /// The map, with what it stores.
    pub map: U,
    /// The net, lent.
    pub conditioner: N,
}

impl<U, N> CouplingView<U, N> {
    /// Data -> base, in place; returns the log-determinant. Sums in the order of the features.
    #[inline]
    pub fn inverse<T: Real, E: Elementary<T>>(&self, x: &mut [T], context: &[T]) -> T
    where
        N: Evaluate<T>,
        U: Monotone<T, E>,
    {
        let space = &mut [T::ZERO; MOST_OUTPUTS];
        self.couple(space, x, context, |parameters, x| self.map.inverse(parameters, x))
    }

    /// Base -> data, in place; returns the log-determinant.
    #[inline]
    pub fn forward<T: Real, E: Elementary<T>>(&self, z: &mut [T], context: &[T]) -> T
    where
        N: Evaluate<T>,
        U: Monotone<T, E>,
    {
        let space = &mut [T::ZERO; MOST_OUTPUTS];
        self.couple(space, z, context, |parameters, z| self.map.forward(parameters, z))
    }

    /// Transforms the features that do not pass through, in order, with the parameters of each.
    #[inline(always)]
    fn couple<T: Real>(&self, space: &mut [T], x: &mut [T], context: &[T], map: impl Fn(&[T], T) -> (T, T)) -> T
    where
        N: Evaluate<T>,
    {
        let mut log_det = T::ZERO;
        let Some((kept, transformed)) = x.split_at_mut_checked(self.kept) else { return log_det };
        let mut transformed = transformed.iter_mut();
        let mut gather = Gather::new(self.outputs, space);
        self.conditioner.evaluate(kept, context, |quad| {
            gather.quad(quad, |parameters| {
                if let Some(x) = transformed.next() {
                    let (value, log_slope) = map(parameters, *x);
                    *x = value;
                    log_det = log_det + log_slope;
                }
            });
        });
        log_det
    }
}

impl<const A: usize, const B: usize, N: Conditioner, U: Univariate, E> Coupling<A, B, N, U, E> {
    /// The parameters, lent. Here the shapes are checked, since no use of the layer avoids it.
    #[inline(always)]
    fn view<const D: usize, const C: usize>(&self) -> CouplingView<&U, &N> {
        const {
            if A + B != D {
                let mut buffer = [0; 256];
                let mut text = Text::new(&mut buffer);
                text.word("flowlet: Coupling keeps ");
                text.number(A as u64);
                text.word(" features and transforms ");
                text.number(B as u64);
                text.word(", but the flow has ");
                text.number(D as u64);
                text.word(": choose the two so that they add up");
                panic!("{}", text.as_str());
            }
            check_quads("inputs", N::INPUTS, A + C);
            check_quads("outputs", N::OUTPUTS, stride(U::OUTPUTS) * B);
        }
        CouplingView { kept: A, outputs: U::OUTPUTS, map: &self.map, conditioner: &self.conditioner }
    }
}

impl<const A: usize, const B: usize, N, U, E, const D: usize, const C: usize, T: Real> Inverse<D, C, T>
    for Coupling<A, B, N, U, E>
where
    N: Conditioner + Evaluate<T>,
    U: Univariate + Monotone<T, E>,
    E: Elementary<T>,
{
    #[inline]
    fn inverse(&self, x: &mut [T; D], context: &[T; C]) -> T {
        let view = self.view::<D, C>();
        U::lend(|space| view.couple(space, x, context, |parameters, x| self.map.inverse(parameters, x)))
    }
}

impl<const A: usize, const B: usize, N, U, E, const D: usize, const C: usize, T: Real> Forward<D, C, T>
    for Coupling<A, B, N, U, E>
where
    N: Conditioner + Evaluate<T>,
    U: Univariate + Monotone<T, E>,
    E: Elementary<T>,
{
    #[inline]
    fn forward(&self, z: &mut [T; D], context: &[T; C]) -> T {
        let view = self.view::<D, C>();
        U::lend(|space| view.couple(space, z, context, |parameters, z| self.map.forward(parameters, z)))
    }
}
