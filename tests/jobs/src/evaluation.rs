//! The evaluations.

use core::convert::Infallible;

use core::hint::black_box;

use flowlet::conditioner::int8::{Dense, Requantization, dense_fields};
use flowlet::conditioner::{Autoregress, Quad};
use flowlet::schema::{Field, Format, Mixing, Record, Rule, Schema};
use flowlet::{Base, Fixed, Flow, Forward, Inverse, Layer, Libm, MaskedAutoregressive, Monotone, Real, StandardNormal};
use rand_core::TryRng;
use zerocopy::{FromBytes, Immutable, KnownLayout};

/// Data -> base through a flow: base coordinates, log-determinant and log-density.
pub fn density<L, const D: usize, const C: usize>(image: &[u8], point: &[f32], results: &mut [f32]) -> Option<usize>
where
    L: Layer + Inverse<D, C> + FromBytes + KnownLayout + Immutable,
{
    let flow = Flow::<D, L, StandardNormal<D>, C>::ref_from_bytes(image).ok()?;
    let (x, context) = split::<D, C>(point)?;
    let mut z = *x;
    let log_det = flow.layers.inverse(&mut z, context);
    let log_prob = flow.log_prob(x, context).unwrap_or(f32::NAN);
    write(results, z.into_iter().chain([log_det, log_prob]))
}

/// Data -> base through a flow in fixed point: base coordinates, log-determinant and log-density, in halves.
pub fn density_fixed<L, const D: usize, const C: usize>(
    image: &[u8],
    point: &[f32],
    results: &mut [f32],
) -> Option<usize>
where
    L: Layer + Inverse<D, C, Fixed> + FromBytes + KnownLayout + Immutable,
{
    let flow = Flow::<D, L, StandardNormal<D>, C, Fixed>::ref_from_bytes(image).ok()?;
    let (x, context) = split::<D, C>(point)?;
    let (x, context) = (x.map(Fixed::from_f32), context.map(Fixed::from_f32));
    let mut z = x;
    let log_det = flow.layers.inverse(&mut z, &context);
    let log_prob = flow.log_prob(&x, &context).unwrap_or(Fixed::NEG_INFINITY);
    write(results, z.into_iter().chain([log_det, log_prob]).flat_map(halves))
}

/// Base -> data through a layer in fixed point: the sample and the log-determinant, in halves.
pub fn forward_fixed<L, const D: usize, const C: usize>(
    image: &[u8],
    point: &[f32],
    results: &mut [f32],
) -> Option<usize>
where
    L: Forward<D, C, Fixed> + FromBytes + KnownLayout + Immutable,
{
    let layer = L::ref_from_bytes(image).ok()?;
    let (z, context) = split::<D, C>(point)?;
    let mut x = z.map(Fixed::from_f32);
    let log_det = layer.forward(&mut x, &context.map(Fixed::from_f32));
    write(results, x.into_iter().chain([log_det]).flat_map(halves))
}

/// All bits of a fixed-point number, in numbers that an f32 holds.
fn halves(value: Fixed) -> [f32; 2] {
    [(value.bits() >> 16) as f32, (value.bits() & 0xFFFF) as f32]
}

/// Base -> data through a layer: the sample and the log-determinant.
pub fn forward<L, const D: usize, const C: usize>(image: &[u8], point: &[f32], results: &mut [f32]) -> Option<usize>
where
    L: Forward<D, C> + FromBytes + KnownLayout + Immutable,
{
    let layer = L::ref_from_bytes(image).ok()?;
    let (z, context) = split::<D, C>(point)?;
    let mut x = *z;
    let log_det = layer.forward(&mut x, context);
    write(results, x.into_iter().chain([log_det]))
}

/// Data -> base through a layer: base coordinates and log-determinant.
pub fn inverse<L, const D: usize, const C: usize>(image: &[u8], point: &[f32], results: &mut [f32]) -> Option<usize>
where
    L: Inverse<D, C> + FromBytes + KnownLayout + Immutable,
{
    let layer = L::ref_from_bytes(image).ok()?;
    let (x, context) = split::<D, C>(point)?;
    let mut z = *x;
    let log_det = layer.inverse(&mut z, context);
    write(results, z.into_iter().chain([log_det]))
}

/// A masked autoregressive layer, lent in parts.
pub trait Parts {
    /// Its net, and what its map makes of a base coordinate.
    fn walk(&self, step: impl FnMut(usize, &[f32]) -> f32);
    /// Base -> data with a feature's parameters: the value and the logarithm of the slope.
    fn map(&self, parameters: &[f32], z: f32) -> (f32, f32);
}

impl<const D: usize, N: Autoregress<f32>, U: Monotone<f32, Libm>> Parts for MaskedAutoregressive<D, N, U> {
    fn walk(&self, step: impl FnMut(usize, &[f32]) -> f32) {
        self.conditioner.walk(&[], step);
    }

    fn map(&self, parameters: &[f32], z: f32) -> (f32, f32) {
        self.map.forward(parameters, z)
    }
}

/// Base -> data through a masked autoregressive layer as it is usually done: the whole net for every feature.
pub fn naive<L, const D: usize>(image: &[u8], point: &[f32], results: &mut [f32]) -> Option<usize>
where
    L: Parts + FromBytes + KnownLayout + Immutable,
{
    let layer = L::ref_from_bytes(image).ok()?;
    let (z, _) = split::<D, 0>(point)?;
    let (mut x, mut log_det) = ([0.0; D], 0.0);
    for (i, z) in z.iter().enumerate() {
        let mut found = (0.0, 0.0);
        layer.walk(|feature, parameters| {
            if feature == i {
                found = layer.map(parameters, *z);
            }
            x[feature]
        });
        x[i] = found.0;
        log_det += found.1;
    }
    write(results, x.into_iter().chain([log_det]))
}

/// The log-density of a base.
pub fn base_density<B, const D: usize>(image: &[u8], point: &[f32], results: &mut [f32]) -> Option<usize>
where
    B: Base<D> + FromBytes + KnownLayout + Immutable,
{
    let base = B::ref_from_bytes(image).ok()?;
    write(results, [base.log_prob(point.first_chunk()?)])
}

/// A sample of a base, drawn with the bits of the point.
pub fn base_sample<B, const D: usize>(image: &[u8], point: &[f32], results: &mut [f32]) -> Option<usize>
where
    B: Base<D> + FromBytes + KnownLayout + Immutable,
{
    let base = B::ref_from_bytes(image).ok()?;
    write(results, base.sample(&mut Xorshift(point.first()?.to_bits() | 1)))
}

/// Nothing: what every evaluation costs besides.
pub fn nothing(_: &[u8], point: &[f32], results: &mut [f32]) -> Option<usize> {
    write(results, [*point.first()?])
}

/// Parameters of no layer: so many numbers.
#[derive(FromBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Numbers<const N: usize>(pub [f32; N]);

impl<const N: usize> Layer for Numbers<N> {
    const SCHEMA: Schema = Schema::Layer(
        &const {
            Record {
                mixing: Mixing::Elementwise,
                ..Record::stored(
                    "Numbers",
                    &[],
                    &const { [Field::Data { name: "numbers", format: Format::F32, count: N, rule: Rule::Finite }] },
                )
            }
        },
    );
}

/// Parameters of one quantized layer of 4 IN to 4 OUT units, alone.
#[derive(FromBytes, KnownLayout, Immutable)]
#[repr(transparent)]
pub struct Rectified<const IN: usize, const OUT: usize>(Dense<Requantization, IN, OUT>);

impl<const IN: usize, const OUT: usize> Layer for Rectified<IN, OUT> {
    const SCHEMA: Schema = Schema::Layer(
        &const {
            Record {
                mixing: Mixing::Elementwise,
                macs: 16 * IN * OUT,
                ..Record::stored("Rectified", &[], &const { dense_fields(IN, OUT, Format::Requantization) })
            }
        },
    );
}

/// One quantized layer alone. The values of the point are taken times 1000, as integers.
pub fn rectified<const IN: usize, const OUT: usize>(image: &[u8], point: &[f32], results: &mut [f32]) -> Option<usize> {
    let Rectified(dense) = Rectified::<IN, OUT>::ref_from_bytes(image).ok()?;
    units::<IN, OUT>(point, results, |input, units| dense.rectified(input, units))
}

/// What [`rectified`] costs besides its layer.
pub fn unrectified<const IN: usize, const OUT: usize>(_: &[u8], point: &[f32], results: &mut [f32]) -> Option<usize> {
    units::<IN, OUT>(point, results, |_, _| {})
}

fn units<const IN: usize, const OUT: usize>(
    point: &[f32],
    results: &mut [f32],
    layer: impl FnOnce(&[Quad<i16>; IN], &mut [Quad<i16>; OUT]),
) -> Option<usize> {
    let (mut input, mut units) = ([Quad([0; 4]); IN], [Quad([0; 4]); OUT]);
    for (unit, value) in input.iter_mut().flat_map(|Quad(quad)| quad).zip(point) {
        *unit = (value * 1000.0) as i16;
    }
    layer(black_box(&input), black_box(&mut units));
    // As bits: a conversion would cost what the unit's value is.
    let words = black_box(&units).iter().flat_map(|Quad(quad)| quad).map(|unit| u32::from(unit.cast_unsigned()));
    write(results, words.map(f32::from_bits))
}

/// The log-determinant of a triangular Jacobian: the sum of its log-scales.
pub fn sum<const D: usize>(image: &[u8], _: &[f32], results: &mut [f32]) -> Option<usize> {
    let Numbers(log_scales) = Numbers::<D>::ref_from_bytes(image).ok()?;
    write(results, [log_scales.iter().fold(0.0, |sum, log_scale| sum + log_scale)])
}

/// The log-determinant of a dense Jacobian of D x D = N, by an LU decomposition with partial pivoting.
pub fn dense<const D: usize, const N: usize>(image: &[u8], _: &[f32], results: &mut [f32]) -> Option<usize> {
    let Numbers(matrix) = Numbers::<N>::ref_from_bytes(image).ok()?;
    let mut rows = [[0.0; D]; D];
    for (row, values) in rows.iter_mut().zip(matrix.chunks_exact(D)) {
        row.copy_from_slice(values);
    }
    let mut log_det = 0.0;
    for k in 0..D {
        let (mut largest, mut size) = (k, 0.0);
        for (i, row) in rows.iter().enumerate().skip(k) {
            if row[k].abs() > size {
                (largest, size) = (i, row[k].abs());
            }
        }
        rows.swap(k, largest);
        log_det += libm::logf(size);
        let (above, below) = rows.split_at_mut(k + 1);
        let pivot = &above[k];
        for row in below {
            let factor = row[k] / pivot[k];
            for (value, pivot) in row[k + 1..].iter_mut().zip(&pivot[k + 1..]) {
                *value -= factor * pivot;
            }
        }
    }
    write(results, [log_det])
}

/// The D values and the C context values of a point.
fn split<const D: usize, const C: usize>(point: &[f32]) -> Option<(&[f32; D], &[f32; C])> {
    let (values, rest) = point.split_first_chunk()?;
    Some((values, rest.first_chunk()?))
}

fn write(results: &mut [f32], values: impl IntoIterator<Item = f32>) -> Option<usize> {
    let mut written = 0;
    for value in values {
        *results.get_mut(written)? = value;
        written += 1;
    }
    Some(written)
}

/// Marsaglia, *Xorshift RNGs*, 2003.
struct Xorshift(u32);

impl TryRng for Xorshift {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        Ok(self.0)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from(self.try_next_u32()?) | u64::from(self.try_next_u32()?) << 32)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for byte in bytes {
            *byte = self.try_next_u32()? as u8;
        }
        Ok(())
    }
}
