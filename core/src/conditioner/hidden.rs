//! What every net computes, whatever its numbers: one routine for all bodies, dense or masked.
//!
//! Rows of weights are taken in the order in which they are stored, four at a time, and each four see a prefix of their
//! inputs. A dense net takes all of a matrix's rows at once, all of whose inputs are known. A masked net takes the rows
//! of one degree through all of its matrices, then those of the next degree.

use super::{Activation, Body, MaskedShape, Shape, WIDEST};
use crate::real::Real;

/// Four values.
pub(crate) type Four<V> = [V; 4];

/// Four units in memory. Aligned, for kernels that read words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(4))]
pub struct Quad<U>(pub [U; 4]);

/// Four rows of a matrix: their sums and scales.
pub(crate) type Rows<T, M> = (Four<<M as Matrix<T>>::Sum>, Four<<M as Matrix<T>>::Scale>);

/// The rows of a matrix that are still to be taken; with the number format.
pub(crate) trait Matrix<T>: Copy {
    /// An activation.
    type Unit: Copy;
    /// A row's bias with products.
    type Sum: Copy;
    /// What a row's sum is scaled by.
    type Scale: Copy;

    /// Leaves out the first rows, `quads` times four, and their blocks of weights.
    fn skip(&mut self, quads: usize, blocks: usize);

    /// Takes the next four rows: their biases and scales.
    fn take(&mut self) -> Option<Rows<T, Self>>;

    /// Takes as many blocks of weights as there is input, and adds the products.
    fn add(&mut self, sums: &mut Four<Self::Sum>, input: &[Quad<Self::Unit>]);
}

/// A matrix whose rows give hidden units.
pub(crate) trait Hidden<T>: Matrix<T> {
    /// The units without an activation.
    fn linear(sums: Four<Self::Sum>, scales: Four<Self::Scale>) -> Four<Self::Unit>;

    /// The activation of units.
    fn activate(activation: Activation, units: Four<Self::Unit>) -> Four<Self::Unit>;

    /// Both.
    #[inline(always)]
    fn activated(activation: Activation, sums: Four<Self::Sum>, scales: Four<Self::Scale>) -> Four<Self::Unit> {
        Self::activate(activation, Self::linear(sums, scales))
    }

    /// Takes as many rows as fill `units`, each of which sees `input`, and activates them.
    #[inline(always)]
    fn activated_rows(&mut self, activation: Activation, input: &[Quad<Self::Unit>], units: &mut [Quad<Self::Unit>]) {
        rows(self, input, units, |_, sums, scales| Self::activated(activation, sums, scales));
    }

    /// The sums of units of the same scale.
    fn plus(units: Four<Self::Unit>, others: Four<Self::Unit>) -> Four<Self::Unit>;

    /// The units times the sigmoids of others, in the scale of the units.
    fn gate(units: Four<Self::Unit>, gates: Four<Self::Unit>) -> Four<Self::Unit>;
}

/// A matrix whose rows give outputs.
pub(crate) trait Outputs<T>: Matrix<T> {
    /// The outputs.
    fn outputs(sums: Four<Self::Sum>, scales: Four<Self::Scale>) -> Four<T>;
}

/// What a net needs to compute, in quads: one buffer for each thing that a matrix reads.
pub(crate) struct Scratch<'a, U> {
    /// The net's input.
    pub(crate) input: &'a mut [Quad<U>],
    /// What the first matrix gives.
    pub(crate) first: &'a mut [Quad<U>],
    /// As many of the same length as there are inner matrices, one after the other.
    pub(crate) deep: &'a mut [Quad<U>],
}

impl<'a, U> Scratch<'a, U> {
    /// Cut from one buffer; `None` when it is too short.
    fn cut(buffer: &'a mut [Quad<U>], inputs: usize, hidden: usize) -> Option<Self> {
        let (input, rest) = buffer.split_at_mut_checked(inputs)?;
        let (first, deep) = rest.split_at_mut_checked(hidden)?;
        Some(Self { input, first, deep })
    }
}

/// The most inner matrices of a net whose shape is known at run time.
pub(crate) const DEEPEST: usize = 64;

/// Gives scratch for a net whose shape is known at run time to `run`.
#[inline]
pub(crate) fn with_scratch<U: Copy>(
    (inputs, hidden, deep): (usize, usize, usize),
    zero: U,
    run: impl FnOnce(Scratch<'_, U>),
) {
    /// A frame of its own for each size, so that a small net does not pay for a large one.
    #[inline(never)]
    fn sized<const QUADS: usize, U: Copy>(
        (inputs, hidden, deep): (usize, usize, usize),
        zero: U,
        run: impl FnOnce(Scratch<'_, U>),
    ) {
        let mut buffer = [Quad([zero; 4]); QUADS];
        let buffer = buffer.get_mut(..inputs + (deep + 1) * hidden);
        if let Some(scratch) = buffer.and_then(|buffer| Scratch::cut(buffer, inputs, hidden)) {
            run(scratch);
        }
    }

    let shape = (inputs, hidden, deep);
    match inputs + (deep + 1) * hidden {
        ..=64 => sized::<64, U>(shape, zero, run),
        65..=512 => sized::<512, U>(shape, zero, run),
        _ => sized::<{ WIDEST * (DEEPEST + 2) }, U>(shape, zero, run),
    }
}

/// f of each of four pairs.
#[inline(always)]
pub(crate) fn each<A, B, C>([a0, a1, a2, a3]: Four<A>, [b0, b1, b2, b3]: Four<B>, f: impl Fn(A, B) -> C) -> Four<C> {
    [f(a0, b0), f(a1, b1), f(a2, b2), f(a3, b3)]
}

/// Takes as many rows as fill `units`, each of which sees `input`; `give` makes of what is there, the sums and the scales
/// what will be there.
#[inline(always)]
pub(crate) fn rows<T, M: Matrix<T>>(
    matrix: &mut M,
    input: &[Quad<M::Unit>],
    units: &mut [Quad<M::Unit>],
    give: impl Fn(Four<M::Unit>, Four<M::Sum>, Four<M::Scale>) -> Four<M::Unit>,
) {
    for Quad(unit) in units {
        let Some((mut sums, scales)) = matrix.take() else { return };
        matrix.add(&mut sums, input);
        *unit = give(*unit, sums, scales);
    }
}

/// Computes the quads `from..to` of hidden units in all layers, whose rows see all of `input` and the first `to` quads of
/// hidden units; those before `from` are there. Returns what the last matrix reads.
#[inline(always)]
fn advance<'s, T, M: Hidden<T>>(
    (body, activation): (Body, Activation),
    first: &mut M,
    mut inner: impl Iterator<Item = M>,
    input: Option<&[Quad<M::Unit>]>,
    (from, to): (usize, usize),
    units: &'s mut [Quad<M::Unit>],
    deep: &'s mut [Quad<M::Unit>],
) -> &'s [Quad<M::Unit>] {
    let width = units.len();
    let mut buffers = deep;
    // One after the other: what is left after the last one is empty.
    let mut buffer = || -> Option<&'s mut [Quad<M::Unit>]> {
        let (buffer, rest) = core::mem::take(&mut buffers).split_at_mut_checked(width)?;
        buffers = rest;
        Some(buffer)
    };
    let (Some(input), Some(begun)) = (input, units.get_mut(from..to)) else { return units };
    match body {
        Body::Residual => rows(first, input, begun, |_, sums, scales| M::linear(sums, scales)),
        Body::Plain | Body::Gated => first.activated_rows(activation, input, begun),
    }
    match body {
        Body::Plain => {
            let mut read = units;
            for mut matrix in inner {
                let Some(next) = buffer() else { break };
                if let (Some(seen), Some(begun)) = (read.get(..to), next.get_mut(from..to)) {
                    matrix.activated_rows(activation, seen, begun);
                }
                read = next;
            }
            read
        }
        Body::Residual => {
            let stream = units;
            while let (Some(mut one), Some(mut two)) = (inner.next(), inner.next()) {
                let (Some(read), Some(next)) = (buffer(), buffer()) else { break };
                if let (Some(read), Some(stream)) = (read.get_mut(from..to), stream.get(from..to)) {
                    for (Quad(read), Quad(stream)) in read.iter_mut().zip(stream) {
                        *read = M::activate(activation, *stream);
                    }
                }
                if let (Some(seen), Some(begun)) = (read.get(..to), next.get_mut(from..to)) {
                    one.activated_rows(activation, seen, begun);
                }
                if let (Some(seen), Some(begun)) = (next.get(..to), stream.get_mut(from..to)) {
                    rows(&mut two, seen, begun, |units, sums, scales| M::plus(units, M::linear(sums, scales)));
                }
            }
            stream
        }
        Body::Gated => {
            let mut read = units;
            while let (Some(mut one), Some(mut two)) = (inner.next(), inner.next()) {
                let Some(next) = buffer() else { break };
                if let (Some(seen), Some(begun)) = (read.get(..to), next.get_mut(from..to)) {
                    one.activated_rows(activation, seen, begun);
                    rows(&mut two, seen, begun, |units, sums, scales| M::gate(units, M::linear(sums, scales)));
                }
                read = next;
            }
            read
        }
    }
}

/// A dense net whose input lies in the scratch.
#[inline(always)]
pub(crate) fn evaluate<T, M: Hidden<T>, L: Outputs<T, Unit = M::Unit>>(
    shape: Shape,
    (mut first, inner, mut last): (M, impl Iterator<Item = M>, L),
    scratch: Scratch<'_, M::Unit>,
    mut output: impl FnMut(Four<T>),
) {
    let Scratch { input, first: units, deep } = scratch;
    let style = (shape.body, shape.activation);
    let read = advance(style, &mut first, inner, Some(input), (0, shape.hidden), units, deep);
    while let Some((mut sums, scales)) = last.take() {
        last.add(&mut sums, read);
        output(L::outputs(sums, scales));
    }
}

/// A masked net, feature by feature: see [`Autoregress::walk`](super::Autoregress::walk).
///
/// The input is filled as features become known, so no weight, whatever it is, reads one that is not.
#[inline(always)]
pub(crate) fn walk<T: Real, M: Hidden<T>, I: Iterator<Item = M>, L: Outputs<T, Unit = M::Unit>>(
    shape: MaskedShape,
    (mut first, inner, mut last): (M, impl Fn() -> I, L),
    scratch: Scratch<'_, M::Unit>,
    parameters: &mut [T],
    unit: impl Fn(T) -> M::Unit,
    context: &[T],
    mut step: impl FnMut(usize, &[T]) -> T,
) {
    let Scratch { input, first: units, deep } = scratch;
    let style = (shape.body, shape.activation);
    let masks = shape.masks();
    for (place, value) in input.iter_mut().flat_map(|Quad(quad)| quad).take(shape.context).zip(context) {
        *place = unit(*value);
    }
    // Hidden quads that are computed, and the blocks of an inner matrix that they took.
    let (mut from, mut blocks) = (0, 0);
    // The quad of outputs that is begun, the hidden quads that it has seen, and the outputs of it that are given.
    let mut begun = None;
    let (mut seen, mut given) = (0, 0);
    for feature in 0..shape.features {
        let to = masks.quads(feature);
        let inner = inner().map(|mut matrix| {
            matrix.skip(from, blocks);
            matrix
        });
        let known = input.get(..(shape.context + feature).div_ceil(4));
        let read = advance(style, &mut first, inner, known, (from, to), units, deep);
        blocks += to.saturating_sub(from) * to;
        from = to;
        for chunk in parameters.chunks_mut(4) {
            if given == 0 {
                begun = last.take();
                seen = 0;
            }
            let Some((sums, scales)) = &mut begun else { return };
            last.add(sums, read.get(seen..to).unwrap_or_default());
            seen = to;
            for (parameter, output) in chunk.iter_mut().zip(L::outputs(*sums, *scales).into_iter().skip(given)) {
                *parameter = output;
            }
            given = (given + chunk.len()) % 4;
        }
        let value = step(feature, parameters);
        let place = shape.context + feature;
        if let Some(Quad(quad)) = input.get_mut(place / 4) {
            quad[place % 4] = unit(value);
        }
    }
}
