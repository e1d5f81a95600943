//! A layer at every position, with the same parameters: the 1x1 convolution of Kingma, Dhariwal, "Glow: Generative Flow
//! with Invertible 1x1 Convolutions", 2018, for `Pointwise<CHANNELS, POSITIONS, LuLinear<CHANNELS>>`.
//!
//! A reading is POSITIONS frames of CHANNELS values, such as the last samples of a sensor with three axes. **The channel is
//! the fast index**: feature `position · CHANNELS + channel`, as interleaved samples arrive. The log-determinants of the
//! positions add up, in their order.

use zerocopy::{FromBytes, Immutable, KnownLayout};

use crate::bijector::{Forward, Inverse, Layer};
use crate::real::Real;
use crate::schema::{Field, Mixing, Parameter, Record, Schema, Value};
use crate::text::Text;

/// The layer `L` on `CHANNELS` features at each of `POSITIONS` positions, `CHANNELS` · `POSITIONS` = D.
///
/// `L` is a single layer. Two layers at every position are two of these, one after the other.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(C)]
pub struct Pointwise<const CHANNELS: usize, const POSITIONS: usize, L> {
    /// The layer.
    pub layer: L,
}

impl<const CHANNELS: usize, const POSITIONS: usize, L: Layer> Layer for Pointwise<CHANNELS, POSITIONS, L> {
    const SCHEMA: Schema = Schema::Layer(
        &const {
            let layer = single(&L::SCHEMA);
            record(
                CHANNELS,
                POSITIONS,
                layer,
                &const { parameters(CHANNELS, POSITIONS, single(&L::SCHEMA)) },
                &const { fields(single(&L::SCHEMA)) },
            )
        },
    );
}

/// The record of a layer that is no composition.
const fn single(schema: &'static Schema) -> &'static Record {
    match schema {
        Schema::Layer(record) => record,
        _ => panic!(
            "flowlet: Pointwise takes a single layer: write Chain<Pointwise<..>, Pointwise<..>> instead of a chain in it, \
             and Turned<Pointwise<..>> instead of a turned layer in it"
        ),
    }
}

/// What describes the layer.
#[must_use]
pub const fn parameters(channels: usize, positions: usize, layer: &'static Record) -> [Parameter; 3] {
    [("channels", Value::Number(channels)), ("positions", Value::Number(positions)), ("layer", Value::Record(layer))]
}

/// What the layer stores: the parameters of the one layer, once.
#[must_use]
pub const fn fields(layer: &'static Record) -> [Field; 1] {
    [Field::Nested { times: 1, record: layer }]
}

/// The layer's record.
#[must_use]
pub const fn record(
    channels: usize,
    positions: usize,
    layer: &'static Record,
    parameters: &'static [Parameter],
    fields: &'static [Field],
) -> Record {
    Record {
        mixing: Mixing::Pointwise { channels },
        macs: positions * layer.macs,
        scratch: layer.scratch,
        ..Record::stored("Pointwise", parameters, fields)
    }
}

/// Gives every position's channels, in order, to `map`; returns the sum of what it returns. Values that fill no position
/// are left as they are.
#[inline]
pub fn each<T: Real>(channels: usize, values: &mut [T], mut map: impl FnMut(&mut [T]) -> T) -> T {
    let mut sum = T::ZERO;
    let mut rest = values;
    while let Some((position, behind)) = rest.split_at_mut_checked(channels) {
        if position.is_empty() {
            break;
        }
        sum = sum + map(position);
        rest = behind;
    }
    sum
}

impl<const CHANNELS: usize, const POSITIONS: usize, L> Pointwise<CHANNELS, POSITIONS, L> {
    /// The layer at every position.
    pub const fn new(layer: L) -> Self {
        Self { layer }
    }

    /// Maps every position by `map`. Here the shapes are checked, since no use of the layer avoids it.
    #[inline(always)]
    fn each<const D: usize, T: Real>(values: &mut [T; D], mut map: impl FnMut(&mut [T; CHANNELS]) -> T) -> T {
        const {
            if CHANNELS * POSITIONS != D || CHANNELS == 0 {
                let mut buffer = [0; 256];
                let mut text = Text::new(&mut buffer);
                text.word("flowlet: Pointwise has ");
                text.number(CHANNELS as u64);
                text.word(" channels at ");
                text.number(POSITIONS as u64);
                text.word(" positions, but the flow has ");
                text.number(D as u64);
                text.word(" features: choose the two so that their product is that");
                panic!("{}", text.as_str());
            }
        }
        each(CHANNELS, values, |position| match position.try_into() {
            Ok(position) => map(position),
            Err(_) => T::ZERO,
        })
    }
}

impl<const CHANNELS: usize, const POSITIONS: usize, L, const D: usize, const C: usize, T: Real> Inverse<D, C, T>
    for Pointwise<CHANNELS, POSITIONS, L>
where
    L: Inverse<CHANNELS, C, T>,
{
    #[inline]
    fn inverse(&self, x: &mut [T; D], context: &[T; C]) -> T {
        Self::each(x, |position| self.layer.inverse(position, context))
    }
}

impl<const CHANNELS: usize, const POSITIONS: usize, L, const D: usize, const C: usize, T: Real> Forward<D, C, T>
    for Pointwise<CHANNELS, POSITIONS, L>
where
    L: Forward<CHANNELS, C, T>,
{
    #[inline]
    fn forward(&self, z: &mut [T; D], context: &[T; C]) -> T {
        Self::each(z, |position| self.layer.forward(position, context))
    }
}
